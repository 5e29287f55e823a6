//! What only PostgreSQL does: how values travel to it, and how it is asked about its tables.

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::error::ServerError;
use super::migrations::Schema;
use super::session::{IDLE_SECONDS, LOCK_WAIT_SECONDS};
use super::value::{Row, Value};
use crate::database::postgres::{PostgresConnection, connect, in_words};
use crate::database::{DatabaseError, Server};

/// The first version that has all that is needed here, as it numbers itself: 9.6.
const VERSION_MIN: i64 = 90_600;

/// Held while the schema is changed, so that only one process does it: any number that no one else uses.
const MIGRATION_LOCK: i64 = 0x5349_4d50_4c45; // "SIMPLE"

type Cause = Box<dyn std::error::Error + Sync + Send>;

/// A connection to PostgreSQL.
#[derive(Debug)]
pub(super) struct PostgresSession {
    server: Server,
    connection: PostgresConnection,
}

impl PostgresSession {
    pub(super) async fn open(server: &Server) -> Result<Self, ServerError> {
        let mut session = Self { server: server.clone(), connection: connect(server).await? };
        let version = session.rows("SELECT current_setting('server_version_num')::int", &[]).await?;
        if version.first().and_then(|row| row[0].integer()).is_some_and(|number| number < VERSION_MIN) {
            let version = session.rows("SELECT current_setting('server_version')", &[]).await?;
            let version = version.first().and_then(|row| row[0].text()).unwrap_or_default().to_owned();
            return Err(ServerError::TooOld { server: server.to_string(), version });
        }
        let settings = format!(
            "SET lock_timeout = '{LOCK_WAIT_SECONDS}s'; SET default_transaction_isolation = 'read committed';
             SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'; SET client_min_messages = warning"
        );
        session.say(&settings).await?;
        Ok(session)
    }

    pub(super) async fn say(&mut self, sql: &str) -> Result<(), DatabaseError> {
        self.connection.batch_execute(sql).await.map_err(|error| in_words(&self.server, &error))
    }

    pub(super) async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        let found = self.connection.query(&numbered(sql), &parameters(values)).await;
        let row = |row: &tokio_postgres::Row| (0..row.len()).map(|column| row.try_get(column)).collect();
        let rows: Result<_, tokio_postgres::Error> = found.and_then(|rows| rows.iter().map(row).collect());
        rows.map_err(|error| in_words(&self.server, &error))
    }

    pub(super) async fn change(&mut self, sql: &str, values: &[Value]) -> Result<u64, DatabaseError> {
        let changed = self.connection.execute(&numbered(sql), &parameters(values)).await;
        changed.map_err(|error| in_words(&self.server, &error))
    }

    /// What the server has of the registry, as far as this user may know.
    pub(super) async fn schema(&mut self) -> Result<Schema, DatabaseError> {
        let columns = self
            .rows(
                "SELECT attname::text FROM pg_attribute
                 WHERE attrelid = to_regclass('nodes') AND attnum > 0 AND NOT attisdropped",
                &[],
            )
            .await?;
        let index = self
            .rows(
                "SELECT 1 FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                 WHERE indrelid = to_regclass('nodes') AND relname = 'nodes_state'",
                &[],
            )
            .await?;
        let readable = self
            .rows(
                "SELECT 1 FROM pg_class WHERE oid = to_regclass('simplegrid_schema')
                     AND has_table_privilege(oid, 'SELECT')",
                &[],
            )
            .await?;
        Ok(Schema {
            columns: columns.iter().filter_map(|row| row[0].text().map(str::to_owned)).collect(),
            has_index: !index.is_empty(),
            has_transactions: true,
            has_version_table: !readable.is_empty(),
        })
    }

    /// Holds all others up who would change the schema, until the transaction is over.
    pub(super) async fn begin_migration(&mut self) -> Result<(), ServerError> {
        Ok(self.say(&format!("BEGIN; SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await?)
    }

    pub(super) async fn end_migration(&mut self) -> Result<(), DatabaseError> {
        self.say("COMMIT").await
    }
}

/// PostgreSQL numbers the places of values. No statement of ours has a `?` that is none.
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

/// Each value takes the type that its place in the statement has. A number that is too large for it becomes
/// the largest that is not.
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
