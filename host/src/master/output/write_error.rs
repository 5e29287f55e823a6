//! Why the output, or a file that goes with it, cannot be written.

use std::io;
use std::path::Path;

/// Why results could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The reader of standard output has seen enough.
    #[error("the reader of the output is gone")]
    Closed,
    /// The output, or a file that goes with it, cannot be written.
    #[error("cannot write {place}: {cause}")]
    Io {
        /// A path, «standard output», or what goes to which path.
        place: String,
        /// Why.
        cause: io::Error,
    },
}

impl WriteError {
    /// A file of the run cannot be opened or written.
    pub(super) fn of_file(path: &Path, cause: io::Error) -> Self {
        Self::Io { place: path.display().to_string(), cause }
    }
}
