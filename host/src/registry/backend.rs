//! The database behind a registry, whichever it is: opened here, and handed each request.

mod file;
mod server;

use file::FileBackend;
use server::ServerBackend;

use super::clock::Clock;
use super::dialects::mysql::MysqlSession;
use super::dialects::postgres::PostgresSession;
use super::error::RegistryError;
use super::request::{Answer, Request};
use super::url::RegistryUrl;
use crate::database::ServerKind;

/// A database that can hold a registry.
#[derive(Debug)]
pub(super) enum Backend {
    Sqlite(FileBackend),
    Postgres(ServerBackend<PostgresSession>),
    Mysql(ServerBackend<MysqlSession>),
    #[cfg(any(test, feature = "simulation"))]
    Simulated(super::simulated::SimulatedTable),
}

impl Backend {
    /// Opens the database, and makes or completes its tables where they are missing something.
    pub(super) async fn open(url: &RegistryUrl) -> Result<Self, RegistryError> {
        Ok(match url {
            RegistryUrl::Sqlite { path, creates_directory } => {
                Self::Sqlite(FileBackend::open(path, *creates_directory).await?)
            }
            RegistryUrl::Server(server) => match server.kind {
                ServerKind::Postgres => Self::Postgres(ServerBackend::open(server).await?),
                ServerKind::Mysql => Self::Mysql(ServerBackend::open(server).await?),
            },
        })
    }

    /// Carries out what was asked.
    pub(super) async fn perform(&mut self, request: Request, clock: &Clock) -> Result<Answer, RegistryError> {
        match self {
            Self::Sqlite(file) => file.perform(request, clock).await,
            Self::Postgres(server) => server.perform(&request, clock).await,
            Self::Mysql(server) => server.perform(&request, clock).await,
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(table) => table.perform(&request).await,
        }
    }
}
