//! What can be wrong with a registry on a server, beside what can be wrong with the server.

use crate::database::DatabaseError;

/// Why a server could not be used as the registry.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The server fails, or does not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),

    /// The same, over and over.
    #[error("the registry cannot be used, after {tries} tries: {last}")]
    GaveUp {
        /// How often it was tried.
        tries: u32,
        /// Why it failed the last time.
        last: DatabaseError,
    },

    /// The connection broke when everything was said but the answer to `COMMIT`.
    #[error("the registry may or may not have done what it was asked: {0}")]
    Unsure(DatabaseError),

    /// A later version of this program has changed the table.
    #[error(
        "the registry {server} was made by a newer SimpleGrid (its schema has version {found}, this program knows \
         {known}); update this program, or name another database"
    )]
    Newer {
        /// The server.
        server: String,
        /// The version there.
        found: i64,
        /// The last version that this program knows.
        known: usize,
    },

    /// There is a table of our name that is not ours.
    #[error(
        "the table `nodes` in {server} is not a registry: it has no column `{column}`; name another database"
    )]
    ForeignTable {
        /// The server.
        server: String,
        /// The first column that is missing.
        column: &'static str,
    },

    /// The table is missing or old, and this user may not change that.
    #[error(
        "the table `nodes` in {server} must be made or brought up to date first, which this user may not do \
         ({words}); let its owner do it: `simplegrid node-manager list` with its user"
    )]
    NotPrepared {
        /// The server.
        server: String,
        /// In the server's words.
        words: String,
    },

    /// The server cannot give out rows to several at once.
    #[error(
        "{server} runs version {version}, which is too old: a registry needs PostgreSQL 9.6, MariaDB 10.6, MySQL \
         8.0.1 or later"
    )]
    TooOld {
        /// The server.
        server: String,
        /// Its version.
        version: String,
    },

    /// The program is ending and did not do this operation.
    #[error("the registry is closed because the program is ending")]
    Stopped,
}

impl ServerError {
    /// Whether the same operation may succeed later.
    pub(in crate::registry) fn is_temporary(&self) -> bool {
        match self {
            Self::Database(error) | Self::Unsure(error) => error.is_temporary(),
            Self::GaveUp { last, .. } => last.is_temporary(),
            Self::Newer { .. } | Self::ForeignTable { .. } | Self::NotPrepared { .. } => false,
            Self::TooOld { .. } | Self::Stopped => false,
        }
    }
}
