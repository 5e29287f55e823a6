//! Where a run's results go: rows, failed records, the journal that says how far both are, and what the user
//! sees of the run. Knows no slaves.

mod failed_writer;
mod journal;
mod output_target;
mod progress;
mod result_writer;
mod results;
mod summary;
mod write_error;

pub(super) use failed_writer::FailedWriter;
pub(crate) use journal::TaskIdentity;
#[cfg(test)]
pub(super) use journal::{Checkpoint, FileMark, Saved};
pub(super) use journal::{JournalPen, NamedFile, Opened, open as open_journal};
pub(super) use output_target::OutputTarget;
pub(super) use progress::ProgressLine;
pub(super) use result_writer::{ResultWriter, WriteFailure};
pub(super) use results::Results;
pub(super) use summary::{Summary, exit_status};
