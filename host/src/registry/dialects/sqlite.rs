//! What only SQLite does: how its file is opened, how values travel to it, and how its catalogue is read. It
//! blocks: no future here ever waits, so each must be polled on a thread that can wait for a disk.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql, params_from_iter};

use super::sqlite_error::SqliteError;
use super::sqlite_files::{self, SqliteFiles};
use crate::registry::backend_error::BackendError;
use crate::registry::clock;
use crate::registry::session::{Access, Dialect, End, FoundTable, SqlSession};
use crate::registry::value::{Row, Value};

/// The SQL of SQLite.
const DIALECT: Dialect =
    Dialect { locks_rows: false, empty_first: "", table_options: "", columns_at_once: 1 };

/// A SQLite file, and how it is used.
#[derive(Debug, Clone)]
pub(crate) struct SqliteFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether to create its directory if it is missing.
    pub creates_directory: bool,
    /// How long a transaction waits for others to be done with the file.
    pub busy_timeout: Duration,
}

/// A connection to a SQLite file.
#[derive(Debug)]
pub(crate) struct SqliteSession {
    file: SqliteFile,
    connection: Connection,
    files: SqliteFiles,
}

impl SqliteFile {
    /// Opens the file, or creates it. The tables are left as they are.
    pub(crate) fn connect(&self) -> Result<SqliteSession, SqliteError> {
        if self.creates_directory {
            self.create_directory()?;
        }
        sqlite_files::remove_orphans(&self.path);
        let connection = self.configured_connection().map_err(|error| self.in_words(error))?;
        if connection.is_readonly("main").map_err(|error| self.in_words(error))? {
            return Err(SqliteError::ReadOnly { file: self.path.clone() });
        }
        let files = SqliteFiles::of(&self.path);
        let files = files.ok_or_else(|| SqliteError::Vanished { file: self.path.clone() })?;
        Ok(SqliteSession { file: self.clone(), connection, files })
    }

    /// WAL, so that readers and the one writer do not wait for each other; `synchronous = NORMAL`, so that a
    /// beat does not wait for the disk: after a power cut the last moments of a registry are worth
    /// nothing.
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
        // SQLite opens the journal when it reads for the first time.
        let _: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
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
            .map_err(|cause| SqliteError::CannotCreateDirectory { directory: directory.to_owned(), cause })
    }

    fn in_words(&self, error: rusqlite::Error) -> SqliteError {
        SqliteError::new(&self.path, self.busy_timeout, error)
    }
}

impl SqliteSession {
    /// Whether the path still leads to the files that are open: an operation on a deleted file would succeed,
    /// and no one would see it.
    pub(crate) fn is_current(&self) -> bool {
        self.files.are_in_place()
    }

    fn said<T>(&self, result: rusqlite::Result<T>) -> Result<T, BackendError> {
        result.map_err(|error| self.file.in_words(error).into())
    }

    fn found(&self, sql: &str, values: &[Value]) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns = statement.column_count();
        let row =
            |row: &rusqlite::Row<'_>| (0..columns).map(|column| Ok(value(row.get_ref(column)?))).collect();
        statement.query_map(params_from_iter(values), row)?.collect()
    }

    fn changed(&self, sql: &str, values: &[Value]) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params_from_iter(values))
    }
}

/// A connection to files that others no longer see leaves what is in their place alone.
impl Drop for SqliteSession {
    fn drop(&mut self) {
        if !self.files.are_in_place() {
            self.files.remove_what_is_left();
            // Without this, the last connection would write its journal into the database, and remove the
            // journal that has its name now. It fails only for settings that SQLite does not
            // know.
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

impl SqlSession for SqliteSession {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn place(&self) -> String {
        self.file.path.display().to_string()
    }

    async fn say(&mut self, sql: &str) -> Result<(), BackendError> {
        self.said(self.connection.execute_batch(sql))
    }

    async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, BackendError> {
        self.said(self.found(sql, values))
    }

    async fn change(&mut self, sql: &str, values: &[Value]) -> Result<u64, BackendError> {
        self.said(self.changed(sql, values)).map(|rows| rows as u64)
    }

    /// A transaction that writes takes the lock before it reads anything, so that what was read is still true
    /// when it is written, and a busy file is waited for instead of failing halfway.
    async fn begin(&mut self, access: Access) -> Result<i64, BackendError> {
        self.say(match access {
            Access::Read => "BEGIN",
            Access::Write => "BEGIN IMMEDIATE",
        })
        .await?;
        Ok(clock::of_this_machine())
    }

    /// Some failures end a transaction in SQLite itself, and on a busy file it has not even begun.
    async fn end(&mut self, end: End) -> Result<(), BackendError> {
        match end {
            End::Rollback if self.connection.is_autocommit() => Ok(()),
            end => self.say(end.sql()).await,
        }
    }

    async fn look_at(&mut self, table: &str, index: &str) -> Result<FoundTable, BackendError> {
        let columns = self.rows("SELECT name FROM pragma_table_info(?)", &[table.into()]).await?;
        let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND name = ?";
        let index = self.rows(sql, &[table.into(), index.into()]).await?;
        Ok(FoundTable {
            columns: columns.iter().filter_map(|row| row[0].owned()).collect(),
            has_index: !index.is_empty(),
            without_transactions: None,
        })
    }

    /// The `user_version` of the file: 0 if it was never set, as in a file of Net::SimpleGrid.
    async fn noted_version(&mut self) -> Result<Option<i64>, BackendError> {
        let rows = self.rows("PRAGMA user_version", &[]).await?;
        Ok(rows.first().and_then(|row| row[0].integer()).filter(|version| *version != 0))
    }

    fn note_version(&self, version: i64) -> String {
        format!("PRAGMA user_version = {version}")
    }

    async fn begin_migration(&mut self) -> Result<(), BackendError> {
        self.begin(Access::Write).await.map(drop)
    }

    async fn end_migration(&mut self) -> Result<(), BackendError> {
        self.end(End::Commit).await
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            Value::Text(String::from_utf8_lossy(text).into_owned())
        }
    }
}
