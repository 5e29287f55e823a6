//! One request as one transaction, and the moment that counts for it: when it began. It does not know how the
//! session was opened, nor whether the request is tried again.

use super::backend_error::BackendError;
use super::clock::Clock;
use super::error::RegistryError;
use super::nodes_table;
use super::request::{Answer, Request};
use super::session::{Access, End, SqlSession};

/// Carries a request out. The session comes back if it can be used again. If it is dropped in the middle, the
/// database rolls back what was not committed.
pub(super) async fn carry_out<S: SqlSession>(
    mut session: S,
    request: &Request,
    clock: &Clock,
) -> (Option<S>, Result<Answer, RegistryError>) {
    match transact(&mut session, request, clock).await {
        Ok(answer) => (Some(session), Ok(answer)),
        Err(error) => {
            let can_go_on = match &error {
                RegistryError::Backend(error) => error.is_of_the_transaction(),
                // The rules of the registry forbid it.
                _ => true,
            };
            let is_usable = can_go_on && session.end(End::Rollback).await.is_ok();
            (is_usable.then_some(session), Err(error))
        }
    }
}

async fn transact(
    session: &mut impl SqlSession,
    request: &Request,
    clock: &Clock,
) -> Result<Answer, RegistryError> {
    let access = if request.only_reads() { Access::Read } else { Access::Write };
    let now = clock.now(session.begin(access).await?);
    let answer = nodes_table::perform(session, request, now).await?;
    session.end(End::Commit).await.map_err(BackendError::while_committing)?;
    Ok(answer)
}
