//! What only MySQL and MariaDB do: how values travel to them, and how they are asked about their tables.

use std::fmt;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params};

use super::error::ServerError;
use super::migrations::Schema;
use super::session::{IDLE_SECONDS, LOCK_WAIT_SECONDS};
use super::value::{Row, Value};
use crate::database::mysql::{connect, in_words};
use crate::database::{DatabaseError, Server, Trouble};

/// The first versions that know `SKIP LOCKED`.
const MARIADB_MIN: (u16, u16, u16) = (10, 6, 0);
const MYSQL_MIN: (u16, u16, u16) = (8, 0, 1);

/// Held while the schema is changed, so that only one process does it. The name holds for the whole server.
const MIGRATION_LOCK: &str = "CONCAT('simplegrid.', LEFT(DATABASE(), 50))";

/// A connection to MySQL or MariaDB.
pub(super) struct MysqlSession {
    server: Server,
    connection: Conn,
}

/// The library would show its settings, and with them the password.
impl fmt::Debug for MysqlSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MysqlSession({})", self.server)
    }
}

impl MysqlSession {
    pub(super) async fn open(server: &Server) -> Result<Self, ServerError> {
        let mut session = Self { server: server.clone(), connection: connect(server).await? };
        let is_mariadb = session.check_version().await?;
        // Only the rows that are meant are locked, not the gaps between them.
        let isolation = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
        let waits = format!(
            "SET SESSION innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}, lock_wait_timeout = {LOCK_WAIT_SECONDS}"
        );
        // MySQL has no such limit for transactions alone. A session that it ends between operations is made
        // anew.
        let idle = if is_mariadb { "idle_transaction_timeout" } else { "wait_timeout" };
        let idle = format!("SET SESSION {idle} = {IDLE_SECONDS}");
        for sql in [isolation, &waits, &idle] {
            session.say(sql).await?;
        }
        Ok(session)
    }

    /// Says whether it is MariaDB.
    async fn check_version(&mut self) -> Result<bool, ServerError> {
        let rows = self.rows("SELECT VERSION()", &[]).await?;
        let version = rows.first().and_then(|row| row[0].text()).unwrap_or_default().to_owned();
        let is_mariadb = version.contains("MariaDB");
        let needed = if is_mariadb { MARIADB_MIN } else { MYSQL_MIN };
        if self.connection.server_version() < needed {
            return Err(ServerError::TooOld { server: self.server.to_string(), version });
        }
        Ok(is_mariadb)
    }

    pub(super) async fn say(&mut self, sql: &str) -> Result<(), DatabaseError> {
        self.connection.query_drop(sql).await.map_err(|error| in_words(&self.server, &error))
    }

    pub(super) async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        let found: Result<Vec<mysql_async::Row>, _> = self.connection.exec(sql, parameters(values)).await;
        let rows = found.map_err(|error| in_words(&self.server, &error))?;
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(value).collect()).collect())
    }

    pub(super) async fn change(&mut self, sql: &str, values: &[Value]) -> Result<u64, DatabaseError> {
        let changed = self.connection.exec_drop(sql, parameters(values)).await;
        changed.map_err(|error| in_words(&self.server, &error))?;
        Ok(self.connection.affected_rows())
    }

    /// What the server has of the registry, as far as this user may know.
    pub(super) async fn schema(&mut self) -> Result<Schema, DatabaseError> {
        let here = "table_schema = DATABASE() AND table_name";
        let columns = format!("SELECT column_name FROM information_schema.columns WHERE {here} = 'nodes'");
        let columns = self.rows(&columns, &[]).await?;
        let index = format!(
            "SELECT 1 FROM information_schema.statistics WHERE {here} = 'nodes' AND index_name = 'nodes_state'"
        );
        let index = self.rows(&index, &[]).await?;
        let tables = format!("SELECT table_name, engine FROM information_schema.tables WHERE {here}");
        let engine = self.rows(&format!("{tables} = 'nodes' AND engine <> 'InnoDB'"), &[]).await?;
        let version = self.rows(&format!("{tables} = 'simplegrid_schema'"), &[]).await?;
        Ok(Schema {
            columns: columns.iter().filter_map(|row| row[0].text().map(str::to_owned)).collect(),
            has_index: !index.is_empty(),
            has_transactions: engine.is_empty(),
            has_version_table: !version.is_empty(),
        })
    }

    /// Holds all others up who would change the schema. What is changed cannot be taken back here, so every
    /// step is only taken if it is still missing.
    pub(super) async fn begin_migration(&mut self) -> Result<(), ServerError> {
        let sql = format!("SELECT GET_LOCK({MIGRATION_LOCK}, {LOCK_WAIT_SECONDS})");
        let got = self.rows(&sql, &[]).await?;
        if got.first().and_then(|row| row[0].integer()) == Some(1) {
            return Ok(());
        }
        let words = "another program is changing its table".to_owned();
        Err(DatabaseError::new(&self.server, Trouble::Conflict { words }).into())
    }

    pub(super) async fn end_migration(&mut self) -> Result<(), DatabaseError> {
        self.rows(&format!("SELECT RELEASE_LOCK({MIGRATION_LOCK})"), &[]).await.map(drop)
    }
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
