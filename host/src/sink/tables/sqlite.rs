//! Rows in a table of a SQLite file: how a group is committed there. Its functions block; `Blocking` calls
//! them.

mod insert;
mod ledger;
mod table;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::table_shape::{Names, check, not_a_table};
use crate::ids::RunId;
use crate::sink::error::{OpenError, StoreError};
use crate::sink::group::{Fate, Group};
use crate::sink::judgement::Judgement;
use crate::sink::pages::Pages;
use crate::sink::shape::Shape;
use crate::sink::url::TableName;
use insert::{RowError, insert_rows};

/// How long a transaction waits for other programs. Then the user is told why nothing moves, and it is tried
/// again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A table in a SQLite file.
#[derive(Debug)]
pub(crate) struct SqliteTable {
    connection: Connection,
    /// The file and the table, for messages.
    place: String,
    /// What masters are told.
    name: String,
    insert: String,
    shape: Shape,
}

impl SqliteTable {
    /// Opens the file, and makes the table if it is not there.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) fn open(path: &Path, table: &TableName, shape: Shape) -> Result<Self, OpenError> {
        let place = format!("{} (table {table})", path.display());
        let failed = |error: rusqlite::Error| open_error(&place, &error);
        let mut connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        // Rows that are acknowledged must survive a power loss, too.
        connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let unfit = |message: String| OpenError::Unfit(format!("{}: {message}", path.display()));
        if let Some(what) = table::other_than_table(&transaction, table).map_err(failed)? {
            return Err(unfit(not_a_table(&table.to_string(), what)));
        }
        let found = table::found_columns(&transaction, table).map_err(failed)?;
        if found.is_empty() {
            transaction.execute_batch(&table::create_table(table, &shape)).map_err(failed)?;
        } else {
            check(&table.to_string(), &found, &shape, Names::AnyCase).map_err(unfit)?;
        }
        let ledger = ledger::make(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        let name = format!("the table {table} (SQLite, ledger {ledger})");
        let insert = table::insert_statement(table, &shape);
        Ok(Self { connection, place, name, insert, shape })
    }

    /// What masters are told.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Inserts the rows that are not there yet, and notes their records in the ledger, in one transaction.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) fn commit(&mut self, group: &Arc<Group>) -> Result<Vec<Fate>, StoreError> {
        let place = self.place.clone();
        self.try_commit(group).map_err(|error| store_error(&place, &error))
    }

    fn try_commit(&mut self, group: &Arc<Group>) -> rusqlite::Result<Vec<Fate>> {
        let Self { connection, insert, shape, .. } = self;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut pages = Pages::of(group.entries.iter().map(|entry| entry.seq));
        ledger::load(&transaction, group.run, &mut pages)?;
        let mut judgement = Judgement::new(group.clone(), pages);
        insert_all(&transaction, insert, shape, group, &mut judgement)?;
        let (fates, changed) = judgement.settle();
        ledger::update(&transaction, group.run, &changed)?;
        transaction.commit()?;
        Ok(fates)
    }

    /// Replaces all pages of a run that is over by its mark.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) fn close_run(&mut self, run: RunId) -> Result<(), StoreError> {
        let place = self.place.clone();
        self.try_close_run(run).map_err(|error| store_error(&place, &error))
    }

    fn try_close_run(&mut self, run: RunId) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        ledger::close(&transaction, run)?;
        transaction.commit()
    }
}

/// Inserts all rows but those that the database refuses.
fn insert_all(
    connection: &Connection,
    insert: &str,
    shape: &Shape,
    group: &Group,
    judgement: &mut Judgement,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(insert)?;
    for index in judgement.to_insert() {
        match insert_rows(connection, &mut statement, &group.entries[index].rows, shape) {
            Ok(()) => {}
            Err(RowError::Refused(message)) => judgement.refuse(index, message),
            Err(RowError::Failed(error)) => return Err(error),
        }
    }
    Ok(())
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn store_error(place: &str, error: &rusqlite::Error) -> StoreError {
    let message = format!("{place}: {error}");
    if is_busy(error) { StoreError::Lost(message) } else { StoreError::Broken(message) }
}

fn open_error(place: &str, error: &rusqlite::Error) -> OpenError {
    let message = format!("cannot use {place}: {error}");
    if is_busy(error) { OpenError::Unreachable(message) } else { OpenError::Unfit(message) }
}

#[cfg(test)]
mod tests;
