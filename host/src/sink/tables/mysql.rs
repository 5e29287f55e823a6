//! Rows in a table of a MySQL or MariaDB database. It owns that database's SQL; how a connection is made is
//! the business of `database`.

mod ledger;
mod literal;
mod table;

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::bisection::Bisection;
use crate::database::{DatabaseError, Server, Trouble, mysql};
use crate::ids::RunId;
use crate::sink::blocking::Blocking;
use crate::sink::columns::Shape;
use crate::sink::encoded::Encoded;
use crate::sink::error::{OpenError, StoreError};
use crate::sink::group::{Fate, Group};
use crate::sink::judgement::Judgement;
use crate::sink::pages::Pages;
use crate::sink::url::TableName;
use ledger::Ledger;
use literal::Literals;

/// How long a transaction may take. Then the server is as good as gone, and another connection is tried: the
/// ledger tells whether it has succeeded after all.
const COMMIT_MAX: Duration = Duration::from_secs(120);

/// Bytes of one statement, unless one row alone has more, or the server takes less.
const STATEMENT_BYTES_MAX: usize = 1024 * 1024;

/// Records that are inserted with one statement at most.
const ENTRIES_AT_ONCE: usize = 4096;

/// What a session is told first: values that do not fit are errors and not something else, what is written is
/// UTF-8, and no transaction sees less than what others have committed.
const SETTINGS: &str = "SET NAMES utf8mb4, SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
                        SESSION autocommit = 1";
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// A table in a MySQL database.
#[derive(Debug)]
pub(crate) struct MysqlTable {
    server: Server,
    shape: Shape,
    /// What masters are told.
    name: String,
    /// What stands before the rows of a statement.
    insert: String,
    ledger: Ledger,
    /// Gone after every failure: what a server does with half a transaction is certain only when it is over.
    session: Option<Session>,
}

/// A connection.
#[derive(Debug)]
struct Session {
    connection: Conn,
    /// Bytes of the longest statement.
    statement_bytes_max: usize,
    /// The run whose mark is known to be in the ledger.
    marked: Option<RunId>,
}

/// Why a statement was not carried out.
#[derive(Debug)]
enum Failure {
    Statement(Error),
    Connection(DatabaseError),
    Silent,
    LedgerEmptied,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Statement(error)
    }
}

impl MysqlTable {
    /// Connects, and makes the table if it is not there.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) async fn open(server: &Server, table: &TableName, shape: Shape) -> Result<Self, OpenError> {
        let in_words = |error: Error| open_error(&mysql::in_words(server, &error));
        let connection = mysql::connect(server).await.map_err(|error| open_error(&error))?;
        let mut session = Session::begin(connection).await.map_err(in_words)?;
        table::make(&mut session.connection, table, &shape).await.map_err(|error| match error {
            table::MakeError::Unfit(message) => OpenError::Unfit(format!("{server}: {message}")),
            table::MakeError::Database(error) => in_words(error),
        })?;
        let ledger = Ledger::new(&table.ledger());
        let id = ledger.make(&mut session.connection).await.map_err(in_words)?;
        let name = format!("the table {table} (MySQL, ledger {id})");
        let insert = table::insert_statement(table, &shape);
        Ok(Self { server: server.clone(), shape, name, insert, ledger, session: Some(session) })
    }

    /// Leaves the connection, and whatever is going on in it.
    pub(crate) fn disconnect(&mut self) {
        self.session = None;
    }

    /// What masters are told.
    pub(crate) fn name(&self) -> &str {
        &self.name
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
            Ok(self.ledger.close(&mut session.connection, run).await?)
        };
        let closed = tokio::time::timeout(COMMIT_MAX, closing).await;
        self.judge(closed.unwrap_or(Err(Failure::Silent)))
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        if self.session.is_none() {
            let connection = mysql::connect(&self.server).await.map_err(Failure::Connection)?;
            self.session = Some(Session::begin(connection).await?);
        }
        Ok(())
    }

    async fn try_commit(&mut self, group: &Arc<Group>) -> Result<Vec<Fate>, Failure> {
        self.connect().await?;
        let session = self.session.as_mut().expect("it was just connected");
        if session.marked != Some(group.run) {
            self.ledger.mark(&mut session.connection, group.run).await?;
            session.marked = Some(group.run);
        }
        session.connection.query_drop("START TRANSACTION").await?;
        let mut pages = Pages::of(group.entries.iter().map(|entry| entry.seq));
        if !self.ledger.lock(&mut session.connection, group.run, &mut pages).await? {
            // Someone has emptied the ledger by hand; the mark is made again with the next try.
            return Err(Failure::LedgerEmptied);
        }
        let mut judgement = Judgement::new(group.clone(), pages);
        let (indexes, for_encoding, shape) = (judgement.to_insert(), group.clone(), self.shape.clone());
        let form = Literals { row_bytes_max: session.statement_bytes_max.saturating_sub(self.insert.len()) };
        let encode = move |_: &mut ()| Encoded::new(&for_encoding, &indexes, &shape, &form);
        let encoded = Blocking::new(()).run(encode).await;
        let refused = encoded.refused.iter().cloned();
        refused.for_each(|(index, message)| judgement.refuse(index, message));
        session.insert(&self.insert, &encoded, &mut judgement).await?;
        let (fates, changed) = judgement.settle();
        self.ledger.update(&mut session.connection, group.run, &changed).await?;
        session.connection.query_drop("COMMIT").await?;
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
            Failure::LedgerEmptied => StoreError::Lost(format!("the ledger of {server} was emptied")),
            Failure::Connection(error) => StoreError::Lost(error.to_string()),
            Failure::Statement(error) => {
                let error = mysql::in_words(server, &error);
                if may_pass(&error) {
                    StoreError::Lost(error.to_string())
                } else {
                    StoreError::Broken(error.to_string())
                }
            }
        })
    }
}

impl Session {
    async fn begin(mut connection: Conn) -> Result<Self, Error> {
        connection.query_drop(SETTINGS).await?;
        connection.query_drop(ISOLATION).await?;
        let packet: Option<u64> = connection.query_first("SELECT @@max_allowed_packet").await?;
        // A statement has a byte before it, and some room for what stands around its rows does no harm.
        let statement_bytes_max =
            packet.map_or(STATEMENT_BYTES_MAX, |bytes| bytes as usize).saturating_sub(1024);
        Ok(Self { connection, statement_bytes_max, marked: None })
    }

    /// Inserts all rows but those that the database refuses.
    async fn insert(
        &mut self,
        insert: &str,
        encoded: &Encoded,
        judgement: &mut Judgement,
    ) -> Result<(), Error> {
        let bytes_max = STATEMENT_BYTES_MAX.min(self.statement_bytes_max).saturating_sub(insert.len());
        let mut bisection = Bisection::new(encoded.len(), ENTRIES_AT_ONCE);
        while let Some(entries) = bisection.next() {
            let statements = encoded.pieces_of(entries.clone(), bytes_max);
            // A statement that fails leaves nothing behind, so that one needs no savepoint.
            let is_one = statements.len() == 1;
            if !is_one {
                self.connection.query_drop("SAVEPOINT simplegrid").await?;
            }
            match self.insert_all(insert, &statements).await {
                Ok(()) => {}
                Err(error) => {
                    let Some(message) = refusal(&error) else { return Err(error) };
                    if !is_one {
                        self.connection.query_drop("ROLLBACK TO SAVEPOINT simplegrid").await?;
                    }
                    if let Some(entry) = bisection.on_refused(entries) {
                        judgement.refuse(encoded.index(entry), message);
                    }
                }
            }
        }
        Ok(())
    }

    async fn insert_all(&mut self, insert: &str, statements: &[bytes::Bytes]) -> Result<(), Error> {
        for rows in statements {
            // Each row has a comma behind it, which the last one must not have.
            let rows = &rows[..rows.len() - 1];
            let mut statement = Vec::with_capacity(insert.len() + rows.len());
            statement.extend_from_slice(insert.as_bytes());
            statement.extend_from_slice(rows);
            self.connection.query_drop(statement).await?;
        }
        Ok(())
    }
}

/// What the database says of a row that it refuses; nothing if the row is not to blame (`mysqld_error.h`).
fn refusal(error: &Error) -> Option<String> {
    let Error::Server(said) = error else { return None };
    // Wrong values for a column, checks, and a column without a default, whose states are those of anything.
    let by_code = matches!(said.code, 1265 | 1364 | 1366 | 1411 | 1690 | 3819 | 4025);
    let by_class = ["22", "23", "44", "45"].iter().any(|class| said.state.starts_with(class));
    (by_code || by_class).then(|| said.message.clone())
}

/// Whether the same may succeed later.
fn may_pass(error: &DatabaseError) -> bool {
    match error.trouble {
        // A table that is gone does not come back by itself.
        Trouble::NoSuchTable { .. } => false,
        _ => error.is_temporary(),
    }
}

fn open_error(error: &DatabaseError) -> OpenError {
    if error.is_temporary() {
        OpenError::Unreachable(error.to_string())
    } else {
        OpenError::Unfit(error.to_string())
    }
}
