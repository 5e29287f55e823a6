//! A connection to a server that is ready for the registry's statements, whichever server it is. It owns
//! transactions and how values travel; it knows no table.

use crate::database::{DatabaseError, Server, ServerKind};

use super::error::ServerError;
use super::value::{Row, Value};
use super::{migrations, mysql, postgres};

/// How long a statement may wait for a row that another transaction has locked, in seconds: less than an
/// operation may take, so that the server's own words come first.
pub(super) const LOCK_WAIT_SECONDS: u32 = 4;

/// How long the server lets a transaction of ours be open and do nothing, in seconds. A process that stands
/// still in the middle of one would keep all others from its rows.
pub(super) const IDLE_SECONDS: u32 = 10;

/// A connection.
#[derive(Debug)]
pub(super) enum Session {
    Postgres(postgres::PostgresSession),
    Mysql(mysql::MysqlSession),
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Commit,
    Rollback,
}

impl Session {
    /// Connects, and brings the table up to date.
    pub(super) async fn open(server: &Server) -> Result<Self, ServerError> {
        let mut session = match server.kind {
            ServerKind::Postgres => Self::Postgres(postgres::PostgresSession::open(server).await?),
            ServerKind::Mysql => Self::Mysql(mysql::MysqlSession::open(server).await?),
        };
        migrations::migrate(&mut session, server).await?;
        Ok(session)
    }

    /// Begins a transaction.
    pub(super) async fn begin(&mut self) -> Result<(), DatabaseError> {
        self.say("BEGIN").await
    }

    /// Ends it.
    pub(super) async fn end(&mut self, end: End) -> Result<(), DatabaseError> {
        self.say(match end {
            End::Commit => "COMMIT",
            End::Rollback => "ROLLBACK",
        })
        .await
    }

    /// A statement without values and rows.
    pub(super) async fn say(&mut self, sql: &str) -> Result<(), DatabaseError> {
        match self {
            Self::Postgres(session) => session.say(sql).await,
            Self::Mysql(session) => session.say(sql).await,
        }
    }

    /// The rows that a statement finds. A `?` stands for each value.
    pub(super) async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        match self {
            Self::Postgres(session) => session.rows(sql, values).await,
            Self::Mysql(session) => session.rows(sql, values).await,
        }
    }

    /// How many rows a statement has changed, or found and left as they were.
    pub(super) async fn change(&mut self, sql: &str, values: &[Value]) -> Result<u64, DatabaseError> {
        match self {
            Self::Postgres(session) => session.change(sql, values).await,
            Self::Mysql(session) => session.change(sql, values).await,
        }
    }

    /// What makes empty values come first in an order, as they do in SQLite and MySQL without a word.
    pub(super) fn empty_first(&self) -> &'static str {
        match self {
            Self::Postgres(_) => " NULLS FIRST",
            Self::Mysql(_) => "",
        }
    }
}
