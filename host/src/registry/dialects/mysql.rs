//! What only MySQL and MariaDB do: how values travel to them, and how their catalogue is read.

use std::fmt;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params};

use super::server_session::{
    self, IDLE_SECONDS, LOCK_WAIT_SECONDS, ServerSession, VERSION_TABLE, last_version,
};
use crate::database::mysql::{connect, in_words};
use crate::database::{DatabaseError, Server, Trouble};
use crate::registry::backend_error::BackendError;
use crate::registry::session::{Access, Dialect, FoundTable, SqlSession};
use crate::registry::value::{Row, Value};

/// The first versions that know `SKIP LOCKED`.
const MARIADB_MIN: (u16, u16, u16) = (10, 6, 0);
const MYSQL_MIN: (u16, u16, u16) = (8, 0, 1);

/// Held while the schema is changed, so that only one process does it. The name is valid for the whole
/// server, so it has the database in it.
const MIGRATION_LOCK: &str = "CONCAT('simplegrid.', LEFT(DATABASE(), 50))";

/// The SQL of MySQL and MariaDB.
const DIALECT: Dialect = Dialect {
    locks_rows: true,
    empty_first: "",
    // Names are compared byte by byte, as in the other databases, not as words of some language.
    table_options: " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    columns_at_once: usize::MAX,
};

/// A connection to MySQL or MariaDB.
pub(crate) struct MysqlSession {
    server: Server,
    connection: Conn,
}

/// The library's own text would show its settings, and the password with them.
impl fmt::Debug for MysqlSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MysqlSession({})", self.server)
    }
}

impl MysqlSession {
    /// Refuses a server that is too old, and says whether this one is MariaDB.
    async fn check_version(&mut self) -> Result<bool, BackendError> {
        let rows = self.rows("SELECT VERSION()", &[]).await?;
        let version = rows.first().and_then(|row| row[0].owned()).unwrap_or_default();
        let is_mariadb = version.contains("MariaDB");
        let needed = if is_mariadb { MARIADB_MIN } else { MYSQL_MIN };
        if self.connection.server_version() < needed {
            return Err(BackendError::TooOld { place: self.place(), version });
        }
        Ok(is_mariadb)
    }

    fn in_words(&self, error: &mysql_async::Error) -> BackendError {
        in_words(&self.server, error).into()
    }
}

impl ServerSession for MysqlSession {
    async fn connect(server: &Server) -> Result<Self, BackendError> {
        let mut session = Self { server: server.clone(), connection: connect(server).await? };
        let is_mariadb = session.check_version().await?;
        // With this, only the rows that are meant are locked, not the gaps between them.
        let isolation = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
        let waits = format!(
            "SET SESSION innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}, lock_wait_timeout = {LOCK_WAIT_SECONDS}"
        );
        // MySQL has no such limit for transactions alone. A session that it ends between operations is opened
        // again.
        let idle = if is_mariadb { "idle_transaction_timeout" } else { "wait_timeout" };
        let idle = format!("SET SESSION {idle} = {IDLE_SECONDS}");
        for sql in [isolation, &waits, &idle] {
            session.say(sql).await?;
        }
        Ok(session)
    }
}

impl SqlSession for MysqlSession {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn place(&self) -> String {
        self.server.to_string()
    }

    async fn say(&mut self, sql: &str) -> Result<(), BackendError> {
        self.connection.query_drop(sql).await.map_err(|error| self.in_words(&error))
    }

    async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, BackendError> {
        let found: Result<Vec<mysql_async::Row>, _> = self.connection.exec(sql, parameters(values)).await;
        let rows = found.map_err(|error| self.in_words(&error))?;
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(value).collect()).collect())
    }

    async fn change(&mut self, sql: &str, values: &[Value]) -> Result<u64, BackendError> {
        let changed = self.connection.exec_drop(sql, parameters(values)).await;
        changed.map_err(|error| self.in_words(&error))?;
        Ok(self.connection.affected_rows())
    }

    async fn begin(&mut self, _access: Access) -> Result<i64, BackendError> {
        let time = time_of_beginning(&mut self.connection).await.map_err(|error| self.in_words(&error))?;
        Ok(time.ok_or_else(|| server_session::no_time(&self.server))?)
    }

    async fn look_at(&mut self, table: &str, index: &str) -> Result<FoundTable, BackendError> {
        let is_table = format!("table_schema = DATABASE() AND table_name = '{table}'");
        let columns = format!("SELECT column_name FROM information_schema.columns WHERE {is_table}");
        let columns = self.rows(&columns, &[]).await?;
        let index = format!(
            "SELECT 1 FROM information_schema.statistics WHERE {is_table} AND index_name = '{index}'"
        );
        let index = self.rows(&index, &[]).await?;
        let engine =
            format!("SELECT engine FROM information_schema.tables WHERE {is_table} AND engine <> 'InnoDB'");
        let engine = self.rows(&engine, &[]).await?;
        Ok(FoundTable {
            columns: columns.iter().filter_map(|row| row[0].owned()).collect(),
            has_index: !index.is_empty(),
            without_transactions: engine.first().and_then(|row| row[0].owned()),
        })
    }

    async fn noted_version(&mut self) -> Result<Option<i64>, BackendError> {
        let table = format!(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '{VERSION_TABLE}'"
        );
        if self.rows(&table, &[]).await?.is_empty() { Ok(None) } else { last_version(self).await }
    }

    fn note_version(&self, version: i64) -> String {
        server_session::note_version(version)
    }

    /// Changes of the schema cannot be rolled back here, so only steps that are still missing are taken.
    async fn begin_migration(&mut self) -> Result<(), BackendError> {
        let sql = format!("SELECT GET_LOCK({MIGRATION_LOCK}, {LOCK_WAIT_SECONDS})");
        let got = self.rows(&sql, &[]).await?;
        if got.first().and_then(|row| row[0].integer()) == Some(1) {
            return Ok(());
        }
        let words = "another program is changing its tables".to_owned();
        Err(DatabaseError::new(&self.server, Trouble::Conflict { words }).into())
    }

    async fn end_migration(&mut self) -> Result<(), BackendError> {
        self.rows(&format!("SELECT RELEASE_LOCK({MIGRATION_LOCK})"), &[]).await.map(drop)
    }
}

/// Begins a transaction, and says when. The first of the two answers has no rows.
async fn time_of_beginning(connection: &mut Conn) -> mysql_async::Result<Option<i64>> {
    let mut answers = connection.query_iter("BEGIN; SELECT UNIX_TIMESTAMP()").await?;
    let _: Vec<mysql_async::Row> = answers.collect().await?;
    let times: Vec<i64> = answers.collect().await?;
    answers.drop_result().await?;
    Ok(times.first().copied())
}

fn parameters(values: &[Value]) -> Params {
    if values.is_empty() {
        return Params::Empty;
    }
    let parameter = |value: &Value| match value {
        Value::Null => mysql_async::Value::NULL,
        Value::Integer(number) => (*number).into(),
        Value::Real(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
    };
    Params::Positional(values.iter().map(parameter).collect())
}

fn value(value: mysql_async::Value) -> Value {
    match value {
        mysql_async::Value::Int(number) => Value::Integer(number),
        mysql_async::Value::UInt(number) => Value::from(number),
        mysql_async::Value::Float(number) => Value::Real(number.into()),
        mysql_async::Value::Double(number) => Value::Real(number),
        mysql_async::Value::Bytes(bytes) => Value::Text(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Value::Null,
    }
}
