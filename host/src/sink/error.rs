//! What can go wrong with a sink: when it is opened, and when rows are committed. It knows no kind of sink.

/// Why a sink cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The user has named a table that does not fit the task, or a place that cannot exist. Trying again does
    /// not help.
    #[error("{0}")]
    Unfit(String),
    /// It cannot be reached, or does not let this slave in.
    #[error("{0}")]
    Unreachable(String),
}

/// Why a group was not committed, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The connection is lost, or the database is busy: the same may be tried again, and the ledger tells
    /// what was committed.
    #[error("{0}")]
    Lost(String),
    /// It would fail again.
    #[error("{0}")]
    Broken(String),
}
