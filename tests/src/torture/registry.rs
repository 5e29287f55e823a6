//! What can happen to the registry's file: another program locks it, or someone deletes it.

use std::fs;

use rusqlite::Connection;

use crate::grid::Grid;

/// A lock that another program holds on the registry. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "it is only there to be dropped")] Connection);

impl Lock {
    /// Takes the lock; `None` if the file does not exist, or another program holds the lock.
    pub(super) fn take(grid: &Grid) -> Option<Self> {
        let file = grid.path("grid.db");
        if !file.exists() {
            return None;
        }
        let connection = Connection::open(file).ok()?;
        connection.busy_timeout(std::time::Duration::from_millis(200)).ok()?;
        connection.execute_batch("BEGIN EXCLUSIVE").ok()?;
        Some(Self(connection))
    }
}

/// Deletes the registry, with what SQLite keeps beside it.
pub(super) fn delete(grid: &Grid) {
    for file in ["grid.db", "grid.db-wal", "grid.db-shm"] {
        // A file that does not exist needs no deletion.
        let _ = fs::remove_file(grid.path(file));
    }
}

/// Renames a new registry, with nothing in it, over the old one.
pub(super) fn replace(grid: &Grid) {
    let new = grid.path("new.db");
    let url = format!("sqlite:{}", new.display());
    let listed = grid.node_manager().args("--registry").arg(url).arg("list").finish();
    assert_eq!(listed.status, 0, "a new registry can be made: {}", listed.stderr);
    // What SQLite keeps beside the old one belongs to the old one.
    for file in ["grid.db-wal", "grid.db-shm"] {
        // A file that does not exist needs no deletion.
        let _ = fs::remove_file(grid.path(file));
    }
    fs::rename(new, grid.path("grid.db")).expect("it is in the same directory");
}
