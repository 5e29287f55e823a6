//! What each kind of database server does in its own way for a table of rows: its SQL, and what its errors
//! mean. What all of them do alike stands once, in `server_table`.

use std::ops::Range;

use crate::database::{DatabaseError, Server};
use crate::ids::RunId;
use crate::sink::encoded::{Encoded, RowForm};
use crate::sink::narrow::NarrowColumn;
use crate::sink::pages::Pages;
use crate::sink::shape::Shape;
use crate::sink::url::TableName;

/// A table on a server, and what its rows look like.
#[derive(Debug, Clone)]
pub(crate) struct TableAddress {
    /// The server, with the database.
    pub server: Server,
    /// The table in that database.
    pub table: TableName,
    /// The columns of the task's rows.
    pub shape: Shape,
}

/// What is known of a table once it was opened.
#[derive(Debug)]
pub(crate) struct OpenedTable {
    /// The ledger's name.
    pub ledger: String,
    /// The columns whose texts are shortened if they do not fit.
    pub narrow: Vec<NarrowColumn>,
}

/// Why a server did not do what was asked of it.
#[derive(Debug)]
pub(crate) enum TableFailure<E> {
    /// The table is there, and cannot take the task's rows.
    Unfit(String),
    /// There is no connection, or nothing comes over it any more.
    Connection(DatabaseError),
    /// A statement failed.
    Statement(E),
    /// Someone has deleted the run's mark from the ledger by hand. The next try makes it again.
    LedgerEmptied,
}

impl<E> From<E> for TableFailure<E> {
    fn from(error: E) -> Self {
        Self::Statement(error)
    }
}

/// A connection to a database server, set up for commits, that speaks the server's SQL.
pub(crate) trait TableDialect: Sized {
    /// How a statement fails.
    type Error;

    /// The form in which it takes rows.
    type Form: RowForm + Send + 'static;

    /// What the kind of database is called.
    const NAME: &'static str;

    /// Records whose rows go to the server at once, at most.
    const ENTRIES_AT_ONCE: usize;

    /// Connects, makes the table and the ledger if they are not there, and checks the table.
    ///
    /// # Errors
    /// If the server or the table cannot be used.
    async fn open(at: &TableAddress) -> Result<(Self, OpenedTable), TableFailure<Self::Error>>;

    /// Connects to a table that was opened before.
    ///
    /// # Errors
    /// If the server cannot be used.
    async fn connect(at: &TableAddress) -> Result<Self, TableFailure<Self::Error>>;

    /// Whether the connection is known to be gone before anything is said over it.
    fn is_closed(&self) -> bool {
        false
    }

    /// Begins a transaction, locks these pages of the ledger and fills them.
    ///
    /// # Errors
    /// Those of the server; and if the ledger was emptied.
    async fn begin(&mut self, run: RunId, pages: &mut Pages) -> Result<(), TableFailure<Self::Error>>;

    /// The form in which rows are encoded for this connection.
    fn form(&self) -> Self::Form;

    /// Inserts the rows of these entries. If the server refuses one of them, none is inserted, and its
    /// message is returned.
    ///
    /// # Errors
    /// Those that are not the fault of a row.
    async fn try_insert(
        &mut self,
        encoded: &Encoded,
        entries: Range<usize>,
    ) -> Result<Option<String>, Self::Error>;

    /// Writes the pages that have changed, and commits the transaction.
    ///
    /// # Errors
    /// Those of the server.
    async fn finish(&mut self, run: RunId, changed: &[(i64, Vec<u8>)]) -> Result<(), Self::Error>;

    /// Replaces all pages of a run by its mark.
    ///
    /// # Errors
    /// Those of the server.
    async fn close_run(&mut self, run: RunId) -> Result<(), Self::Error>;

    /// What the failure of a statement means.
    fn in_words(server: &Server, error: &Self::Error) -> DatabaseError;

    /// Whether a statement that failed like this can succeed later without anyone's help.
    fn may_pass(server: &Server, error: &Self::Error) -> bool;
}
