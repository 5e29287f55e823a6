//! Where a run's results go: rows, failed records, the journal that says how far both are, and what the user
//! sees of the run. Knows no slaves.

mod failed_writer;
mod journal;
mod progress;
mod result_writer;
mod results;
mod summary;

pub(super) use failed_writer::{FailedFileError, FailedWriter};
#[cfg(test)]
pub(super) use journal::Checkpoint;
pub(crate) use journal::TaskIdentity;
pub(super) use journal::{Earlier, JournalError, JournalPen, NamedFile, Opened, open as open_journal};
pub(super) use progress::ProgressLine;
pub(super) use result_writer::{Place, ResultWriter, WriteError, WriteFailure};
pub(super) use results::Results;
pub(super) use summary::{Summary, exit_status};
