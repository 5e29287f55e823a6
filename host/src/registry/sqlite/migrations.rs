//! How a SQLite file comes to have the schema of the registry. It does not know what the columns mean.
//!
//! The version is SQLite's `user_version`. A file of the Perl original has version 0 and a table already
//! (`src/db/1.3.3/db.changelog.xml` there): the first migration adds to it what is missing and keeps its
//! rows.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use rusqlite_migration::{HookResult, M, Migrations};

use super::error::SqliteError;
use crate::registry::schema::{CREATE_NODES, VERSION, missing_added_columns, missing_old_column};

/// Brings the schema of an open file up to date.
pub(super) fn migrate(
    connection: &mut Connection,
    file: &Path,
    busy_timeout: Duration,
) -> Result<(), SqliteError> {
    let in_words = |error| SqliteError::new(file, busy_timeout, error);
    let found: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(in_words)?;
    if found > VERSION as i64 {
        return Err(SqliteError::Newer { file: file.to_owned(), found, known: VERSION });
    }
    let present = columns(connection).map_err(in_words)?;
    if let Some(column) = missing_old_column(&present).filter(|_| !present.is_empty()) {
        return Err(SqliteError::ForeignTable { file: file.to_owned(), column });
    }
    // Each migration may find the work done by another program that opened the file at the same moment, so it
    // takes the lock first and then only does what is still missing.
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    migrations().to_latest(connection).map_err(|error| match error {
        // The library wraps SQLite's errors; what the user reads is made from the inner one.
        rusqlite_migration::Error::RusqliteError { err, .. } => in_words(err),
        other => SqliteError::Migration { file: file.to_owned(), source: Box::new(other) },
    })
}

fn migrations() -> Migrations<'static> {
    Migrations::new(vec![M::up_with_hook(CREATE_NODES, add_columns_and_index)])
}

fn add_columns_and_index(transaction: &Transaction<'_>) -> HookResult {
    for (name, sql_type) in missing_added_columns(&columns(transaction)?) {
        transaction.execute(&format!("ALTER TABLE nodes ADD COLUMN {name} {sql_type}"), [])?;
    }
    // Masters look for the nodes of one state that have been in it longest, among perhaps thousands.
    transaction
        .execute("CREATE INDEX IF NOT EXISTS nodes_state ON nodes (state, start_time, hostname, port)", [])?;
    Ok(())
}

fn columns(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info('nodes')")?;
    statement.query_map([], |row| row.get(0))?.collect()
}
