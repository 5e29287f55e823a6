//! The kinds of sinks behind one door.

use std::sync::Arc;
use std::time::Duration;

use super::blocking::Blocking;
use super::error::{OpenError, StoreError};
use super::files::{CsvFiles, Package};
use super::group::{Fate, Group};
use super::shape::Shape;
use super::tables::{MysqlTable, PostgresTable, SqliteTable};
use super::url::SinkUrl;
use crate::database::ServerKind;
use crate::ids::RunId;
use crate::wire::SinkPlace;

/// How often opening a sink is tried at the start, as in Net::SimpleGrid's `DBWriter`.
const OPEN_TRIES: u32 = 5;

/// The pause between two such tries, also that of `DBWriter`.
const OPEN_PAUSE: Duration = Duration::from_secs(2);

/// How long a group waits for more records: long compared with a batch of fast records, short compared with a
/// wait for the disk.
const GATHER: Duration = Duration::from_millis(3);

/// A sink that is open.
#[derive(Debug)]
pub(crate) enum Store {
    /// CSV files, and their name for masters.
    Csv(Blocking<CsvFiles>, String),
    /// A table in a SQLite file, and its name for masters.
    Sqlite(Blocking<SqliteTable>, String),
    /// A table in a PostgreSQL database.
    Postgres(Box<PostgresTable>),
    /// A table in a MySQL database.
    Mysql(Box<MysqlTable>),
}

/// Opens a sink for rows of this shape. `label` becomes part of its files' names.
///
/// # Errors
/// If it cannot be used.
pub(crate) async fn open(url: &SinkUrl, shape: &Shape, label: &str) -> Result<Store, OpenError> {
    if shape.columns.is_empty() {
        let message = "the task does not declare the columns of its rows, so a sink cannot hold them";
        return Err(OpenError::Unfit(message.to_owned()));
    }
    let mut tries = 1;
    loop {
        match open_once(url, shape, label).await {
            Err(OpenError::Unreachable(message)) if tries < OPEN_TRIES => {
                tracing::warn!("the sink cannot be opened, trying again: {message}");
                tries += 1;
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            result => return result,
        }
    }
}

async fn open_once(url: &SinkUrl, shape: &Shape, label: &str) -> Result<Store, OpenError> {
    let (shape, label) = (shape.clone(), label.to_owned());
    match url.clone() {
        SinkUrl::Csv(directory) => {
            let mut opening = Blocking::new(());
            let files = opening.run(move |_| CsvFiles::open(&directory, shape, &label)).await?;
            let name = files.name().to_owned();
            Ok(Store::Csv(Blocking::new(files), name))
        }
        SinkUrl::Sqlite { path, table } => {
            let mut opening = Blocking::new(());
            let table = opening.run(move |_| SqliteTable::open(&path, &table, shape)).await?;
            let name = table.name().to_owned();
            Ok(Store::Sqlite(Blocking::new(table), name))
        }
        SinkUrl::Server { server, table, overlong } => Ok(match server.kind {
            ServerKind::Postgres => {
                Store::Postgres(Box::new(PostgresTable::open(&server, &table, shape, overlong).await?))
            }
            ServerKind::Mysql => {
                Store::Mysql(Box::new(MysqlTable::open(&server, &table, shape, overlong).await?))
            }
        }),
    }
}

impl Store {
    /// What masters are told about it.
    pub(crate) fn place(&self) -> SinkPlace {
        match self {
            Self::Csv(_, name) => SinkPlace { name: name.clone(), has_files: true },
            Self::Sqlite(_, name) => SinkPlace { name: name.clone(), has_files: false },
            Self::Postgres(table) => SinkPlace { name: table.name().to_owned(), has_files: false },
            Self::Mysql(table) => SinkPlace { name: table.name().to_owned(), has_files: false },
        }
    }

    /// How long it pays to wait for more records before a commit.
    pub(crate) fn gather(&self) -> Duration {
        match self {
            Self::Csv(..) => Duration::ZERO,
            Self::Sqlite(..) | Self::Postgres(_) | Self::Mysql(_) => GATHER,
        }
    }

    /// Puts the rows of a group into the sink, all or none of them, and returns what became of each entry.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn commit(&mut self, group: &Arc<Group>) -> Result<Vec<Fate>, StoreError> {
        let group = group.clone();
        match self {
            Self::Csv(files, _) => files.run(move |files| files.commit(&group)).await,
            Self::Sqlite(table, _) => table.run(move |table| table.commit(&group)).await,
            Self::Postgres(table) => table.commit(&group).await,
            Self::Mysql(table) => table.commit(&group).await,
        }
    }

    /// Drops the ledger's notes about a run of which no record will ever run again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn close_run(&mut self, run: RunId) -> Result<(), StoreError> {
        match self {
            Self::Csv(files, _) => files.run(move |files| files.close_run(run)).await,
            Self::Sqlite(table, _) => table.run(move |table| table.close_run(run)).await,
            Self::Postgres(table) => table.close_run(run).await,
            Self::Mysql(table) => table.close_run(run).await,
        }
    }

    /// Completes the files of the last run: as far as is known, no more of its rows will come. Says what was
    /// shortened to fit its table.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn end_session(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Csv(files, _) => return files.run(CsvFiles::seal).await,
            Self::Sqlite(..) => {}
            Self::Postgres(table) => table.say_what_was_shortened(),
            Self::Mysql(table) => table.say_what_was_shortened(),
        }
        Ok(())
    }

    /// Whether a commit can be left unfinished by [`Store::abandon`]: a server ends a transaction whose
    /// connection is gone.
    pub(crate) fn can_be_abandoned(&self) -> bool {
        matches!(self, Self::Postgres(_) | Self::Mysql(_))
    }

    /// Leaves what was begun, without waiting for it.
    pub(crate) fn abandon(&mut self) {
        match self {
            Self::Csv(..) | Self::Sqlite(..) => {}
            Self::Postgres(table) => table.disconnect(),
            Self::Mysql(table) => table.disconnect(),
        }
    }

    /// Packs the files of a run; `None` if it has none.
    ///
    /// # Errors
    /// In words for the user.
    pub(crate) async fn pack(&mut self, run: RunId) -> Result<Option<Package>, String> {
        match self {
            Self::Csv(files, _) => files.run(move |files| files.pack(run)).await,
            Self::Sqlite(..) | Self::Postgres(_) | Self::Mysql(_) => Ok(None),
        }
    }
}
