//! Rows in a table of a PostgreSQL database. It owns that database's SQL; how a connection is made is the
//! business of `database`.

mod copy_text;
mod ledger;
mod table;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::{Error, Statement};

use super::bisection::Bisection;
use crate::database::postgres::{self, PostgresConnection};
use crate::database::{DatabaseError, Server};
use crate::ids::RunId;
use crate::sink::blocking::Blocking;
use crate::sink::columns::Shape;
use crate::sink::encoded::Encoded;
use crate::sink::error::{OpenError, StoreError};
use crate::sink::group::{Fate, Group};
use crate::sink::judgement::Judgement;
use crate::sink::pages::Pages;
use crate::sink::url::TableName;
use copy_text::CopyText;

/// How long a transaction may take. Then the server is as good as gone, and another connection is tried: the
/// ledger tells whether it has succeeded after all.
const COMMIT_MAX: Duration = Duration::from_secs(120);

/// What is acknowledged must survive a crash of the server, even if its administrator does not mind.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
                       WHERE current_setting('synchronous_commit') = 'off'";

/// A table in a PostgreSQL database.
#[derive(Debug)]
pub(crate) struct PostgresTable {
    server: Server,
    table: TableName,
    shape: Shape,
    /// What masters are told.
    name: String,
    /// Gone after every failure: what a server does with half a transaction is certain only when it is over.
    session: Option<Session>,
}

/// A connection, with its statements.
#[derive(Debug)]
struct Session {
    connection: PostgresConnection,
    statements: ledger::Statements,
    copy: Statement,
}

/// Why a statement was not carried out.
#[derive(Debug)]
enum Failure {
    Statement(Error),
    Connection(DatabaseError),
    Silent,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Statement(error)
    }
}

impl PostgresTable {
    /// Connects, and makes the table if it is not there.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) async fn open(server: &Server, table: &TableName, shape: Shape) -> Result<Self, OpenError> {
        let mut connection = postgres::connect(server).await.map_err(|error| open_error(&error))?;
        connection
            .batch_execute(DURABLE)
            .await
            .map_err(|error| open_error(&postgres::in_words(server, &error)))?;
        let ledger = table::make(&mut connection, table, &shape).await.map_err(|error| match error {
            table::MakeError::Unfit(message) => OpenError::Unfit(format!("{server}: {message}")),
            table::MakeError::Database(error) => open_error(&postgres::in_words(server, &error)),
        })?;
        let name = format!("the table {table} (PostgreSQL, ledger {ledger})");
        let mut opened = Self { server: server.clone(), table: table.clone(), shape, name, session: None };
        let session = opened.session(connection).await;
        opened.session = Some(session.map_err(|error| open_error(&postgres::in_words(server, &error)))?);
        Ok(opened)
    }

    /// Leaves the connection, and whatever is going on in it.
    pub(crate) fn disconnect(&mut self) {
        self.session = None;
    }

    /// What masters are told.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    async fn session(&self, connection: PostgresConnection) -> Result<Session, Error> {
        let statements = ledger::Statements::prepare(&connection, &self.table.ledger()).await?;
        let copy = connection.prepare(&table::copy_statement(&self.table, &self.shape)).await?;
        Ok(Session { connection, statements, copy })
    }

    /// Inserts what is not there yet, and notes it in the ledger, in one transaction.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn commit(&mut self, group: &Arc<Group>) -> Result<Vec<Fate>, StoreError> {
        let committed = tokio::time::timeout(COMMIT_MAX, self.try_commit(group)).await;
        self.judge(committed.unwrap_or(Err(Failure::Silent)))
    }

    /// Puts one mark in the place of what the ledger has of a run that is over.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn close_run(&mut self, run: RunId) -> Result<(), StoreError> {
        let closing = async {
            self.connect().await?;
            let session = self.session.as_mut().expect("it was just connected");
            Ok(session.statements.close(&mut session.connection, run).await?)
        };
        let closed = tokio::time::timeout(COMMIT_MAX, closing).await;
        self.judge(closed.unwrap_or(Err(Failure::Silent)))
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let is_gone = |session: &Session| session.connection.is_closed();
        if self.session.as_ref().is_none_or(is_gone) {
            self.session = None;
            let connection = postgres::connect(&self.server).await.map_err(Failure::Connection)?;
            connection.batch_execute(DURABLE).await?;
            self.session = Some(self.session(connection).await?);
        }
        Ok(())
    }

    async fn try_commit(&mut self, group: &Arc<Group>) -> Result<Vec<Fate>, Failure> {
        self.connect().await?;
        let shape = self.shape.clone();
        let session = self.session.as_mut().expect("it was just connected");
        let Session { connection, statements, copy } = session;
        // Constraints that are checked at the end of a transaction could not be told from each other there.
        connection
            .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED; SET CONSTRAINTS ALL IMMEDIATE")
            .await?;
        let mut pages = Pages::of(group.entries.iter().map(|entry| entry.seq));
        statements.lock(connection, group.run, &mut pages).await?;
        let mut judgement = Judgement::new(group.clone(), pages);
        let (indexes, for_encoding) = (judgement.to_insert(), group.clone());
        let encode = move |_: &mut ()| Encoded::new(&for_encoding, &indexes, &shape, &CopyText);
        let encoded = Blocking::new(()).run(encode).await;
        let refused = encoded.refused.iter().cloned();
        refused.for_each(|(index, message)| judgement.refuse(index, message));
        insert(connection, copy, &encoded, &mut judgement).await?;
        let (fates, changed) = judgement.settle();
        statements.update(connection, group.run, &changed).await?;
        connection.batch_execute("COMMIT").await?;
        Ok(fates)
    }

    /// After a failure the connection is given up, and with it the transaction.
    fn judge<T>(&mut self, result: Result<T, Failure>) -> Result<T, StoreError> {
        let failure = match result {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        self.session = None;
        let server = &self.server;
        Err(match failure {
            Failure::Silent => {
                let seconds = COMMIT_MAX.as_secs();
                StoreError::Lost(format!("the database {server} has not answered for {seconds} s"))
            }
            Failure::Connection(error) => StoreError::Lost(error.to_string()),
            Failure::Statement(error) => {
                let words = postgres::in_words(server, &error).to_string();
                if may_pass(&error) { StoreError::Lost(words) } else { StoreError::Broken(words) }
            }
        })
    }
}

/// Inserts all rows but those that the database refuses.
async fn insert(
    connection: &PostgresConnection,
    copy: &Statement,
    encoded: &Encoded,
    judgement: &mut Judgement,
) -> Result<(), Error> {
    let mut bisection = Bisection::new(encoded.len(), encoded.len());
    while let Some(entries) = bisection.next() {
        connection.batch_execute("SAVEPOINT simplegrid").await?;
        match copy_in(connection, copy, encoded.bytes_of(entries.clone())).await {
            Ok(()) => connection.batch_execute("RELEASE simplegrid").await?,
            Err(error) => {
                let Some(message) = refusal(&error) else { return Err(error) };
                connection.batch_execute("ROLLBACK TO simplegrid").await?;
                if let Some(entry) = bisection.on_refused(entries) {
                    judgement.refuse(encoded.index(entry), message);
                }
            }
        }
    }
    Ok(())
}

async fn copy_in(connection: &PostgresConnection, copy: &Statement, rows: Bytes) -> Result<(), Error> {
    let sink = connection.copy_in(copy).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(rows).await?;
    sink.finish().await.map(drop)
}

/// What the database says of a row that it refuses; nothing if the row is not to blame (its manual, appendix
/// A).
fn refusal(error: &Error) -> Option<String> {
    let said = error.as_db_error()?;
    let code = said.code().code();
    // Data, constraints, views, limits of a row, and what a trigger has raised.
    let is_refusal = ["22", "23", "44", "54", "P0"].iter().any(|class| code.starts_with(class));
    let detail = said.detail().map_or_else(String::new, |detail| format!(" ({detail})"));
    is_refusal.then(|| format!("{}{detail}", said.message()))
}

/// Whether the same may succeed later: the connection, a conflict, a shortage, an administrator, a standby.
fn may_pass(error: &Error) -> bool {
    match error.code().map(|code| code.code()) {
        None => true,
        Some("25006" | "25P02" | "25P03") => true,
        Some(code) => ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class)),
    }
}

fn open_error(error: &DatabaseError) -> OpenError {
    if error.is_temporary() {
        OpenError::Unreachable(error.to_string())
    } else {
        OpenError::Unfit(error.to_string())
    }
}
