//! The connection to a SQLite file: how it is opened, kept, and opened again when the file has been replaced.
//! It owns transactions and their failures; it does not know what is in the tables.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::error::SqliteError;
use super::migrations;
use crate::registry::error::RegistryError;

/// How long an operation waits for others to be done with the file. Operations take less than a millisecond,
/// so that only a program that hangs in the middle of one is waited for in vain.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait before the file is tried again while it is being opened: SQLite itself does not wait
/// there.
const REOPEN_PAUSE: Duration = Duration::from_millis(10);

/// Why a transaction was not committed.
pub(super) enum Failure {
    /// SQLite failed.
    Database(rusqlite::Error),
    /// The rules of the registry forbid it.
    Refused(RegistryError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::Refused(error)
    }
}

/// A SQLite file and, most of the time, a connection to it.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    creates_directory: bool,
    busy_timeout: Duration,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    file: FileId,
}

/// Which file a path led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl Database {
    /// A database that is not yet connected.
    pub(super) fn new(path: PathBuf, creates_directory: bool, busy_timeout: Duration) -> Self {
        Self { path, creates_directory, busy_timeout, open: None }
    }

    /// Opens the file unless it is open.
    pub(super) fn connect(&mut self) -> Result<(), RegistryError> {
        self.connection().map(|_| ())
    }

    /// Runs `work` in a transaction that sees one state of the file and changes nothing.
    pub(super) fn read<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, RegistryError> {
        self.transact(TransactionBehavior::Deferred, work)
    }

    /// Runs `work` alone: the lock is taken before anything is read, so that what was read is still true when
    /// it is written, and a busy file is waited for instead of failing halfway.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, RegistryError> {
        self.transact(TransactionBehavior::Immediate, work)
    }

    fn transact<T>(
        &mut self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, RegistryError> {
        match in_transaction(self.connection()?, behavior, work) {
            Ok(value) => Ok(value),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Database(error)) => Err(self.failed(error).into()),
        }
    }

    /// The connection, opened if there is none, or if the path no longer leads to the file that is open: an
    /// operation on a deleted file would succeed and be seen by nobody.
    fn connection(&mut self) -> Result<&mut Connection, RegistryError> {
        let is_current = self.open.as_ref().is_some_and(|open| FileId::of(&self.path) == Some(open.file));
        let open = match self.open.take() {
            Some(open) if is_current => open,
            _ => self.open_patiently()?,
        };
        Ok(&mut self.open.insert(open).connection)
    }

    /// After a failure other than a busy file the next operation starts with a new connection.
    fn failed(&mut self, error: rusqlite::Error) -> SqliteError {
        let error = SqliteError::new(&self.path, self.busy_timeout, error);
        if !matches!(error, SqliteError::Locked { .. }) {
            self.open = None;
        }
        error
    }

    /// Tries to open the file until the busy timeout is over: the first programs to open a new file get in
    /// each other's way while one of them sets it up.
    fn open_patiently(&self) -> Result<Open, SqliteError> {
        let deadline = Instant::now() + self.busy_timeout;
        loop {
            match self.open_once() {
                Err(SqliteError::Locked { .. }) if Instant::now() < deadline => {
                    std::thread::sleep(REOPEN_PAUSE);
                }
                result => return result,
            }
        }
    }

    fn open_once(&self) -> Result<Open, SqliteError> {
        if self.creates_directory {
            self.create_directory()?;
        }
        let in_words = |error| SqliteError::new(&self.path, self.busy_timeout, error);
        let mut connection = self.configured_connection().map_err(in_words)?;
        if connection.is_readonly("main").map_err(in_words)? {
            return Err(SqliteError::ReadOnly { file: self.path.clone() });
        }
        migrations::migrate(&mut connection, &self.path, self.busy_timeout)?;
        let file = FileId::of(&self.path).ok_or_else(|| SqliteError::Vanished { file: self.path.clone() })?;
        Ok(Open { connection, file })
    }

    /// WAL, so that readers and the one writer do not wait for each other; `synchronous = NORMAL`, so that a
    /// beat does not wait for the disk: after a power cut the last moments of a registry are worth nothing.
    fn configured_connection(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        let journal_mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if journal_mode != "wal" && !connection.is_readonly("main")? {
            connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        }
        connection.pragma_update(None, "synchronous", "normal")?;
        Ok(connection)
    }

    fn create_directory(&self) -> Result<(), SqliteError> {
        let Some(directory) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
            return Ok(());
        };
        // The XDG base directory specification asks for 0700.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| SqliteError::CannotCreateDirectory { directory: directory.to_owned(), source })
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let transaction = connection.transaction_with_behavior(behavior)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

impl FileId {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}
