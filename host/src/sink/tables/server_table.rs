//! Rows in a table of a database on a server: how a group is committed, a run closed, and a failure judged,
//! the same for every kind of server. It knows no SQL; that is the dialect's.

use std::sync::Arc;
use std::time::Duration;

use super::bisection::Bisection;
use super::dialect::{OpenedTable, TableAddress, TableDialect, TableFailure};
use crate::database::{DatabaseError, Server, Trouble};
use crate::ids::RunId;
use crate::sink::blocking::Blocking;
use crate::sink::encoded::{Encoded, RowForm};
use crate::sink::error::{OpenError, StoreError};
use crate::sink::group::{Fate, Group};
use crate::sink::judgement::Judgement;
use crate::sink::narrow::{LongTexts, NarrowColumn, NarrowColumns};
use crate::sink::pages::Pages;
use crate::sink::shape::Shape;
use crate::sink::url::TableName;

/// How long a transaction may take. Then the server is as good as gone, and a new connection is tried: the
/// ledger tells whether the transaction succeeded after all.
const COMMIT_MAX: Duration = Duration::from_secs(120);

/// A table in a database on a server.
#[derive(Debug)]
pub(crate) struct ServerTable<D> {
    at: TableAddress,
    /// What masters are told.
    name: String,
    /// Dropped after each failure: only the end of the connection makes certain what becomes of half a
    /// transaction.
    connection: Option<D>,
    /// The columns whose texts are shortened if they do not fit.
    narrow: NarrowColumns,
}

impl<D: TableDialect> ServerTable<D> {
    /// Connects, and makes the table if it is not there.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) async fn open(
        server: &Server,
        table: &TableName,
        shape: Shape,
        overlong: LongTexts,
    ) -> Result<Self, OpenError> {
        let at = TableAddress { server: server.clone(), table: table.clone(), shape };
        let opened = D::open(&at).await;
        let (connection, opened) = opened.map_err(|failure| open_error::<D>(server, failure))?;
        let OpenedTable { ledger, narrow } = opened;
        let name = format!("the table {table} ({}, ledger {ledger})", D::NAME);
        let narrow = NarrowColumns::new(if overlong == LongTexts::Shorten { narrow } else { Vec::new() });
        for NarrowColumn { name, text_max, .. } in narrow.columns() {
            tracing::info!(
                "the column `{name}` of the table {table} holds {text_max}: longer texts are shortened; with \
                 overlong=refuse in the sink's URL, their records fail"
            );
        }
        Ok(Self { at, name, connection: Some(connection), narrow })
    }

    /// What masters are told.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Inserts the rows that are not there yet, and notes their records in the ledger, in one transaction.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn commit(&mut self, group: &Arc<Group>) -> Result<Vec<Fate>, StoreError> {
        let committed = tokio::time::timeout(COMMIT_MAX, self.try_commit(group)).await;
        self.judge(committed.unwrap_or_else(|_| Err(silent(&self.at.server))))
    }

    /// Replaces all pages of a run that is over by its mark.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn close_run(&mut self, run: RunId) -> Result<(), StoreError> {
        let closing = async { Ok(self.connected().await?.close_run(run).await?) };
        let closed = tokio::time::timeout(COMMIT_MAX, closing).await;
        self.judge(closed.unwrap_or_else(|_| Err(silent(&self.at.server))))
    }

    /// Drops the connection, and with it whatever is going on in it.
    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    async fn try_commit(&mut self, group: &Arc<Group>) -> Result<Vec<Fate>, TableFailure<D::Error>> {
        let (shape, narrow) = (self.at.shape.clone(), self.narrow.clone());
        let connection = self.connected().await?;
        let mut pages = Pages::of(group.entries.iter().map(|entry| entry.seq));
        connection.begin(group.run, &mut pages).await?;
        let mut judgement = Judgement::new(group.clone(), pages);
        let encoded = encode(group.clone(), judgement.to_insert(), shape, narrow, connection.form()).await;
        let refused = encoded.refused.iter().cloned();
        refused.for_each(|(index, message)| judgement.refuse(index, message));
        insert(connection, &encoded, &mut judgement).await?;
        let (fates, changed) = judgement.settle();
        connection.finish(group.run, &changed).await?;
        let inserted = encoded.shortened.iter().filter(|(entry, _)| fates[*entry] == Fate::Committed);
        for (_, place) in inserted {
            if let Some(NarrowColumn { name, text_max, .. }) = self.narrow.note(*place) {
                tracing::warn!("a text was shortened to {text_max} for the column `{name}`");
            }
        }
        Ok(fates)
    }

    /// At the end of a session: how many texts were shortened in it.
    pub(crate) fn say_what_was_shortened(&mut self) {
        for (name, texts) in self.narrow.take_counts() {
            tracing::warn!("texts that were shortened for the column `{name}`: {texts}");
        }
    }

    /// The connection; a new one if there is none.
    async fn connected(&mut self) -> Result<&mut D, TableFailure<D::Error>> {
        if self.connection.as_ref().is_none_or(D::is_closed) {
            self.connection = None;
            self.connection = Some(D::connect(&self.at).await?);
        }
        Ok(self.connection.as_mut().expect("it was just connected"))
    }

    /// After a failure the connection is given up, and with it the transaction.
    fn judge<T>(&mut self, result: Result<T, TableFailure<D::Error>>) -> Result<T, StoreError> {
        result.map_err(|failure| {
            self.connection = None;
            store_error::<D>(&self.at.server, failure)
        })
    }
}

/// Encodes rows on a thread that may compute for as long as it takes.
async fn encode(
    group: Arc<Group>,
    indexes: Vec<usize>,
    shape: Shape,
    narrow: NarrowColumns,
    form: impl RowForm + Send + 'static,
) -> Encoded {
    Blocking::new(()).run(move |_| Encoded::new(&group, &indexes, &shape, &narrow, &form)).await
}

/// Inserts all rows but those that the server refuses.
async fn insert<D: TableDialect>(
    connection: &mut D,
    encoded: &Encoded,
    judgement: &mut Judgement,
) -> Result<(), D::Error> {
    let mut bisection = Bisection::new(encoded.len(), D::ENTRIES_AT_ONCE);
    while let Some(entries) = bisection.next() {
        if let Some(message) = connection.try_insert(encoded, entries.clone()).await?
            && let Some(entry) = bisection.on_refused(entries)
        {
            judgement.refuse(encoded.index(entry), message);
        }
    }
    Ok(())
}

fn silent<E>(server: &Server) -> TableFailure<E> {
    let trouble = Trouble::Silent { seconds: COMMIT_MAX.as_secs() };
    TableFailure::Connection(DatabaseError::new(server, trouble))
}

fn store_error<D: TableDialect>(server: &Server, failure: TableFailure<D::Error>) -> StoreError {
    match failure {
        TableFailure::Unfit(message) => StoreError::Broken(format!("{server}: {message}")),
        TableFailure::Connection(error) => StoreError::Lost(error.to_string()),
        TableFailure::LedgerEmptied => StoreError::Lost(ledger_emptied(server)),
        TableFailure::Statement(error) => {
            let words = D::in_words(server, &error).to_string();
            if D::may_pass(server, &error) { StoreError::Lost(words) } else { StoreError::Broken(words) }
        }
    }
}

fn open_error<D: TableDialect>(server: &Server, failure: TableFailure<D::Error>) -> OpenError {
    let error = match failure {
        TableFailure::Unfit(message) => return OpenError::Unfit(format!("{server}: {message}")),
        TableFailure::LedgerEmptied => return OpenError::Unreachable(ledger_emptied(server)),
        TableFailure::Connection(error) => error,
        TableFailure::Statement(error) => D::in_words(server, &error),
    };
    if error.is_temporary() {
        OpenError::Unreachable(error.to_string())
    } else {
        OpenError::Unfit(error.to_string())
    }
}

fn ledger_emptied(server: &Server) -> String {
    format!("the ledger of {server} was emptied")
}

#[cfg(test)]
mod tests;
