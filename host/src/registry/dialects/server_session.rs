//! What sessions on servers have in common: how they are opened, how long they wait, and where the version of
//! the schema is noted.

use crate::database::{DatabaseError, Server, Trouble};
use crate::registry::backend_error::BackendError;
use crate::registry::session::SqlSession;

/// How long a statement waits for a row that another transaction has locked, in seconds: less than an
/// operation can take, so that the server's own words come first.
pub(super) const LOCK_WAIT_SECONDS: u32 = 4;

/// How long the server lets one of our transactions stay open without doing anything, in seconds. A process
/// that stands still in the middle of one would otherwise keep all others from its rows.
pub(super) const IDLE_SECONDS: u32 = 10;

/// A session on a server.
pub(crate) trait ServerSession: SqlSession {
    /// Connects, and sets the session up. The tables are left as they are.
    fn connect(server: &Server) -> impl Future<Output = Result<Self, BackendError>> + Send;
}

/// What is wrong with a server that does not say what time it is.
pub(super) fn no_time(server: &Server) -> DatabaseError {
    DatabaseError::new(server, Trouble::Other { words: "it does not say what time it is".to_owned() })
}

/// The table in which the version of the schema is noted.
pub(super) const VERSION_TABLE: &str = "simplegrid_schema";

/// The last version that is noted, if this user can see the table.
pub(super) async fn last_version(session: &mut impl SqlSession) -> Result<Option<i64>, BackendError> {
    let rows = session.rows(&format!("SELECT max(version) FROM {VERSION_TABLE}"), &[]).await?;
    Ok(rows.first().and_then(|row| row[0].integer()))
}

/// The statements that note a version.
pub(super) fn note_version(version: i64) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (version int NOT NULL);
         INSERT INTO {VERSION_TABLE} (version) VALUES ({version})"
    )
}
