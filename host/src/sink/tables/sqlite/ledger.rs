//! The ledger in a SQLite file. All functions are called inside an immediate transaction, beside which no
//! other connection writes.

use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::ids::RunId;
use crate::sink::pages::{KEEP_MARKS_DAYS, OVER, Pages};
use crate::sink::url::LEDGER_TABLE;

/// Makes the ledger if it is not there, and returns its own name: two slaves whose sinks have the same one
/// put rows into the same place, however they address it.
pub(super) fn make(connection: &Connection) -> Result<String> {
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {LEDGER_TABLE} (run TEXT NOT NULL, page INTEGER NOT NULL, bits BLOB NOT NULL, \
         changed INTEGER NOT NULL, PRIMARY KEY (run, page)) WITHOUT ROWID, STRICT; \
         INSERT INTO {LEDGER_TABLE} (run, page, bits, changed) VALUES ('', 0, randomblob(8), unixepoch()) \
         ON CONFLICT DO NOTHING"
    ))?;
    let sql = format!("SELECT lower(hex(bits)) FROM {LEDGER_TABLE} WHERE run = '' AND page = 0");
    connection.query_row(&sql, [], |row| row.get(0))
}

/// Fills the pages with the ledger's bits.
pub(super) fn load(connection: &Connection, run: RunId, pages: &mut Pages) -> Result<()> {
    let run = run.to_string();
    let sql = format!("SELECT bits FROM {LEDGER_TABLE} WHERE run = ?1 AND page = ?2");
    let mut select = connection.prepare_cached(&sql)?;
    for number in std::iter::once(OVER).chain(pages.numbers()) {
        let bits: Option<Vec<u8>> = select.query_row(params![run, number], |row| row.get(0)).optional()?;
        if let Some(bits) = bits {
            pages.load(number, &bits);
        }
    }
    Ok(())
}

/// Writes the changed pages.
pub(super) fn update(connection: &Connection, run: RunId, changed: &[(i64, Vec<u8>)]) -> Result<()> {
    let run = run.to_string();
    let sql = format!(
        "INSERT INTO {LEDGER_TABLE} (run, page, bits, changed) VALUES (?1, ?2, ?3, unixepoch()) \
         ON CONFLICT DO UPDATE SET bits = excluded.bits, changed = excluded.changed"
    );
    let mut update = connection.prepare_cached(&sql)?;
    for (number, bits) in changed {
        update.execute(params![run, number, bits])?;
    }
    Ok(())
}

/// Replaces all pages of a run by its mark.
pub(super) fn close(connection: &Connection, run: RunId) -> Result<()> {
    let run = run.to_string();
    connection.execute(
        &format!(
            "INSERT INTO {LEDGER_TABLE} (run, page, bits, changed) VALUES (?1, ?2, x'01', unixepoch()) \
             ON CONFLICT DO NOTHING"
        ),
        params![run, OVER],
    )?;
    let forget = format!("DELETE FROM {LEDGER_TABLE} WHERE run = ?1 AND page <> ?2");
    connection.execute(&forget, params![run, OVER])?;
    let forget_old =
        format!("DELETE FROM {LEDGER_TABLE} WHERE page = ?1 AND changed < unixepoch() - ?2 * 86400");
    connection.execute(&forget_old, params![OVER, KEEP_MARKS_DAYS])?;
    Ok(())
}
