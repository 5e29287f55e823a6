//! Rows in a table of a SQLite file. It owns that file's SQL, and is used from threads that may block.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, ToSql, TransactionBehavior, params};

use super::table_shape::{FoundColumn, Names, check};
use crate::ids::RunId;
use crate::plugin::{Column, Kind};
use crate::sink::error::{OpenError, StoreError};
use crate::sink::group::{Fate, Group};
use crate::sink::judgement::Judgement;
use crate::sink::pages::{OVER, Pages};
use crate::sink::rows::{Cell, each_row};
use crate::sink::shape::Shape;
use crate::sink::url::{LEDGER_TABLE, TableName, quoted};

/// How long others are waited for before an attempt is given up, and tried again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the ledger keeps the mark of a run that is over: a slave that was stopped for so long, and then
/// goes on, is as good as impossible.
const KEEP_MARKS_DAYS: u32 = 30;

/// A table in a SQLite file.
#[derive(Debug)]
pub(crate) struct SqliteTable {
    connection: Connection,
    /// The file and the table, for people.
    place: String,
    /// What masters are told.
    name: String,
    insert: String,
    shape: Shape,
}

/// Why a row was not inserted.
enum RowError {
    /// The row is to blame.
    Refused(String),
    Failed(rusqlite::Error),
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
        // What is acknowledged must survive a power loss, too.
        connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let found = found_columns(&transaction, table).map_err(failed)?;
        if found.is_empty() {
            transaction.execute_batch(&create_table(table, &shape)).map_err(failed)?;
        } else {
            check(&table.to_string(), &found, &shape, Names::AnyCase)
                .map_err(|message| OpenError::Unfit(format!("{}: {message}", path.display())))?;
        }
        let ledger = ledger_name(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        let name = format!("the table {table} (SQLite, ledger {ledger})");
        let insert = insert_statement(table, &shape);
        Ok(Self { connection, place, name, insert, shape })
    }

    /// What masters are told.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Inserts what is not there yet, and notes it in the ledger, in one transaction.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) fn commit(&mut self, group: &Arc<Group>) -> Result<Vec<Fate>, StoreError> {
        let place = self.place.clone();
        self.try_commit(group).map_err(|error| store_error(&place, &error))
    }

    fn try_commit(&mut self, group: &Arc<Group>) -> rusqlite::Result<Vec<Fate>> {
        let run = group.run.to_string();
        let Self { connection, insert, shape, .. } = self;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut pages = Pages::of(group.entries.iter().map(|entry| entry.seq));
        {
            let sql = format!("SELECT bits FROM {LEDGER_TABLE} WHERE run = ?1 AND page = ?2");
            let mut select = transaction.prepare_cached(&sql)?;
            for number in std::iter::once(OVER).chain(pages.numbers()) {
                let bits: Option<Vec<u8>> =
                    select.query_row(params![run, number], |row| row.get(0)).optional()?;
                if let Some(bits) = bits {
                    pages.load(number, &bits);
                }
            }
        }
        let mut judgement = Judgement::new(group.clone(), pages);
        {
            let mut statement = transaction.prepare_cached(insert)?;
            for index in judgement.to_insert() {
                let rows = &group.entries[index].rows;
                match insert_rows(&transaction, &mut statement, rows, shape) {
                    Ok(()) => {}
                    Err(RowError::Refused(message)) => judgement.refuse(index, message),
                    Err(RowError::Failed(error)) => return Err(error),
                }
            }
        }
        let (fates, changed) = judgement.settle();
        {
            let sql = format!(
                "INSERT INTO {LEDGER_TABLE} (run, page, bits, changed) VALUES (?1, ?2, ?3, unixepoch()) \
                 ON CONFLICT DO UPDATE SET bits = excluded.bits, changed = excluded.changed"
            );
            let mut update = transaction.prepare_cached(&sql)?;
            for (number, bits) in changed {
                update.execute(params![run, number, bits])?;
            }
        }
        transaction.commit()?;
        Ok(fates)
    }

    /// Puts one mark in the place of what the ledger has of a run that is over.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) fn close_run(&mut self, run: RunId) -> Result<(), StoreError> {
        let place = self.place.clone();
        self.try_close_run(run).map_err(|error| store_error(&place, &error))
    }

    fn try_close_run(&mut self, run: RunId) -> rusqlite::Result<()> {
        let run = run.to_string();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            &format!(
                "INSERT INTO {LEDGER_TABLE} (run, page, bits, changed) VALUES (?1, ?2, x'01', unixepoch()) \
                 ON CONFLICT DO NOTHING"
            ),
            params![run, OVER],
        )?;
        transaction.execute(
            &format!("DELETE FROM {LEDGER_TABLE} WHERE run = ?1 AND page <> ?2"),
            params![run, OVER],
        )?;
        transaction.execute(
            &format!("DELETE FROM {LEDGER_TABLE} WHERE page = ?1 AND changed < unixepoch() - ?2 * 86400"),
            params![OVER, KEEP_MARKS_DAYS],
        )?;
        transaction.commit()
    }
}

/// Inserts the rows of one record: all, or none.
fn insert_rows(
    connection: &Connection,
    statement: &mut rusqlite::CachedStatement<'_>,
    rows: &[bytes::Bytes; 2],
    shape: &Shape,
) -> Result<(), RowError> {
    // A statement that fails leaves nothing behind, so that one row needs no savepoint.
    match rows.iter().filter(|rows| !rows.is_empty()).collect::<Vec<_>>()[..] {
        [rows] if memchr::memchr(b'\n', rows) == Some(rows.len() - 1) => {
            let result =
                each_row(rows, shape.raw, &mut Vec::new(), |cells| insert_row(statement, cells, shape));
            of_ended_transaction(connection, result)
        }
        _ => insert_several(connection, statement, rows, shape),
    }
}

fn insert_several(
    connection: &Connection,
    statement: &mut rusqlite::CachedStatement<'_>,
    rows: &[bytes::Bytes; 2],
    shape: &Shape,
) -> Result<(), RowError> {
    connection.execute_batch("SAVEPOINT record").map_err(RowError::Failed)?;
    let mut result = Ok(());
    for rows in rows {
        if result.is_ok() {
            result = each_row(rows, shape.raw, &mut Vec::new(), |cells| insert_row(statement, cells, shape));
        }
    }
    let result = of_ended_transaction(connection, result);
    match result {
        Ok(()) => connection.execute_batch("RELEASE record").map_err(RowError::Failed)?,
        Err(RowError::Refused(_)) => {
            connection.execute_batch("ROLLBACK TO record; RELEASE record").map_err(RowError::Failed)?;
        }
        Err(RowError::Failed(_)) => {}
    }
    result
}

/// A trigger or a constraint of the table may have ended the whole transaction: then nobody knows what is
/// there.
fn of_ended_transaction(connection: &Connection, result: Result<(), RowError>) -> Result<(), RowError> {
    match result {
        Err(RowError::Refused(message)) if connection.is_autocommit() => {
            let message = format!("the table ends whole transactions, not only statements: {message}");
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT);
            Err(RowError::Failed(rusqlite::Error::SqliteFailure(code, Some(message))))
        }
        result => result,
    }
}

fn insert_row(
    statement: &mut rusqlite::CachedStatement<'_>,
    cells: &[Cell<'_>],
    shape: &Shape,
) -> Result<(), RowError> {
    if let Some(message) = shape.mismatch(cells.len()) {
        return Err(RowError::Refused(message));
    }
    for (index, (cell, column)) in cells.iter().zip(&shape.columns).enumerate() {
        let value = value(cell, column)?;
        statement.raw_bind_parameter(index + 1, value).map_err(row_error)?;
    }
    statement.raw_execute().map(drop).map_err(row_error)
}

/// A cell as SQLite has it.
fn value<'a>(cell: &'a Cell<'_>, column: &Column) -> Result<impl ToSql + 'a, RowError> {
    let Some(bytes) = cell.as_deref() else { return Ok(ToSqlOutput::Owned(Value::Null)) };
    if column.kind == Kind::Bytes {
        return Ok(ToSqlOutput::Borrowed(ValueRef::Blob(bytes)));
    }
    let text = str::from_utf8(bytes).map_err(|_| refused(column, "its text is not valid UTF-8"))?;
    Ok(match column.kind {
        Kind::Text | Kind::Bytes => ToSqlOutput::Borrowed(ValueRef::Text(bytes)),
        Kind::Int => match text.parse() {
            Ok(number) => ToSqlOutput::Owned(Value::Integer(number)),
            Err(_) => return Err(refused(column, &format!("{text:.40} does not fit into 64 bits"))),
        },
        Kind::Float => match text.parse::<f64>() {
            Ok(number) if !number.is_nan() => ToSqlOutput::Owned(Value::Real(number)),
            _ => return Err(refused(column, &format!("{text:.40} is no number that SQLite has"))),
        },
        Kind::Bool => match text {
            "true" => ToSqlOutput::Owned(Value::Integer(1)),
            "false" => ToSqlOutput::Owned(Value::Integer(0)),
            _ => return Err(refused(column, &format!("{text:.40} is neither true nor false"))),
        },
    })
}

fn refused(column: &Column, why: &str) -> RowError {
    RowError::Refused(format!("column `{}`: {why}", column.name))
}

/// Constraints, and values that are too long, are the row's fault.
fn row_error(error: rusqlite::Error) -> RowError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
            RowError::Refused(error.to_string())
        }
        _ => RowError::Failed(error),
    }
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

fn create_table(table: &TableName, shape: &Shape) -> String {
    let column = |column: &Column| {
        let declared = match column.kind {
            Kind::Bool | Kind::Int => "INTEGER",
            Kind::Float => "REAL",
            Kind::Bytes => "BLOB",
            Kind::Text => "TEXT",
        };
        format!("{} {declared}", quoted(&column.name, '"'))
    };
    let columns: Vec<_> = shape.columns.iter().map(column).collect();
    format!("CREATE TABLE {} ({}) STRICT", table.quoted('"'), columns.join(", "))
}

fn insert_statement(table: &TableName, shape: &Shape) -> String {
    let names: Vec<_> = shape.columns.iter().map(|column| quoted(&column.name, '"')).collect();
    let marks = vec!["?"; names.len()];
    format!("INSERT INTO {} ({}) VALUES ({})", table.quoted('"'), names.join(", "), marks.join(", "))
}

/// The columns of a table; none if it is not there.
fn found_columns(connection: &Connection, table: &TableName) -> rusqlite::Result<Vec<FoundColumn>> {
    let schema = table.schema.as_deref().unwrap_or("main");
    let sql =
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1, ?2)";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([&table.table, schema], |row| {
        let (declared, hidden): (String, u8) = (row.get(1)?, row.get(5)?);
        let (not_null, has_default, key): (bool, bool, u32) = (row.get(2)?, row.get(3)?, row.get(4)?);
        // A key of one INTEGER is the number of the row, which SQLite finds by itself.
        let is_row_number = key == 1 && declared.eq_ignore_ascii_case("integer");
        Ok(FoundColumn {
            name: row.get(0)?,
            takes: if hidden == 0 { takes(&declared) } else { Vec::new() },
            declared: if declared.is_empty() { "without a type".to_owned() } else { declared },
            is_needed: not_null && !has_default && !is_row_number && hidden == 0,
        })
    })?;
    rows.collect()
}

/// The kinds of values that a declared type takes without changing them (<https://sqlite.org/datatype3.html>, 3.1).
fn takes(declared: &str) -> Vec<Kind> {
    let declared = declared.to_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if has(&["INT"]) {
        vec![Kind::Int, Kind::Bool]
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        vec![Kind::Text, Kind::Int, Kind::Float, Kind::Bool]
    } else if declared.is_empty() || has(&["BLOB", "ANY"]) {
        vec![Kind::Text, Kind::Int, Kind::Float, Kind::Bool, Kind::Bytes]
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        vec![Kind::Float]
    } else {
        vec![Kind::Int, Kind::Float, Kind::Bool]
    }
}

/// Makes the ledger if it is not there. Its name is its own: two slaves whose sinks have the same one put
/// rows into one place, whatever they call it.
fn ledger_name(connection: &Connection) -> rusqlite::Result<String> {
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {LEDGER_TABLE} (run TEXT NOT NULL, page INTEGER NOT NULL, bits BLOB NOT NULL, \
         changed INTEGER NOT NULL, PRIMARY KEY (run, page)) WITHOUT ROWID, STRICT; \
         INSERT INTO {LEDGER_TABLE} (run, page, bits, changed) VALUES ('', 0, randomblob(8), unixepoch()) \
         ON CONFLICT DO NOTHING"
    ))?;
    let sql = format!("SELECT lower(hex(bits)) FROM {LEDGER_TABLE} WHERE run = '' AND page = 0");
    connection.query_row(&sql, [], |row| row.get(0))
}

#[cfg(test)]
mod tests;
