//! A registry on a server: connects again when the connection has broken, and tries requests again, within a
//! time limit, if nothing was done. It does not know what the requests do.

use std::time::Duration;

use tokio::time::Instant;

use crate::database::{DatabaseError, Server, Trouble};
use crate::registry::backend_error::BackendError;
use crate::registry::clock::Clock;
use crate::registry::dialects::server_session::ServerSession;
use crate::registry::error::RegistryError;
use crate::registry::request::{Answer, Request};
use crate::registry::{migrations, transaction};

/// How long an operation can take, connecting again included: a slave or a master has other things to do.
const OPERATION_MAX: Duration = Duration::from_secs(5);

/// The first pause before an operation is tried again. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest of these pauses.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How many times a server is tried when a program starts, and the pause between two tries: both as in
/// Net::SimpleGrid (`Manager.pm`, `dbh`).
const OPEN_TRIES: u32 = 5;
const OPEN_PAUSE: Duration = Duration::from_secs(2);

/// A server and, most of the time, a session on it.
#[derive(Debug)]
pub(crate) struct ServerBackend<S> {
    server: Server,
    session: Option<S>,
}

impl<S: ServerSession> ServerBackend<S> {
    /// Connects. Errors that a server can give for a while, when it is being set up or restarted, count only
    /// after several tries.
    pub(super) async fn open(server: &Server) -> Result<Self, BackendError> {
        let mut tries = 1;
        loop {
            match tokio::time::timeout(OPERATION_MAX, open_session(server)).await {
                Ok(Ok(session)) => return Ok(Self { server: server.clone(), session: Some(session) }),
                Ok(Err(BackendError::Server(error))) if error.is_temporary() => {
                    pause_or_give_up(tries, error)?
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => pause_or_give_up(tries, silent(server))?,
            }
            tries += 1;
            tokio::time::sleep(OPEN_PAUSE).await;
        }
    }

    /// Tries until the request is done or refused, or the time is over.
    pub(super) async fn perform(
        &mut self,
        request: &Request,
        clock: &Clock,
    ) -> Result<Answer, RegistryError> {
        let deadline = Instant::now() + OPERATION_MAX;
        let mut pause = FIRST_PAUSE;
        let mut last: Option<BackendError> = None;
        loop {
            let Ok(result) = tokio::time::timeout_at(deadline, self.try_once(request, clock)).await else {
                return Err(last.unwrap_or_else(|| silent(&self.server).into()).into());
            };
            match result {
                Err(RegistryError::Backend(error)) if error.can_be_tried_again() => {
                    if Instant::now() + pause >= deadline {
                        return Err(error.into());
                    }
                    tracing::debug!("the registry is asked again: {request:?} failed because {error}");
                    last = Some(error);
                }
                result => return result,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One transaction, on a new session if there is none. A session that is interrupted by the time limit is
    /// dropped.
    async fn try_once(&mut self, request: &Request, clock: &Clock) -> Result<Answer, RegistryError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => open_session(&self.server).await?,
        };
        let (session, result) = transaction::carry_out(session, request, clock).await;
        self.session = session;
        result
    }
}

async fn open_session<S: ServerSession>(server: &Server) -> Result<S, BackendError> {
    let mut session = S::connect(server).await?;
    migrations::migrate(&mut session).await?;
    Ok(session)
}

/// After a try that failed when a program starts: the error that ends it, if it was the last. The log says
/// once that more tries follow.
fn pause_or_give_up(tries: u32, last: DatabaseError) -> Result<(), BackendError> {
    match tries {
        OPEN_TRIES => Err(BackendError::GaveUp { tries, last }),
        1 => {
            tracing::info!("the registry does not answer as it should yet; trying for some seconds");
            Ok(())
        }
        _ => Ok(()),
    }
}

fn silent(server: &Server) -> DatabaseError {
    DatabaseError::new(server, Trouble::Silent { seconds: OPERATION_MAX.as_secs() })
}
