//! The program itself under a name of its own: a package's tests are told the path of that package's programs
//! only.

use std::process::ExitCode;

fn main() -> ExitCode {
    simplegrid::main_impl()
}
