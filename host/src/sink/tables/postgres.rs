//! Tables in PostgreSQL: its SQL, and what its codes mean for rows. How a connection is made is the business
//! of `database`.

mod copy_text;
mod ledger;
mod table;

use std::ops::Range;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::{Error, Statement};

use super::dialect::{OpenedTable, TableAddress, TableDialect, TableFailure};
use crate::database::postgres::{self, DURABLE, PostgresConnection};
use crate::database::{DatabaseError, Server};
use crate::ids::RunId;
use crate::sink::encoded::Encoded;
use crate::sink::pages::Pages;
use copy_text::CopyText;
use ledger::PostgresLedger;

/// A connection to PostgreSQL, with the statements that are prepared on it.
#[derive(Debug)]
pub(crate) struct PostgresTableConnection {
    connection: PostgresConnection,
    ledger: PostgresLedger,
    copy: Statement,
}

type PostgresFailure = TableFailure<Error>;

impl TableDialect for PostgresTableConnection {
    type Error = Error;
    type Form = CopyText;

    const NAME: &'static str = "PostgreSQL";

    // COPY is one statement for any number of rows.
    const ENTRIES_AT_ONCE: usize = usize::MAX;

    async fn open(at: &TableAddress) -> Result<(Self, OpenedTable), PostgresFailure> {
        let mut connection = connect(&at.server).await?;
        let opened = table::make(&mut connection, &at.table, &at.shape).await?;
        Ok((Self::prepare(connection, at).await?, opened))
    }

    async fn connect(at: &TableAddress) -> Result<Self, PostgresFailure> {
        Ok(Self::prepare(connect(&at.server).await?, at).await?)
    }

    fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    async fn begin(&mut self, run: RunId, pages: &mut Pages) -> Result<(), PostgresFailure> {
        // If constraints were checked at the end of the transaction, no one could tell there which row broke
        // them.
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED; SET CONSTRAINTS ALL IMMEDIATE";
        self.connection.batch_execute(begin).await?;
        Ok(self.ledger.lock(&self.connection, run, pages).await?)
    }

    fn form(&self) -> CopyText {
        CopyText
    }

    async fn try_insert(
        &mut self,
        encoded: &Encoded,
        entries: Range<usize>,
    ) -> Result<Option<String>, Error> {
        let connection = &self.connection;
        connection.batch_execute("SAVEPOINT simplegrid").await?;
        match copy_in(connection, &self.copy, encoded.bytes_of(entries)).await {
            Ok(()) => connection.batch_execute("RELEASE simplegrid").await.map(|()| None),
            Err(error) => {
                let Some(message) = refusal(&error) else { return Err(error) };
                connection.batch_execute("ROLLBACK TO simplegrid").await?;
                Ok(Some(message))
            }
        }
    }

    async fn finish(&mut self, run: RunId, changed: &[(i64, Vec<u8>)]) -> Result<(), Error> {
        self.ledger.update(&self.connection, run, changed).await?;
        self.connection.batch_execute("COMMIT").await
    }

    async fn close_run(&mut self, run: RunId) -> Result<(), Error> {
        self.ledger.close(&mut self.connection, run).await
    }

    fn in_words(server: &Server, error: &Error) -> DatabaseError {
        postgres::in_words(server, error)
    }

    fn may_pass(_: &Server, error: &Error) -> bool {
        is_temporary(error)
    }
}

impl PostgresTableConnection {
    async fn prepare(connection: PostgresConnection, at: &TableAddress) -> Result<Self, Error> {
        let ledger = PostgresLedger::prepare(&connection, &at.table.ledger()).await?;
        let copy = connection.prepare(&table::copy_statement(&at.table, &at.shape)).await?;
        Ok(Self { connection, ledger, copy })
    }
}

async fn connect(server: &Server) -> Result<PostgresConnection, PostgresFailure> {
    let connection = postgres::connect(server).await.map_err(TableFailure::Connection)?;
    connection.batch_execute(DURABLE).await?;
    Ok(connection)
}

async fn copy_in(connection: &PostgresConnection, copy: &Statement, rows: Bytes) -> Result<(), Error> {
    let sink = connection.copy_in(copy).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(rows).await?;
    sink.finish().await.map(drop)
}

/// The message of a database that refuses a row; `None` if the row is not to blame (see appendix A of its
/// manual).
fn refusal(error: &Error) -> Option<String> {
    let said = error.as_db_error()?;
    let code = said.code().code();
    // Data, constraints, views, limits of a row, and exceptions that a trigger raises.
    let is_refusal = ["22", "23", "44", "54", "P0"].iter().any(|class| code.starts_with(class));
    let detail = said.detail().map_or_else(String::new, |detail| format!(" ({detail})"));
    is_refusal.then(|| format!("{}{detail}", said.message()))
}

/// Whether the same statement can succeed later: after trouble with the connection, a conflict, a shortage,
/// an administrator's command or a standby.
fn is_temporary(error: &Error) -> bool {
    match error.code().map(|code| code.code()) {
        None => true,
        Some("25006" | "25P02" | "25P03") => true,
        Some(code) => ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class)),
    }
}
