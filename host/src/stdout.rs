//! Standard output: whether it can be written, the texts that are printed there, and the stream itself for
//! the rows of a run.
//!
//! Rust's own stream for standard output takes the system's "no such descriptor" for success, so all that is
//! written goes through a file on the descriptor.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::exit_code::ExitStatus;
use crate::streams_at_start::{StandardStream, was_closed};

/// Why nothing can be written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StdoutError {
    /// It was closed when the program began, as by `>&-`.
    #[error("standard output is closed")]
    Closed,
    /// It was opened with `<`.
    #[error("standard output is open for reading only")]
    ReadOnly,
}

/// Names of standard output (proc(5), and what Linux puts below `/dev`).
const NAMES: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// Whether a path is another name of standard output.
pub(crate) fn is_named(path: &Path) -> bool {
    NAMES.iter().any(|name| path == Path::new(name))
}

/// Whether it can be written, as far as can be seen without writing.
///
/// # Errors
/// If it cannot.
pub(crate) fn check() -> Result<(), StdoutError> {
    if was_closed(StandardStream::Output) {
        return Err(StdoutError::Closed);
    }
    match fcntl(io::stdout(), FcntlArg::F_GETFL).map(OFlag::from_bits_truncate) {
        Ok(flags) if flags & OFlag::O_ACCMODE == OFlag::O_RDONLY => Err(StdoutError::ReadOnly),
        Ok(_) => Ok(()),
        Err(_) => Err(StdoutError::Closed),
    }
}

/// The stream, for a writer that is told of every error.
///
/// # Errors
/// If the system has no descriptor left.
pub(crate) fn file() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// Prints a text. A reader that closes standard output early, such as `head`, has seen enough: that is no
/// error.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn print(text: &str) -> anyhow::Result<ExitStatus> {
    print_by(|| file()?.write_all(text.as_bytes()))
}

/// Lets something else print there.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn print_by(print: impl FnOnce() -> io::Result<()>) -> anyhow::Result<ExitStatus> {
    check()?;
    match print() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write standard output")
        }
        _ => Ok(ExitStatus::Done),
    }
}
