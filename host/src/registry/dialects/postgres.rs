//! What only PostgreSQL does: how values travel to it, and how its catalogue is read.

use bytes::BytesMut;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::server_session::{
    self, IDLE_SECONDS, LOCK_WAIT_SECONDS, ServerSession, VERSION_TABLE, last_version,
};
use crate::database::Server;
use crate::database::postgres::{DURABLE, PostgresConnection, connect, in_words};
use crate::registry::backend_error::BackendError;
use crate::registry::session::{Access, Dialect, FoundTable, SqlSession};
use crate::registry::value::{Row, Value};

/// The first version that has all that is needed here, as it numbers itself: 9.6.
const VERSION_MIN: i64 = 90_600;

/// Held while the schema is changed, so that only one process does it: any number that no other program uses.
const MIGRATION_LOCK: i64 = 0x5349_4d50_4c45; // "SIMPLE"

/// The SQL of PostgreSQL.
const DIALECT: Dialect =
    Dialect { locks_rows: true, empty_first: " NULLS FIRST", table_options: "", columns_at_once: usize::MAX };

/// Begins a transaction, and says when.
const BEGIN: &str = "BEGIN; SELECT floor(extract(epoch FROM clock_timestamp()))::bigint";

type Cause = Box<dyn std::error::Error + Sync + Send>;

/// A connection to PostgreSQL.
#[derive(Debug)]
pub(crate) struct PostgresSession {
    server: Server,
    connection: PostgresConnection,
}

impl PostgresSession {
    fn in_words(&self, error: &tokio_postgres::Error) -> BackendError {
        in_words(&self.server, error).into()
    }
}

impl ServerSession for PostgresSession {
    async fn connect(server: &Server) -> Result<Self, BackendError> {
        let mut session = Self { server: server.clone(), connection: connect(server).await? };
        let version = session.rows("SELECT current_setting('server_version_num')::int", &[]).await?;
        if version.first().and_then(|row| row[0].integer()).is_some_and(|number| number < VERSION_MIN) {
            let version = session.rows("SELECT current_setting('server_version')", &[]).await?;
            let version = version.first().and_then(|row| row[0].text()).unwrap_or_default().to_owned();
            return Err(BackendError::TooOld { place: session.place(), version });
        }
        let settings = format!(
            "SET lock_timeout = '{LOCK_WAIT_SECONDS}s'; SET default_transaction_isolation = 'read committed';
             SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'; SET client_min_messages = warning;
             {DURABLE}"
        );
        session.say(&settings).await?;
        Ok(session)
    }
}

impl SqlSession for PostgresSession {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn place(&self) -> String {
        self.server.to_string()
    }

    async fn say(&mut self, sql: &str) -> Result<(), BackendError> {
        self.connection.batch_execute(sql).await.map_err(|error| self.in_words(&error))
    }

    async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, BackendError> {
        let found = self.connection.query(&numbered(sql), &parameters(values)).await;
        let row = |row: &tokio_postgres::Row| (0..row.len()).map(|column| row.try_get(column)).collect();
        let rows: Result<_, tokio_postgres::Error> = found.and_then(|rows| rows.iter().map(row).collect());
        rows.map_err(|error| self.in_words(&error))
    }

    async fn change(&mut self, sql: &str, values: &[Value]) -> Result<u64, BackendError> {
        let changed = self.connection.execute(&numbered(sql), &parameters(values)).await;
        changed.map_err(|error| self.in_words(&error))
    }

    async fn begin(&mut self, _access: Access) -> Result<i64, BackendError> {
        let answers = self.connection.simple_query(BEGIN).await.map_err(|error| self.in_words(&error))?;
        let time = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        Ok(time.ok_or_else(|| server_session::no_time(&self.server))?)
    }

    async fn look_at(&mut self, table: &str, index: &str) -> Result<FoundTable, BackendError> {
        let columns = format!(
            "SELECT attname::text FROM pg_attribute
             WHERE attrelid = to_regclass('{table}') AND attnum > 0 AND NOT attisdropped"
        );
        let columns = self.rows(&columns, &[]).await?;
        let index = format!(
            "SELECT 1 FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
             WHERE indrelid = to_regclass('{table}') AND relname = '{index}'"
        );
        let index = self.rows(&index, &[]).await?;
        Ok(FoundTable {
            columns: columns.iter().filter_map(|row| row[0].owned()).collect(),
            has_index: !index.is_empty(),
            without_transactions: None,
        })
    }

    async fn noted_version(&mut self) -> Result<Option<i64>, BackendError> {
        let readable = format!(
            "SELECT 1 FROM pg_class WHERE oid = to_regclass('{VERSION_TABLE}') AND has_table_privilege(oid, 'SELECT')"
        );
        if self.rows(&readable, &[]).await?.is_empty() { Ok(None) } else { last_version(self).await }
    }

    fn note_version(&self, version: i64) -> String {
        server_session::note_version(version)
    }

    async fn begin_migration(&mut self) -> Result<(), BackendError> {
        self.say(&format!("BEGIN; SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await
    }

    async fn end_migration(&mut self) -> Result<(), BackendError> {
        self.say("COMMIT").await
    }
}

/// PostgreSQL numbers the places of values. Each `?` in our statements is such a place.
fn numbered(sql: &str) -> String {
    let mut pieces = sql.split('?');
    let mut numbered = pieces.next().unwrap_or_default().to_owned();
    for (number, piece) in (1..).zip(pieces) {
        numbered.push_str(&format!("${number}{piece}"));
    }
    numbered
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// Each value takes the type of its place in the statement. A number that is too large for the type becomes
/// the largest that fits.
impl ToSql for Value {
    fn to_sql(&self, place: &Type, out: &mut BytesMut) -> Result<IsNull, Cause> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Text(text) => text.as_str().to_sql(place, out),
            Self::Real(number) => number.to_sql(place, out),
            Self::Integer(number) if *place == Type::INT2 => {
                i16::try_from(*number).unwrap_or(i16::MAX).to_sql(place, out)
            }
            Self::Integer(number) if *place == Type::INT4 => {
                i32::try_from(*number).unwrap_or(i32::MAX).to_sql(place, out)
            }
            Self::Integer(number) => number.to_sql(place, out),
        }
    }

    fn accepts(_place: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'r> FromSql<'r> for Value {
    fn from_sql(place: &Type, raw: &'r [u8]) -> Result<Self, Cause> {
        Ok(match *place {
            Type::INT2 => Self::Integer(i16::from_sql(place, raw)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(place, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(place, raw)?),
            Type::FLOAT4 => Self::Real(f32::from_sql(place, raw)?.into()),
            Type::FLOAT8 => Self::Real(f64::from_sql(place, raw)?),
            _ => Self::Text(<&str>::from_sql(place, raw)?.to_owned()),
        })
    }

    fn from_sql_null(_place: &Type) -> Result<Self, Cause> {
        Ok(Self::Null)
    }

    fn accepts(place: &Type) -> bool {
        let number = [Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8];
        number.contains(place) || <&str as FromSql>::accepts(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered() {
        assert_eq!(numbered("a = ? AND b = ?"), "a = $1 AND b = $2");
        assert_eq!(numbered("SELECT 1"), "SELECT 1");
    }
}
