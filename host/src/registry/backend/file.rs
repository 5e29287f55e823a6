//! A registry in a SQLite file: kept open, opened again when the file has been replaced, and used on a
//! blocking thread. It does not know what the requests do.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use crate::owned_task;
use crate::registry::backend_error::BackendError;
use crate::registry::clock::Clock;
use crate::registry::dialects::sqlite::{SqliteFile, SqliteSession};
use crate::registry::error::RegistryError;
use crate::registry::request::{Answer, Request};
use crate::registry::{migrations, transaction};

/// How long an operation waits for others to be done with the file. Operations take less than a millisecond,
/// so waiting is in vain only if a program hangs in the middle of one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause between two tries to open the file, where SQLite itself does not wait.
const REOPEN_PAUSE: Duration = Duration::from_millis(10);

/// A SQLite file and, most of the time, a connection to it.
#[derive(Debug)]
pub(crate) struct FileBackend {
    file: SqliteFile,
    session: Option<SqliteSession>,
}

impl FileBackend {
    /// Opens the file, or creates it, and its directory too if that is asked for.
    pub(super) async fn open(path: &Path, creates_directory: bool) -> Result<Self, RegistryError> {
        Self::open_file(SqliteFile { path: path.to_owned(), creates_directory, busy_timeout: BUSY_TIMEOUT })
            .await
    }

    /// Opens the file as it is described.
    async fn open_file(file: SqliteFile) -> Result<Self, RegistryError> {
        let to_open = file.clone();
        let session = on_a_blocking_thread(move || open_patiently(&to_open)).await?;
        Ok(Self { file, session: Some(session) })
    }

    /// Carries a request out. After a failure, except that of a busy file, the next request starts with a new
    /// connection. A file that has just been replaced can seem damaged until all who have it open have
    /// noticed, so the request is tried again for a while.
    pub(super) async fn perform(&mut self, request: Request, clock: &Clock) -> Result<Answer, RegistryError> {
        let (file, session, clock) = (self.file.clone(), self.session.take(), clock.clone());
        let work = move || carry_out_patiently(&file, session, &request, &clock);
        let (session, result) = on_a_blocking_thread(work).await;
        self.session = session;
        result
    }
}

/// Carries a request out over the session, or over a new one, and tries that until the busy timeout is over
/// if the file seems to have been replaced.
fn carry_out_patiently(
    file: &SqliteFile,
    mut session: Option<SqliteSession>,
    request: &Request,
    clock: &Clock,
) -> (Option<SqliteSession>, Result<Answer, RegistryError>) {
    let deadline = Instant::now() + file.busy_timeout;
    loop {
        let current = session.take().filter(SqliteSession::is_current);
        let (left, result) = match current.map_or_else(|| open_patiently(file), Ok) {
            Ok(session) => at_once(transaction::carry_out(session, request, clock)),
            Err(error) => return (None, Err(error.into())),
        };
        match result {
            Err(RegistryError::Backend(BackendError::File(error)))
                if error.can_be_of_replacing() && Instant::now() < deadline =>
            {
                std::thread::sleep(REOPEN_PAUSE);
            }
            result => return (left, result),
        }
    }
}

/// Tries to open the file until the busy timeout is over: programs that open a new file at the same moment
/// get in each other's way while one of them sets it up, and a file that is being replaced seems damaged.
fn open_patiently(file: &SqliteFile) -> Result<SqliteSession, BackendError> {
    let deadline = Instant::now() + file.busy_timeout;
    loop {
        match open(file) {
            Err(BackendError::File(error))
                if (error.is_busy() || error.can_be_of_replacing()) && Instant::now() < deadline =>
            {
                std::thread::sleep(REOPEN_PAUSE);
            }
            result => return result,
        }
    }
}

fn open(file: &SqliteFile) -> Result<SqliteSession, BackendError> {
    let mut session = file.connect()?;
    at_once(migrations::migrate(&mut session))?;
    Ok(session)
}

/// The result of work with a SQLite session, which blocks instead of waiting.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("a SQLite session blocks instead of waiting")
}

async fn on_a_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    owned_task::outcome(done)
        .expect("blocking work is cancelled only with the runtime, and this task with it")
}
