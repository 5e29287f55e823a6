//! The table in MySQL: made once, by the first slave that needs it, and checked by all.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use crate::plugin::Kind;
use crate::sink::shape::Shape;
use crate::sink::tables::dialect::TableFailure;
use crate::sink::tables::table_shape::{FoundColumn, Names, check, declarations, names};
use crate::sink::url::TableName;

/// A column as the database describes it: name, type, full type, nullable, has a default, extra.
type Described = (String, String, String, String, bool, String);

/// Makes the table if it is not there, and checks it.
pub(super) async fn make(
    connection: &mut Conn,
    table: &TableName,
    shape: &Shape,
) -> Result<(), TableFailure<Error>> {
    let mut engine = engine(connection, table).await?;
    if engine.is_none() {
        connection.query_drop(create_table(table, shape)).await?;
        engine = self::engine(connection, table).await?;
    }
    if engine.is_some_and(|(_, has_transactions)| !has_transactions) {
        return Err(TableFailure::Unfit(format!(
            "the table {table} does not support transactions, so rows could be there twice or in part; run \
             ALTER TABLE … ENGINE = InnoDB"
        )));
    }
    let found = found_columns(connection, table).await?;
    check(&table.to_string(), &found, shape, Names::AnyCase).map_err(TableFailure::Unfit)
}

/// The beginning of each statement, before its rows.
pub(super) fn insert_statement(table: &TableName, shape: &Shape) -> String {
    format!("INSERT INTO {} ({}) VALUES ", table.quoted('`'), names(shape, '`'))
}

/// The type of the table, and whether its storage engine has transactions; `None` if there is no such table.
async fn engine(connection: &mut Conn, table: &TableName) -> Result<Option<(String, bool)>, Error> {
    let sql = "SELECT t.table_type, coalesce(e.transactions, 'YES') = 'YES' FROM information_schema.tables t \
               LEFT JOIN information_schema.engines e ON e.engine = t.engine \
               WHERE t.table_schema = coalesce(?, database()) AND t.table_name = ?";
    connection.exec_first(sql, (&table.schema, &table.table)).await
}

fn create_table(table: &TableName, shape: &Shape) -> String {
    let columns = declarations(shape, '`', |kind| match kind {
        Kind::Bool => "BOOLEAN NULL",
        Kind::Int => "BIGINT NULL",
        Kind::Float => "DOUBLE NULL",
        Kind::Bytes => "LONGBLOB NULL",
        Kind::Text => "LONGTEXT NULL",
    });
    let name = table.quoted('`');
    format!("CREATE TABLE IF NOT EXISTS {name} ({columns}) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4")
}

async fn found_columns(connection: &mut Conn, table: &TableName) -> Result<Vec<FoundColumn>, Error> {
    let sql = "SELECT column_name, data_type, column_type, is_nullable, column_default IS NOT NULL, extra \
               FROM information_schema.columns WHERE table_schema = coalesce(?, database()) AND table_name = ? \
               ORDER BY ordinal_position";
    let described: Vec<Described> = connection.exec(sql, (&table.schema, &table.table)).await?;
    Ok(described.into_iter().map(found_column).collect())
}

fn found_column((name, data_type, declared, nullable, has_default, extra): Described) -> FoundColumn {
    let extra = extra.to_lowercase();
    let is_generated = extra.contains("generated") && !extra.contains("default_generated");
    let fills_itself =
        is_generated || extra.contains("auto_increment") || extra.contains("default_generated");
    FoundColumn {
        name,
        takes: if is_generated { Vec::new() } else { takes(&data_type.to_lowercase()) },
        declared,
        is_needed: nullable.eq_ignore_ascii_case("no") && !has_default && !fills_itself,
    }
}

/// The kinds of values that a type can hold.
fn takes(data_type: &str) -> Vec<Kind> {
    match data_type {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" => vec![Kind::Int, Kind::Bool],
        "decimal" | "numeric" => vec![Kind::Int, Kind::Float, Kind::Bool],
        "float" | "double" | "real" => vec![Kind::Float],
        "bit" => vec![Kind::Bool],
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            vec![Kind::Text, Kind::Int, Kind::Float, Kind::Bool]
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => vec![Kind::Bytes],
        // Dates, enums, documents, addresses: all of these are written as text, and the database judges each
        // row.
        _ => vec![Kind::Text],
    }
}
