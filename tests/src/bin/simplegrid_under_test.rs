//! The program itself under another name: cargo tells a package's tests only the paths of that package's
//! programs.

use std::process::ExitCode;

fn main() -> ExitCode {
    simplegrid::main_impl()
}
