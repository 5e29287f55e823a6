//! Standard output of the commands that print a text. Results of runs have a writer of their own.

use std::io::{self, ErrorKind, Write};

use crate::exit_code::ExitStatus;

/// Prints a text. Whoever closes standard output early, such as `head`, has seen enough.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn print(text: &str) -> anyhow::Result<ExitStatus> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitStatus::Done),
    }
}
