//! What can be wrong with the database behind the registry, whichever it is, in words that say what to do.

use super::dialects::sqlite_error::SqliteError;
use crate::database::{DatabaseError, Trouble};

/// Why a database could not be used as the registry.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The SQLite file fails.
    #[error(transparent)]
    File(#[from] SqliteError),

    /// The server fails, or refuses.
    #[error(transparent)]
    Server(#[from] DatabaseError),

    /// The server has failed over and over.
    #[error("the registry cannot be used, after {tries} tries: {last}")]
    GaveUp {
        /// How often it was tried.
        tries: u32,
        /// Why it failed the last time.
        last: DatabaseError,
    },

    /// The connection broke before the answer to `COMMIT` came.
    #[error("the registry may or may not have done what it was asked to do: {0}")]
    Unsure(DatabaseError),

    /// A later version of this program has made or changed the schema.
    #[error(
        "the registry {place} was made by a newer SimpleGrid (its schema has version {found}, this program knows \
         {known}); update this program, or name another registry"
    )]
    Newer {
        /// The file or server.
        place: String,
        /// The version there.
        found: i64,
        /// The last version that this program knows.
        known: i64,
    },

    /// There is a table of our name that is not ours.
    #[error(
        "the table `{table}` in {place} does not belong to a registry: it has no column `{column}`; name another \
         registry"
    )]
    ForeignTable {
        /// The file or server.
        place: String,
        /// The table.
        table: &'static str,
        /// The first column that is missing.
        column: &'static str,
    },

    /// There is a table of ours, or of Net::SimpleGrid, in which nothing can be rolled back. It is not ours
    /// to turn it into another: other programs use it, and it stands still meanwhile.
    #[error(
        "the table `{table}` in {place} is a {engine} table, in which two masters could get one slave; turn it into an \
         InnoDB table first: `ALTER TABLE {table} ENGINE = InnoDB` (Net::SimpleGrid's programs can go on using it)"
    )]
    NoTransactions {
        /// The server.
        place: String,
        /// The table.
        table: &'static str,
        /// Its storage engine.
        engine: String,
    },

    /// A table is missing or old, and this user may not change that.
    #[error(
        "the tables of the registry {place} must be made or brought up to date first, which this user may not do \
         ({words}); run `simplegrid node-manager list` once with the user who owns them"
    )]
    NotPrepared {
        /// The server.
        place: String,
        /// In the server's words.
        words: String,
    },

    /// The server cannot give rows to several clients at once.
    #[error(
        "{place} runs version {version}, which is too old: a registry needs PostgreSQL 9.6, MariaDB 10.6, MySQL 8.0.1 \
         or later"
    )]
    TooOld {
        /// The server.
        place: String,
        /// Its version.
        version: String,
    },
}

impl BackendError {
    /// Whether only the transaction has failed, so that its connection can be used again.
    pub(super) fn is_of_the_transaction(&self) -> bool {
        match self {
            Self::File(error) => matches!(error, SqliteError::Locked { .. }),
            Self::Server(error) => matches!(error.trouble, Trouble::Conflict { .. }),
            _ => false,
        }
    }

    /// Whether nothing was done, and the same can succeed in a moment on a server. A table that is gone is
    /// made again when a new session is opened.
    pub(super) fn can_be_tried_again(&self) -> bool {
        let Self::Server(error) = self else { return false };
        matches!(
            error.trouble,
            Trouble::Unreachable { .. }
                | Trouble::NotNow { .. }
                | Trouble::Lost { .. }
                | Trouble::Conflict { .. }
                | Trouble::NoSuchTable { .. }
        )
    }

    /// The server's words, if the error is that its user may not do this.
    pub(super) fn forbidden(&self) -> Option<&str> {
        match self {
            Self::Server(DatabaseError { trouble: Trouble::Forbidden { words }, .. }) => Some(words),
            _ => None,
        }
    }

    /// What the error means if it comes instead of an answer to `COMMIT`. When a connection to a server
    /// breaks there, no one can tell whether the transaction was committed; a server that reports a conflict
    /// has not committed it.
    pub(super) fn while_committing(self) -> Self {
        match self {
            Self::Server(error) if !matches!(error.trouble, Trouble::Conflict { .. }) => Self::Unsure(error),
            other => other,
        }
    }
}
