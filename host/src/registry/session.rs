//! What the registry's statements need of a connection, whichever database is behind it. Three dialects offer
//! it. It knows no table.

use super::backend_error::BackendError;
use super::value::{Row, Value};

/// A connection that is ready for statements.
///
/// The futures are `Send`, because sessions on servers are used in a task.
pub(super) trait SqlSession: Send + Sized {
    /// How its SQL differs from that of the others.
    fn dialect(&self) -> &'static Dialect;

    /// The file or server behind it, fit to be shown.
    fn place(&self) -> String;

    /// A statement without values and rows, or several of them.
    fn say(&mut self, sql: &str) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// The rows that a statement finds. A `?` stands for each value.
    fn rows(
        &mut self,
        sql: &str,
        values: &[Value],
    ) -> impl Future<Output = Result<Vec<Row>, BackendError>> + Send;

    /// How many rows a statement has changed, or found and left as they were.
    fn change(
        &mut self,
        sql: &str,
        values: &[Value],
    ) -> impl Future<Output = Result<u64, BackendError>> + Send;

    /// Begins a transaction, and says at what time by the database's clock, in unix seconds. That takes one
    /// round trip.
    fn begin(&mut self, access: Access) -> impl Future<Output = Result<i64, BackendError>> + Send;

    /// Ends it.
    fn end(&mut self, end: End) -> impl Future<Output = Result<(), BackendError>> + Send {
        self.say(end.sql())
    }

    /// How much of a table and its index is in the database, as far as this user can see.
    fn look_at(
        &mut self,
        table: &str,
        index: &str,
    ) -> impl Future<Output = Result<FoundTable, BackendError>> + Send;

    /// The version of the schema that is noted in the database, if there is one that this user can see.
    fn noted_version(&mut self) -> impl Future<Output = Result<Option<i64>, BackendError>> + Send;

    /// The statements that note it.
    fn note_version(&self, version: i64) -> String;

    /// Keeps all other programs from changing the schema until [`SqlSession::end_migration`] or the end of
    /// the session.
    fn begin_migration(&mut self) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// Keeps what was changed, and lets other programs go on.
    fn end_migration(&mut self) -> impl Future<Output = Result<(), BackendError>> + Send;
}

/// What a transaction does with the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It only reads.
    Read,
    /// It changes rows.
    Write,
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Commit,
    Rollback,
}

impl End {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
        }
    }
}

/// How the SQL of a database differs from that of the others.
#[derive(Debug)]
pub(super) struct Dialect {
    /// Whether transactions lock single rows. If not, a transaction that writes has the whole database to
    /// itself.
    pub locks_rows: bool,
    /// What makes empty values come first in an order, if they do not by themselves.
    pub empty_first: &'static str,
    /// What follows the columns in the statement that makes a table.
    pub table_options: &'static str,
    /// How many columns one statement can add to a table.
    pub columns_at_once: usize,
}

impl Dialect {
    /// Locks the rows that a `SELECT` finds until the transaction is over.
    pub(super) fn row_lock(&self) -> &'static str {
        if self.locks_rows { " FOR UPDATE" } else { "" }
    }

    /// The same, but passes over rows that another transaction has locked.
    pub(super) fn row_lock_skipping(&self) -> &'static str {
        if self.locks_rows { " FOR UPDATE SKIP LOCKED" } else { "" }
    }
}

/// How much of a table is in a database.
#[derive(Debug)]
pub(super) struct FoundTable {
    /// Its columns; none if there is no such table.
    pub columns: Vec<String>,
    /// Whether it has its index.
    pub has_index: bool,
    /// The storage engine of a table of MySQL, if its changes cannot be rolled back: an old one can be in
    /// MyISAM.
    pub without_transactions: Option<String>,
}
