//! The table in MySQL: made once, by the first slave that needs it, and checked by all.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use crate::plugin::Kind;
use crate::sink::narrow::{NarrowColumn, TextMax};
use crate::sink::shape::Shape;
use crate::sink::tables::dialect::TableFailure;
use crate::sink::tables::table_shape::{
    FoundColumn, Names, check, declarations, names, narrow_columns, not_a_table,
};
use crate::sink::url::TableName;

/// What both servers call tables that rows can be inserted into (`table_type`).
const TABLES: [&str; 2] = ["BASE TABLE", "SYSTEM VERSIONED"];

/// A column as the database describes it: name, type, full type, nullable, has a default, extra, the
/// characters and bytes that it holds, the bytes of its longest character, whether its texts are UTF-8, and
/// whether it is in a key.
type Described = (String, String, String, String, bool, String, Option<u64>, Option<u64>, u64, bool, bool);

/// Makes the table if it is not there, and checks it. Returns the columns that are narrow.
pub(super) async fn make(
    connection: &mut Conn,
    table: &TableName,
    shape: &Shape,
) -> Result<Vec<NarrowColumn>, TableFailure<Error>> {
    let mut kind = kind(connection, table).await?;
    if kind.is_none() {
        connection.query_drop(create_table(table, shape)).await?;
        kind = self::kind(connection, table).await?;
    }
    let (what, has_transactions) = kind.unwrap_or_else(|| ("BASE TABLE".to_owned(), true));
    if !TABLES.contains(&what.as_str()) {
        let what = if what.ends_with("VIEW") { "a view" } else { "something else" };
        return Err(TableFailure::Unfit(not_a_table(&table.to_string(), what)));
    }
    if !has_transactions {
        return Err(TableFailure::Unfit(format!(
            "the table {table} does not support transactions, so rows could be there twice or in part; run \
             ALTER TABLE … ENGINE = InnoDB"
        )));
    }
    let found = found_columns(connection, table).await?;
    check(&table.to_string(), &found, shape, Names::AnyCase).map_err(TableFailure::Unfit)?;
    Ok(narrow_columns(&found, shape, Names::AnyCase))
}

/// The beginning of each statement, before its rows.
pub(super) fn insert_statement(table: &TableName, shape: &Shape) -> String {
    format!("INSERT INTO {} ({}) VALUES ", table.quoted('`'), names(shape, '`'))
}

/// What there is under the table's name, and whether its storage engine has transactions; `None` if there is
/// nothing.
async fn kind(connection: &mut Conn, table: &TableName) -> Result<Option<(String, bool)>, Error> {
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
    let sql = "SELECT c.column_name, c.data_type, c.column_type, c.is_nullable, c.column_default IS NOT NULL, \
               c.extra, c.character_maximum_length, c.character_octet_length, coalesce(s.maxlen, 1), \
               coalesce(s.character_set_name LIKE 'utf8%', 0), \
               EXISTS (SELECT 1 FROM information_schema.statistics k WHERE k.table_schema = c.table_schema \
                       AND k.table_name = c.table_name AND k.column_name = c.column_name AND k.non_unique = 0) \
               FROM information_schema.columns c LEFT JOIN information_schema.character_sets s \
               ON s.character_set_name = c.character_set_name \
               WHERE c.table_schema = coalesce(?, database()) AND c.table_name = ? ORDER BY c.ordinal_position";
    let described: Vec<Described> = connection.exec(sql, (&table.schema, &table.table)).await?;
    Ok(described.into_iter().map(found_column).collect())
}

fn found_column(described: Described) -> FoundColumn {
    let (
        name,
        data_type,
        declared,
        nullable,
        has_default,
        extra,
        characters,
        bytes,
        longest,
        is_utf8,
        is_key,
    ) = described;
    let data_type = data_type.to_lowercase();
    let extra = extra.to_lowercase();
    let is_generated = extra.contains("generated") && !extra.contains("default_generated");
    let fills_itself =
        is_generated || extra.contains("auto_increment") || extra.contains("default_generated");
    FoundColumn {
        name,
        takes: takes(&data_type),
        text_max: text_max(&data_type, characters, bytes, longest, is_utf8),
        is_key,
        declared,
        is_needed: nullable.eq_ignore_ascii_case("no") && !has_default && !fills_itself,
        is_computed: is_generated,
    }
}

/// The longest text of a column. CHAR and VARCHAR count characters; the TEXT types count bytes, in their own
/// character set.
fn text_max(
    data_type: &str,
    characters: Option<u64>,
    bytes: Option<u64>,
    longest: u64,
    is_utf8: bool,
) -> Option<TextMax> {
    match data_type {
        "char" | "varchar" => Some(TextMax::Characters(characters? as usize)),
        "tinytext" | "text" | "mediumtext" if is_utf8 => Some(TextMax::Bytes(bytes? as usize)),
        "tinytext" | "text" | "mediumtext" => Some(TextMax::Characters((bytes? / longest.max(1)) as usize)),
        // LONGTEXT holds four gigabytes, and no text comes near that.
        _ => None,
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
