//! How a database on a server comes to have the schema of the registry. It does not know what the columns
//! mean.
//!
//! The version stands in a table of ours, `simplegrid_schema`. What is missing is decided by looking, so that
//! a table of the Perl original is completed, a table that was deleted is made again, and a user who may
//! change nothing can use a table to which nothing is missing.

use crate::database::{DatabaseError, Server, ServerKind, Trouble};
use crate::registry::schema::{CREATE_NODES, VERSION, missing_added_columns, missing_old_column};

use super::error::ServerError;
use super::session::Session;

/// What a database has of the registry.
#[derive(Debug)]
pub(super) struct Schema {
    /// The columns of `nodes`; none if there is no such table.
    pub(super) columns: Vec<String>,
    /// Whether `nodes` has its index.
    pub(super) has_index: bool,
    /// Whether changes of `nodes` can be taken back: an old table of MySQL may be in MyISAM.
    pub(super) has_transactions: bool,
    /// Whether there is a table with the version that this user may read.
    pub(super) has_version_table: bool,
}

/// Brings the schema up to date.
pub(super) async fn migrate(session: &mut Session, server: &Server) -> Result<(), ServerError> {
    if missing(session, server).await?.is_empty() {
        return Ok(());
    }
    begin(session).await?;
    let result = complete(session, server).await;
    match result {
        Ok(()) => Ok(end(session).await?),
        // The lock ends with the connection, which is not used any more.
        Err(error) => Err(error),
    }
}

/// A statement that is still to be made, and whether the registry cannot do without it.
struct Step {
    sql: String,
    is_needed: bool,
}

/// Everything that is missing, looked for again now that no one else can be at it.
async fn complete(session: &mut Session, server: &Server) -> Result<(), ServerError> {
    for Step { sql, is_needed } in missing(session, server).await? {
        match session.say(&sql).await {
            Ok(()) => {}
            Err(DatabaseError { trouble: Trouble::Forbidden { words }, .. }) if is_needed => {
                return Err(ServerError::NotPrepared { server: server.to_string(), words });
            }
            Err(DatabaseError { trouble: Trouble::Forbidden { words }, .. }) => {
                tracing::debug!("the registry goes without `{sql}`: {words}");
                // PostgreSQL has given the transaction up, and with it what was done before.
                end(session).await?;
                begin(session).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What is to be done, in this order. What a user may not do, but can do without, comes last.
async fn missing(session: &mut Session, server: &Server) -> Result<Vec<Step>, ServerError> {
    let schema = schema(session).await?;
    let version = if schema.has_version_table { version(session).await? } else { None };
    if let Some(found) = version.filter(|found| *found > VERSION as i64) {
        return Err(ServerError::Newer { server: server.to_string(), found, known: VERSION });
    }
    let mut steps = Vec::new();
    let mut step = |sql, is_needed| steps.push(Step { sql, is_needed });
    if schema.columns.is_empty() {
        step(format!("{CREATE_NODES}{}", table_options(server.kind)), true);
    } else if let Some(column) = missing_old_column(&schema.columns) {
        return Err(ServerError::ForeignTable { server: server.to_string(), column });
    }
    let columns = missing_added_columns(&schema.columns);
    if !columns.is_empty() {
        let added: Vec<_> =
            columns.iter().map(|(name, sql_type)| format!("ADD COLUMN {name} {sql_type}")).collect();
        step(format!("ALTER TABLE nodes {}", added.join(", ")), true);
    }
    if !schema.has_transactions {
        step("ALTER TABLE nodes ENGINE = InnoDB".to_owned(), true);
    }
    if !schema.has_index {
        // Masters look for the nodes of one state that have been in it longest, among perhaps thousands.
        let start_time = format!("start_time{}", session.empty_first());
        step(format!("CREATE INDEX nodes_state ON nodes (state, {start_time}, hostname, port)"), false);
    }
    if version.is_none() {
        let create = "CREATE TABLE IF NOT EXISTS simplegrid_schema (version int NOT NULL)";
        step(format!("{create}; INSERT INTO simplegrid_schema (version) VALUES ({VERSION})"), false);
    }
    Ok(steps)
}

/// Names are compared byte by byte, as in the other databases, not as words of some language.
fn table_options(kind: ServerKind) -> &'static str {
    match kind {
        ServerKind::Postgres => "",
        ServerKind::Mysql => " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    }
}

async fn version(session: &mut Session) -> Result<Option<i64>, DatabaseError> {
    let rows = session.rows("SELECT max(version) FROM simplegrid_schema", &[]).await?;
    Ok(rows.first().and_then(|row| row[0].integer()))
}

async fn schema(session: &mut Session) -> Result<Schema, DatabaseError> {
    match session {
        Session::Postgres(session) => session.schema().await,
        Session::Mysql(session) => session.schema().await,
    }
}

async fn begin(session: &mut Session) -> Result<(), ServerError> {
    match session {
        Session::Postgres(session) => session.begin_migration().await,
        Session::Mysql(session) => session.begin_migration().await,
    }
}

async fn end(session: &mut Session) -> Result<(), DatabaseError> {
    match session {
        Session::Postgres(session) => session.end_migration().await,
        Session::Mysql(session) => session.end_migration().await,
    }
}
