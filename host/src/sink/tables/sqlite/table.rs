//! The table in a SQLite file: how it is made, and what it can hold.

use rusqlite::{Connection, OptionalExtension};

use crate::plugin::Kind;
use crate::sink::shape::Shape;
use crate::sink::tables::table_shape::{FoundColumn, declarations, names};
use crate::sink::url::TableName;

/// The statement that makes the table.
pub(super) fn create_table(table: &TableName, shape: &Shape) -> String {
    let columns = declarations(shape, '"', |kind| match kind {
        Kind::Bool | Kind::Int => "INTEGER",
        Kind::Float => "REAL",
        Kind::Bytes => "BLOB",
        Kind::Text => "TEXT",
    });
    format!("CREATE TABLE {} ({columns}) STRICT", table.quoted('"'))
}

/// The statement that inserts a row.
pub(super) fn insert_statement(table: &TableName, shape: &Shape) -> String {
    let marks = vec!["?"; shape.columns.len()];
    format!("INSERT INTO {} ({}) VALUES ({})", table.quoted('"'), names(shape, '"'), marks.join(", "))
}

/// What there is under a table's name, if it is not a table.
pub(super) fn other_than_table(
    connection: &Connection,
    table: &TableName,
) -> rusqlite::Result<Option<&'static str>> {
    let sql = "SELECT type FROM pragma_table_list WHERE schema = ?1 AND name = ?2 COLLATE NOCASE";
    let schema = table.schema.as_deref().unwrap_or("main");
    let kind: Option<String> =
        connection.query_row(sql, [schema, &table.table], |row| row.get(0)).optional()?;
    Ok(match kind.as_deref() {
        Some("view") => Some("a view"),
        Some("shadow") => Some("a part of a virtual table"),
        _ => None,
    })
}

/// The columns of a table; empty if there is no such table.
pub(super) fn found_columns(
    connection: &Connection,
    table: &TableName,
) -> rusqlite::Result<Vec<FoundColumn>> {
    let schema = table.schema.as_deref().unwrap_or("main");
    let sql =
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1, ?2)";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([&table.table, schema], |row| {
        let (declared, hidden): (String, u8) = (row.get(1)?, row.get(5)?);
        let (not_null, has_default, key): (bool, bool, u32) = (row.get(2)?, row.get(3)?, row.get(4)?);
        // A key that is one INTEGER is the row's number, which SQLite assigns.
        let is_row_number = key == 1 && declared.eq_ignore_ascii_case("integer");
        Ok(FoundColumn {
            name: row.get(0)?,
            takes: takes(&declared),
            declared: if declared.is_empty() { "without a type".to_owned() } else { declared },
            is_needed: not_null && !has_default && !is_row_number && hidden == 0,
            // Declared lengths mean nothing to SQLite.
            text_max: None,
            is_key: key > 0,
            is_computed: hidden != 0,
        })
    })?;
    rows.collect()
}

/// The kinds of values that a declared type holds without changing them (<https://sqlite.org/datatype3.html>, 3.1).
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
