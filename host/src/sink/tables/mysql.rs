//! Tables in MySQL and MariaDB: their SQL, and what their codes mean for rows. How a connection is made is
//! the business of `database`.

mod ledger;
mod literal;
mod table;

use std::ops::Range;

use bytes::Bytes;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::dialect::{OpenedTable, TableAddress, TableDialect, TableFailure};
use crate::database::{DatabaseError, Server, Trouble, mysql};
use crate::ids::RunId;
use crate::sink::encoded::Encoded;
use crate::sink::pages::Pages;
use ledger::MysqlLedger;
use literal::Literals;

/// Bytes of one statement, unless a single row is longer or the server accepts less: beside so many, a round
/// trip hardly counts.
const STATEMENT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of the server's longest packet that a statement leaves free. One is the command's; the others do no
/// harm.
const PACKET_BYTES_SPARE: usize = 1024;

/// The settings of every connection: a value that does not fit is an error and is not made to fit, and text
/// is UTF-8.
const SETTINGS: &str = "SET NAMES utf8mb4, SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
                        SESSION autocommit = 1";

/// Each statement sees what other transactions have committed by then.
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// A connection to MySQL.
#[derive(Debug)]
pub(crate) struct MysqlTableConnection {
    connection: Conn,
    ledger: MysqlLedger,
    /// The beginning of each statement, before its rows.
    insert: String,
    /// Bytes of the longest statement that the server accepts.
    statement_bytes_max: usize,
    /// The run whose mark is known to be in the ledger.
    marked: Option<RunId>,
}

type MysqlFailure = TableFailure<Error>;

impl TableDialect for MysqlTableConnection {
    type Error = Error;
    type Form = Literals;

    const NAME: &'static str = "MySQL";

    // A refusal means that all of these are tried again in halves.
    const ENTRIES_AT_ONCE: usize = 4096;

    async fn open(at: &TableAddress) -> Result<(Self, OpenedTable), MysqlFailure> {
        let mut opened = Self::connect(at).await?;
        let narrow = table::make(&mut opened.connection, &at.table, &at.shape).await?;
        let ledger = opened.ledger.make(&mut opened.connection).await?;
        Ok((opened, OpenedTable { ledger, narrow }))
    }

    async fn connect(at: &TableAddress) -> Result<Self, MysqlFailure> {
        let mut connection = mysql::connect(&at.server).await.map_err(TableFailure::Connection)?;
        connection.query_drop(SETTINGS).await?;
        connection.query_drop(ISOLATION).await?;
        let packet: Option<u64> = connection.query_first("SELECT @@max_allowed_packet").await?;
        let packet_bytes_max = packet.map_or(STATEMENT_BYTES_MAX, |bytes| bytes as usize);
        let statement_bytes_max = packet_bytes_max.saturating_sub(PACKET_BYTES_SPARE);
        let insert = table::insert_statement(&at.table, &at.shape);
        let ledger = MysqlLedger::new(&at.table.ledger());
        Ok(Self { connection, ledger, insert, statement_bytes_max, marked: None })
    }

    async fn begin(&mut self, run: RunId, pages: &mut Pages) -> Result<(), MysqlFailure> {
        if self.marked != Some(run) {
            self.ledger.mark(&mut self.connection, run).await?;
            self.marked = Some(run);
        }
        self.connection.query_drop("START TRANSACTION").await?;
        let has_mark = self.ledger.lock(&mut self.connection, run, pages).await?;
        if has_mark { Ok(()) } else { Err(TableFailure::LedgerEmptied) }
    }

    fn form(&self) -> Literals {
        Literals { row_bytes_max: self.statement_bytes_max.saturating_sub(self.insert.len()) }
    }

    async fn try_insert(
        &mut self,
        encoded: &Encoded,
        entries: Range<usize>,
    ) -> Result<Option<String>, Error> {
        let bytes_max = STATEMENT_BYTES_MAX.min(self.statement_bytes_max).saturating_sub(self.insert.len());
        let statements = encoded.pieces_of(entries, bytes_max);
        // A statement that fails leaves nothing behind, so a single one needs no savepoint.
        let is_one = statements.len() == 1;
        if !is_one {
            self.connection.query_drop("SAVEPOINT simplegrid").await?;
        }
        let Err(error) = self.insert_all(&statements).await else { return Ok(None) };
        let Some(message) = refusal(&error) else { return Err(error) };
        if !is_one {
            self.connection.query_drop("ROLLBACK TO SAVEPOINT simplegrid").await?;
        }
        Ok(Some(message))
    }

    async fn finish(&mut self, run: RunId, changed: &[(i64, Vec<u8>)]) -> Result<(), Error> {
        self.ledger.update(&mut self.connection, run, changed).await?;
        self.connection.query_drop("COMMIT").await
    }

    async fn close_run(&mut self, run: RunId) -> Result<(), Error> {
        self.ledger.close(&mut self.connection, run).await
    }

    fn in_words(server: &Server, error: &Error) -> DatabaseError {
        mysql::in_words(server, error)
    }

    fn may_pass(server: &Server, error: &Error) -> bool {
        let error = mysql::in_words(server, error);
        match error.trouble {
            // A table that was dropped does not come back by itself.
            Trouble::NoSuchTable { .. } => false,
            _ => error.is_temporary(),
        }
    }
}

impl MysqlTableConnection {
    async fn insert_all(&mut self, statements: &[Bytes]) -> Result<(), Error> {
        for rows in statements {
            // Each row ends with a comma, which the last one must not have.
            let rows = &rows[..rows.len() - 1];
            let mut statement = Vec::with_capacity(self.insert.len() + rows.len());
            statement.extend_from_slice(self.insert.as_bytes());
            statement.extend_from_slice(rows);
            self.connection.query_drop(statement).await?;
        }
        Ok(())
    }
}

/// The message of a database that refuses a row; `None` if the row is not to blame (`mysqld_error.h`).
fn refusal(error: &Error) -> Option<String> {
    let Error::Server(said) = error else { return None };
    // Wrong values for a column, checks, and a missing value for a column without a default: their states are
    // general ones.
    let by_code = matches!(said.code, 1265 | 1364 | 1366 | 1411 | 1690 | 3819 | 4025);
    let by_class = ["22", "23", "44", "45"].iter().any(|class| said.state.starts_with(class));
    (by_code || by_class).then(|| said.message.clone())
}
