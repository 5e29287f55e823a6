//! The ledger in MySQL. Pages are locked lowest first, so slaves seldom wait for each other in a circle. If
//! they do, the server ends one of the transactions, and it is tried again.

use std::fmt::Write;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use crate::ids::RunId;
use crate::sink::pages::{KEEP_MARKS_DAYS, OVER, Pages};
use crate::sink::url::TableName;

/// Pages in one statement, at most: a statement of some 300 KB, far below what servers accept by default.
const PAGES_AT_ONCE: usize = 1024;

/// The ledger.
#[derive(Debug)]
pub(super) struct MysqlLedger {
    name: String,
}

impl MysqlLedger {
    /// The ledger of that name.
    pub(super) fn new(name: &TableName) -> Self {
        Self { name: name.quoted('`') }
    }

    /// Makes the ledger if it is not there, and returns its own name.
    pub(super) async fn make(&self, connection: &mut Conn) -> Result<String, Error> {
        let name = &self.name;
        let id = format!("SELECT left(lower(hex(bits)), 16) FROM {name} WHERE run = '' AND page = 0");
        // A user who may not create tables may still use those that exist.
        if let Ok(Some(id)) = connection.query_first::<String, _>(id.as_str()).await {
            return Ok(id);
        }
        connection
            .query_drop(format!(
                "CREATE TABLE IF NOT EXISTS {name} (run VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
                 page BIGINT NOT NULL, bits VARBINARY(128) NOT NULL, \
                 changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (run, page)) ENGINE = InnoDB"
            ))
            .await?;
        connection
            .query_drop(format!(
                "INSERT IGNORE INTO {name} (run, page, bits) VALUES ('', 0, unhex(replace(uuid(), '-', '')))"
            ))
            .await?;
        let id = connection.query_first(id).await?;
        id.ok_or_else(|| Error::Other("the ledger has no name".into()))
    }

    /// Makes sure that the mark of a run is there. Not in a transaction, so that it stays, and making it
    /// waits for no other slave.
    pub(super) async fn mark(&self, connection: &mut Conn, run: RunId) -> Result<(), Error> {
        let name = &self.name;
        let sql = format!("INSERT IGNORE INTO {name} (run, page, bits) VALUES ('{run}', {OVER}, '')");
        connection.query_drop(sql).await
    }

    /// Makes the pages that are missing, locks all of them, and reads them. The lock on the mark is shared:
    /// the slave that fills it waits for all that are committing, and all later ones see it filled. Returns
    /// `false` if there is no mark.
    pub(super) async fn lock(
        &self,
        connection: &mut Conn,
        run: RunId,
        pages: &mut Pages,
    ) -> Result<bool, Error> {
        let name = &self.name;
        let mark =
            format!("SELECT bits FROM {name} WHERE run = '{run}' AND page = {OVER} LOCK IN SHARE MODE");
        let Some(mark) = connection.query_first::<Vec<u8>, _>(mark).await? else { return Ok(false) };
        pages.load(OVER, &mark);
        for numbers in pages.numbers().chunks(PAGES_AT_ONCE) {
            let rows = joined(numbers.iter().map(|number| format!("('{run}', {number}, '')")));
            // An update that changes nothing locks existing pages for writing at once. INSERT IGNORE would
            // lock them for reading first, and two slaves that do so wait for each other.
            let insert = format!(
                "INSERT INTO {name} (run, page, bits) VALUES {rows} ON DUPLICATE KEY UPDATE page = VALUES(page)"
            );
            connection.query_drop(insert).await?;
            let numbers = joined(numbers.iter().map(i64::to_string));
            let select = format!(
                "SELECT page, bits FROM {name} WHERE run = '{run}' AND page IN ({numbers}) ORDER BY page FOR UPDATE"
            );
            let locked: Vec<(i64, Vec<u8>)> = connection.query(select).await?;
            locked.iter().for_each(|(number, bits)| pages.load(*number, bits));
        }
        Ok(true)
    }

    /// Writes the changed pages.
    pub(super) async fn update(
        &self,
        connection: &mut Conn,
        run: RunId,
        changed: &[(i64, Vec<u8>)],
    ) -> Result<(), Error> {
        let name = &self.name;
        for pages in changed.chunks(PAGES_AT_ONCE) {
            let rows = joined(pages.iter().map(|(number, bits)| {
                let mut row = format!("('{run}', {number}, x'");
                bits.iter().for_each(|byte| write!(row, "{byte:02x}").expect("a string takes everything"));
                row + "')"
            }));
            let sql = format!(
                "INSERT INTO {name} (run, page, bits) VALUES {rows} \
                 ON DUPLICATE KEY UPDATE bits = VALUES(bits), changed = CURRENT_TIMESTAMP"
            );
            connection.query_drop(sql).await?;
        }
        Ok(())
    }

    /// Puts a mark in the place of all pages of a run.
    pub(super) async fn close(&self, connection: &mut Conn, run: RunId) -> Result<(), Error> {
        self.mark(connection, run).await?;
        let name = &self.name;
        for sql in [
            "START TRANSACTION".to_owned(),
            format!(
                "UPDATE {name} SET bits = x'01', changed = CURRENT_TIMESTAMP WHERE run = '{run}' AND page = {OVER}"
            ),
            format!("DELETE FROM {name} WHERE run = '{run}' AND page <> {OVER}"),
            "COMMIT".to_owned(),
            format!(
                "DELETE FROM {name} WHERE page = {OVER} AND bits <> '' \
                 AND changed < CURRENT_TIMESTAMP - INTERVAL {KEEP_MARKS_DAYS} DAY"
            ),
        ] {
            connection.query_drop(sql).await?;
        }
        Ok(())
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
