//! How an operation is carried out on a server: in one transaction, within a time limit, again on a new
//! connection if the old one broke before anything was done. It owns the connection; it does not know what
//! the operations do.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::error::ServerError;
use super::session::{End, Session};
use crate::database::{DatabaseError, Server, Trouble};
use crate::registry::error::RegistryError;

/// How long an operation may take, with everything that it takes to connect again: a slave or a master has
/// other things to do.
const OPERATION_MAX: Duration = Duration::from_secs(5);

/// The pause before an operation is tried again; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest of them.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How often a server is tried when a program starts, and the pause between two tries: as often, and as long,
/// as in the Perl original (`Manager.pm`, `dbh`).
const OPEN_TRIES: u32 = 5;
const OPEN_PAUSE: Duration = Duration::from_secs(2);

/// What is done within a transaction: as often as the transaction is tried.
pub(super) type Doing<'s, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 's>>;

/// Why a transaction was not committed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server failed.
    Database(DatabaseError),
    /// The rules of the registry forbid it.
    Refused(RegistryError),
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

/// A server, and most of the time a connection to it. Operations are done one after the other, in the order
/// in which they were asked for.
#[derive(Debug, Clone)]
pub(super) struct Operations {
    server: Arc<Server>,
    session: Arc<Mutex<Option<Session>>>,
}

impl Operations {
    /// Connects. What a server may say for a while, when it is being set up or started again, is taken as
    /// final only after several tries.
    pub(super) async fn open(server: &Server) -> Result<Self, RegistryError> {
        let mut tries = 1;
        let session = loop {
            match open_once(server).await {
                Ok(session) => break session,
                Err(ServerError::Database(last)) if last.is_temporary() => {
                    if tries == OPEN_TRIES {
                        return Err(ServerError::GaveUp { tries, last }.into());
                    }
                    if tries == 1 {
                        tracing::info!(
                            "the registry does not answer as it should yet; it is tried for some seconds"
                        );
                    }
                }
                Err(error) => return Err(error.into()),
            }
            tries += 1;
            tokio::time::sleep(OPEN_PAUSE).await;
        };
        Ok(Self { server: Arc::new(server.clone()), session: Arc::new(Mutex::new(Some(session))) })
    }

    /// Carries an operation out. It is a task of its own: whoever stops waiting for it does not stop it, so
    /// that what is asked for next finds it done. Its time limit ends it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl for<'s> Fn(&'s mut Session) -> Doing<'s, T> + Send + Sync + 'static,
    ) -> Result<T, RegistryError> {
        let (server, session) = (Arc::clone(&self.server), Arc::clone(&self.session));
        let task = tokio::spawn(async move {
            let mut session = session.lock().await;
            patiently(&server, &mut session, &work).await
        });
        match task.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // A task is only cancelled when the runtime goes down.
            Err(_) => Err(ServerError::Stopped.into()),
        }
    }
}

async fn open_once(server: &Server) -> Result<Session, ServerError> {
    let opening = tokio::time::timeout(OPERATION_MAX, Session::open(server));
    opening.await.unwrap_or_else(|_| Err(silent(server).into()))
}

/// Tries until it is done, is refused, or the time is over.
async fn patiently<T>(
    server: &Server,
    session: &mut Option<Session>,
    work: &(impl for<'s> Fn(&'s mut Session) -> Doing<'s, T> + Sync),
) -> Result<T, RegistryError> {
    let deadline = Instant::now() + OPERATION_MAX;
    let mut pause = FIRST_PAUSE;
    let mut last: Option<ServerError> = None;
    loop {
        // A session that is dropped in the middle of something is gone: its server takes back what was not
        // committed.
        let Ok(result) = tokio::time::timeout_at(deadline, once(server, session, work)).await else {
            return Err(last.unwrap_or_else(|| silent(server).into()).into());
        };
        let error = match result {
            Ok(value) => return Ok(value),
            Err(OnceError::Refused(error)) => return Err(error),
            Err(OnceError::Server(error)) => error,
        };
        if !may_be_tried_again(&error) || Instant::now() + pause >= deadline {
            return Err(error.into());
        }
        last = Some(error);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

enum OnceError {
    Refused(RegistryError),
    Server(ServerError),
}

impl From<ServerError> for OnceError {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

/// One transaction. The session is put back only if it can be used again.
async fn once<T>(
    server: &Server,
    place: &mut Option<Session>,
    work: &(impl for<'s> Fn(&'s mut Session) -> Doing<'s, T> + Sync),
) -> Result<T, OnceError> {
    let mut session = match place.take() {
        Some(session) => session,
        None => Session::open(server).await?,
    };
    session.begin().await.map_err(ServerError::from)?;
    match work(&mut session).await {
        Ok(value) => {
            session.end(End::Commit).await.map_err(in_doubt)?;
            *place = Some(session);
            Ok(value)
        }
        Err(Failure::Refused(error)) => {
            if session.end(End::Rollback).await.is_ok() {
                *place = Some(session);
            }
            Err(OnceError::Refused(error))
        }
        Err(Failure::Database(error)) => {
            let is_of_the_transaction = matches!(error.trouble, Trouble::Conflict { .. });
            if is_of_the_transaction && session.end(End::Rollback).await.is_ok() {
                *place = Some(session);
            }
            Err(ServerError::from(error).into())
        }
    }
}

/// A connection that breaks while the answer to `COMMIT` is awaited does not say whether it was done. A
/// server that answers otherwise has not done it.
fn in_doubt(error: DatabaseError) -> ServerError {
    match error.trouble {
        Trouble::Conflict { .. } => ServerError::Database(error),
        _ => ServerError::Unsure(error),
    }
}

/// Nothing was done, and it may be otherwise in a moment. A table that is gone is made again when a new
/// session is opened.
fn may_be_tried_again(error: &ServerError) -> bool {
    let ServerError::Database(error) = error else { return false };
    matches!(
        error.trouble,
        Trouble::Unreachable { .. }
            | Trouble::NotNow { .. }
            | Trouble::Lost { .. }
            | Trouble::Conflict { .. }
            | Trouble::NoSuchTable { .. }
    )
}

fn silent(server: &Server) -> DatabaseError {
    DatabaseError::new(server, Trouble::Silent { seconds: OPERATION_MAX.as_secs() })
}
