//! Inserting into a table of a SQLite file: all rows of a record, or none. It owns what a cell becomes there.

use bytes::Bytes;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, ToSql};

use crate::plugin::{Column, Kind};
use crate::sink::rows::{Cell, each_row, refusal, text_of};
use crate::sink::shape::Shape;

/// Why a row was not inserted.
pub(super) enum RowError {
    /// The row is to blame.
    Refused(String),
    Failed(rusqlite::Error),
}

/// Inserts the rows of one record: all, or none.
pub(super) fn insert_rows(
    connection: &Connection,
    statement: &mut CachedStatement<'_>,
    rows: &[Bytes; 2],
    shape: &Shape,
) -> Result<(), RowError> {
    // A statement that fails leaves nothing behind, so a single row needs no savepoint.
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
    statement: &mut CachedStatement<'_>,
    rows: &[Bytes; 2],
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

/// A trigger or a constraint of the table may have ended the whole transaction; then this slave cannot know
/// what was inserted.
fn of_ended_transaction(connection: &Connection, result: Result<(), RowError>) -> Result<(), RowError> {
    match result {
        Err(RowError::Refused(message)) if connection.is_autocommit() => {
            let message = format!("the table ends whole transactions, not just statements: {message}");
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT);
            Err(RowError::Failed(rusqlite::Error::SqliteFailure(code, Some(message))))
        }
        result => result,
    }
}

fn insert_row(
    statement: &mut CachedStatement<'_>,
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

/// A cell as SQLite stores it.
fn value<'a>(cell: &'a Cell<'_>, column: &Column) -> Result<impl ToSql + 'a, RowError> {
    let Some(bytes) = cell.as_deref() else { return Ok(ToSqlOutput::Owned(Value::Null)) };
    if column.kind == Kind::Bytes {
        return Ok(ToSqlOutput::Borrowed(ValueRef::Blob(bytes)));
    }
    let text = text_of(bytes, column).map_err(RowError::Refused)?;
    Ok(match column.kind {
        Kind::Text | Kind::Bytes => ToSqlOutput::Borrowed(ValueRef::Text(bytes)),
        Kind::Int => match text.parse() {
            Ok(number) => ToSqlOutput::Owned(Value::Integer(number)),
            Err(_) => return Err(refused(column, &format!("{text:.40} does not fit into 64 bits"))),
        },
        Kind::Float => match text.parse::<f64>() {
            Ok(number) if !number.is_nan() => ToSqlOutput::Owned(Value::Real(number)),
            _ => return Err(refused(column, &format!("{text:.40} is not a number that SQLite can store"))),
        },
        Kind::Bool => match text {
            "true" => ToSqlOutput::Owned(Value::Integer(1)),
            "false" => ToSqlOutput::Owned(Value::Integer(0)),
            _ => return Err(refused(column, &format!("{text:.40} is neither true nor false"))),
        },
    })
}

fn refused(column: &Column, why: &str) -> RowError {
    RowError::Refused(refusal(column, why))
}

/// Constraints that are broken, and values that are too long, are the row's fault.
fn row_error(error: rusqlite::Error) -> RowError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
            RowError::Refused(error.to_string())
        }
        _ => RowError::Failed(error),
    }
}
