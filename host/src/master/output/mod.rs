//! Where a run's results go: rows, failed records, the journal that says how far both are, and what the user
//! sees of the run. Knows no slaves.

mod counted_stream;
mod failed_file;
mod failed_writer;
mod journal;
mod output_target;
mod progress;
mod result_stream;
mod result_writer;
mod results;
mod run_files;
mod summary;
mod summary_file;
mod write_error;
mod write_failure;
mod writer_thread;

pub(super) use failed_writer::FailedWriter;
pub(crate) use journal::TaskIdentity;
#[cfg(test)]
pub(super) use journal::{Checkpoint, FileMark, Saved};
pub(super) use journal::{JournalPen, Opened, open as open_journal};
pub(super) use output_target::OutputTarget;
pub(super) use progress::ProgressLine;
pub(super) use result_writer::ResultWriter;
pub(super) use results::Results;
pub(super) use run_files::{RunFiles, RunFilesError};
pub(super) use summary::{Summary, exit_status};
pub(super) use summary_file::SummaryFile;
pub(super) use write_error::WriteError;
pub(super) use write_failure::WriteFailure;
