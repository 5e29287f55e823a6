//! Tells that results cannot be written.

use super::write_error::WriteError;
use super::writer_thread::ThreadEnd;

/// How the threads that write results end.
#[derive(Debug)]
pub(crate) struct WriteFailure {
    /// The one for rows.
    pub(super) rows: ThreadEnd,
    /// The one for failed records, if they go to a file.
    pub(super) failed: Option<ThreadEnd>,
}

impl WriteFailure {
    /// Of these threads.
    pub(crate) fn new(rows: ThreadEnd, failed: Option<ThreadEnd>) -> Self {
        Self { rows, failed }
    }

    /// Waits until writing fails; for ever if it does not.
    pub(crate) async fn wait(&mut self) -> WriteError {
        match &mut self.failed {
            None => self.rows.failure().await,
            Some(failed) => tokio::select! {
                biased;
                error = self.rows.failure() => error,
                error = failed.failure() => error,
            },
        }
    }
}
