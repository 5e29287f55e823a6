//! The table and the ledger in PostgreSQL: made once, by the first slave that needs them. The table is
//! checked by all.

use tokio_postgres::{Error, Transaction};

use crate::database::postgres::PostgresConnection;
use crate::plugin::Kind;
use crate::sink::narrow::TextMax;
use crate::sink::shape::Shape;
use crate::sink::tables::dialect::{OpenedTable, TableFailure};
use crate::sink::tables::table_shape::{
    FoundColumn, Names, check, declarations, names, narrow_columns, not_a_table,
};
use crate::sink::url::TableName;

/// Slaves that start at the same time make a table one after the other: they lock this number together with
/// the table's name.
const LOCK: i64 = 0x51_4d_47_52_49_44;

/// Makes the table and the ledger if they are not there, and checks the table.
pub(super) async fn make(
    connection: &mut PostgresConnection,
    table: &TableName,
    shape: &Shape,
) -> Result<OpenedTable, TableFailure<Error>> {
    let transaction = connection.transaction().await?;
    let name = table.quoted('"');
    transaction.query("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", &[&name, &LOCK]).await?;
    // A user who may not create tables may still use those that exist.
    if !is_there(&transaction, &name).await? {
        transaction.batch_execute(&create_table(table, shape)).await?;
    }
    if let Some(unfit) = unfit_relation(&transaction, &name, table).await? {
        return Err(TableFailure::Unfit(unfit));
    }
    let found = found_columns(&transaction, &name).await?;
    check(&table.to_string(), &found, shape, Names::Exact).map_err(TableFailure::Unfit)?;
    let narrow = narrow_columns(&found, shape, Names::Exact);
    let ledger = table.ledger().quoted('"');
    transaction.query("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", &[&ledger, &LOCK]).await?;
    if !is_there(&transaction, &ledger).await? {
        transaction
            .batch_execute(&format!(
                "CREATE TABLE {ledger} (run text NOT NULL, page bigint NOT NULL, bits bytea NOT NULL, \
                 changed timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (run, page))"
            ))
            .await?;
    }
    let insert = format!(
        "INSERT INTO {ledger} (run, page, bits) VALUES ('', 0, decode(md5(random()::text || clock_timestamp()), 'hex')) \
         ON CONFLICT DO NOTHING"
    );
    transaction.execute(&insert, &[]).await?;
    let select = format!("SELECT left(encode(bits, 'hex'), 16) FROM {ledger} WHERE run = '' AND page = 0");
    let ledger = transaction.query_one(&select, &[]).await?.try_get(0)?;
    transaction.commit().await?;
    Ok(OpenedTable { ledger, narrow })
}

/// The statement that inserts rows.
pub(super) fn copy_statement(table: &TableName, shape: &Shape) -> String {
    format!("COPY {} ({}) FROM STDIN", table.quoted('"'), names(shape, '"'))
}

/// Why what has the table's name cannot be a sink, if that is so (`relkind` and `relpersistence` of
/// `pg_class`).
async fn unfit_relation(
    transaction: &Transaction<'_>,
    name: &str,
    table: &TableName,
) -> Result<Option<String>, Error> {
    let sql = "SELECT relkind::text, relpersistence::text FROM pg_class WHERE oid = to_regclass($1)";
    let Some(row) = transaction.query_opt(sql, &[&name]).await? else { return Ok(None) };
    let (kind, persistence): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let what = match (kind.as_str(), persistence.as_str()) {
        ("r" | "p", "u") => {
            return Ok(Some(format!(
                "the table {table} is unlogged, so PostgreSQL empties it after a crash, and rows would be lost; run \
                 ALTER TABLE … SET LOGGED"
            )));
        }
        ("r" | "p", _) => return Ok(None),
        ("v", _) => "a view",
        ("m", _) => "a materialized view",
        // What its server has, and what the ledger says, would not be committed together.
        ("f", _) => "a foreign table",
        ("S", _) => "a sequence",
        _ => "something else",
    };
    Ok(Some(not_a_table(&table.to_string(), what)))
}

async fn is_there(transaction: &Transaction<'_>, name: &str) -> Result<bool, Error> {
    transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await?.try_get(0)
}

fn create_table(table: &TableName, shape: &Shape) -> String {
    let columns = declarations(shape, '"', |kind| match kind {
        Kind::Bool => "boolean",
        Kind::Int => "bigint",
        Kind::Float => "double precision",
        Kind::Bytes => "bytea",
        Kind::Text => "text",
    });
    format!("CREATE TABLE {} ({columns})", table.quoted('"'))
}

async fn found_columns(transaction: &Transaction<'_>, name: &str) -> Result<Vec<FoundColumn>, Error> {
    // The type behind a domain decides which values it can hold. Its other rules show when rows are inserted.
    let sql = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), \
               coalesce(b.typname, t.typname)::text, coalesce(b.typcategory, t.typcategory)::text, \
               a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', \
               a.attgenerated <> '' OR a.attidentity = 'a', \
               CASE WHEN coalesce(b.typname, t.typname) IN ('varchar', 'bpchar') \
               THEN nullif(CASE WHEN b.oid IS NULL THEN a.atttypmod ELSE t.typtypmod END, -1) - 4 END, \
               EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique \
                       AND a.attnum = ANY (i.indkey)) \
               FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
               LEFT JOIN pg_type b ON b.oid = t.typbasetype \
               WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let rows = transaction.query(sql, &[&name]).await?;
    let column = |row: &tokio_postgres::Row| -> Result<FoundColumn, Error> {
        let (base, category): (String, String) = (row.try_get(2)?, row.try_get(3)?);
        Ok(FoundColumn {
            name: row.try_get(0)?,
            declared: row.try_get(1)?,
            takes: takes(&base, &category),
            is_needed: row.try_get(4)?,
            is_computed: row.try_get(5)?,
            text_max: row.try_get::<_, Option<i32>>(6)?.map(|max| TextMax::Characters(max.max(0) as usize)),
            is_key: row.try_get(7)?,
        })
    };
    rows.iter().map(column).collect()
}

/// The kinds of values that a type can hold, by its name and its category (see `pg_type` in PostgreSQL's
/// manual).
fn takes(base: &str, category: &str) -> Vec<Kind> {
    match (base, category) {
        ("bytea", _) => vec![Kind::Bytes],
        (_, "S") => vec![Kind::Text, Kind::Int, Kind::Float, Kind::Bool],
        (_, "B") => vec![Kind::Bool],
        ("numeric", _) => vec![Kind::Int, Kind::Float],
        ("float4" | "float8", _) => vec![Kind::Float],
        (_, "N") => vec![Kind::Int],
        // Dates, addresses, identifiers, documents: all of these are written as text, and the database judges
        // each row.
        _ => vec![Kind::Text],
    }
}
