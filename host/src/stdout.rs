//! The standard output of commands that print a text. The results of runs have a writer of their own.

use std::io::{self, ErrorKind, Write};

use crate::exit_code::ExitStatus;

/// Prints a text. A reader that closes standard output early, such as `head`, has seen enough: that is no
/// error.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn print(text: &str) -> anyhow::Result<ExitStatus> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitStatus::Done),
    }
}
