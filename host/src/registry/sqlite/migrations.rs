//! The schema of the registry and how older ones become it. It owns the columns; it does not know what they mean.
//!
//! The version is SQLite's `user_version`. A file of the Perl original has version 0 and a table already
//! (`src/db/1.3.3/db.changelog.xml` there): the first migration adds to it what is missing and keeps its rows.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use rusqlite_migration::{HookResult, M, Migrations};

use super::error::SqliteError;

/// The Perl original's columns. Widths and types are its own.
const CREATE_NODES: &str = "
    CREATE TABLE IF NOT EXISTS nodes (
        hostname    varchar(100) NOT NULL,
        port        int          NOT NULL,
        start_time  int,
        state       varchar(16),
        reserved_by varchar(100),
        children    int,
        PRIMARY KEY (hostname, port)
    )";

/// The columns that the Perl original does not know. They may be empty, since it leaves them so.
const ADDED_COLUMNS: [(&str, &str); 10] = [
    ("task", "text"),
    ("task_version", "text"),
    ("advertise", "text"),
    ("lease_until", "bigint"),
    ("last_seen", "bigint"),
    ("done", "bigint"),
    ("failed", "bigint"),
    ("rate", "double precision"),
    ("pid", "bigint"),
    ("version", "text"),
];

/// The columns without which a table is not the Perl original's.
const OLD_COLUMNS: [&str; 6] = ["hostname", "port", "start_time", "state", "reserved_by", "children"];

/// How many migrations there are; the `user_version` of an up-to-date file.
const VERSION: usize = 1;

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
    if let Some(column) = missing_old_column(connection).map_err(in_words)? {
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
    let present = columns(transaction)?;
    for (name, sql_type) in ADDED_COLUMNS {
        if !present.iter().any(|column| column.eq_ignore_ascii_case(name)) {
            transaction.execute(&format!("ALTER TABLE nodes ADD COLUMN {name} {sql_type}"), [])?;
        }
    }
    // Masters look for the nodes of one state that have been in it longest, among perhaps thousands.
    transaction
        .execute("CREATE INDEX IF NOT EXISTS nodes_state ON nodes (state, start_time, hostname, port)", [])?;
    Ok(())
}

/// A column of the Perl original that the table `nodes` lacks, if there is such a table.
fn missing_old_column(connection: &Connection) -> rusqlite::Result<Option<&'static str>> {
    let present = columns(connection)?;
    if present.is_empty() {
        return Ok(None);
    }
    let is_missing = |name: &&str| !present.iter().any(|column| column.eq_ignore_ascii_case(name));
    Ok(OLD_COLUMNS.into_iter().find(is_missing))
}

fn columns(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info('nodes')")?;
    statement.query_map([], |row| row.get(0))?.collect()
}
