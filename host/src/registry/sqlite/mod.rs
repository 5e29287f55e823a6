//! The registry in a SQLite file. This file gives the operations their names and puts them on blocking
//! threads; `database` owns the connection, `nodes_table` the statements, `migrations` the schema, `error`
//! the words.

mod database;
mod error;
mod migrations;
mod nodes_table;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Transaction;

pub(crate) use error::SqliteError;

use database::{BUSY_TIMEOUT, Database, Failure};

use super::announcement::{Announcement, Stats};
use super::error::RegistryError;
use super::moves::Move;
use super::node::{Node, NodeKey};
use super::reservation::Reservation;

/// A registry in a SQLite file.
#[derive(Debug, Clone)]
pub(super) struct SqliteRegistry {
    database: Arc<Mutex<Database>>,
}

impl SqliteRegistry {
    /// Opens the file, or makes it, and its directory too if that is asked for.
    pub(super) async fn open(path: &Path, creates_directory: bool) -> Result<Self, RegistryError> {
        let mut database = Database::new(path.to_owned(), creates_directory, BUSY_TIMEOUT);
        let database = on_a_blocking_thread(move || database.connect().map(|()| database)).await?;
        Ok(Self { database: Arc::new(Mutex::new(database)) })
    }

    pub(super) async fn list(&self) -> Result<Vec<Node>, RegistryError> {
        self.read(|tx| Ok(nodes_table::list(tx)?)).await
    }

    pub(super) async fn find(&self, key: &NodeKey) -> Result<Option<Node>, RegistryError> {
        let key = key.clone();
        self.read(move |tx| Ok(nodes_table::find(tx, &key)?)).await
    }

    pub(super) async fn announce(&self, announcement: &Announcement, now: i64) -> Result<(), RegistryError> {
        let announcement = announcement.clone();
        self.write(move |tx| nodes_table::announce(tx, &announcement, now)).await
    }

    pub(super) async fn make(&self, verb: Move, key: &NodeKey, now: i64) -> Result<Node, RegistryError> {
        let key = key.clone();
        self.write(move |tx| nodes_table::make(tx, verb, &key, now)).await
    }

    pub(super) async fn make_if_held(
        &self,
        verb: Move,
        key: &NodeKey,
        reservation: &Reservation,
        rests_until: Option<i64>,
        now: i64,
    ) -> Result<bool, RegistryError> {
        let (key, reservation) = (key.clone(), reservation.clone());
        self.write(move |tx| Ok(nodes_table::make_if_held(tx, verb, &key, &reservation, rests_until, now)?))
            .await
    }

    pub(super) async fn free_if_expired(&self, key: &NodeKey, now: i64) -> Result<bool, RegistryError> {
        let key = key.clone();
        self.write(move |tx| Ok(nodes_table::free_if_expired(tx, &key, now)?)).await
    }

    pub(super) async fn prune(&self, silent_since: i64, now: i64) -> Result<Vec<NodeKey>, RegistryError> {
        self.write(move |tx| Ok(nodes_table::prune(tx, silent_since, now)?)).await
    }

    pub(super) async fn reserve(
        &self,
        reservation: &Reservation,
        max: usize,
        task: Option<&str>,
        now: i64,
        until: i64,
    ) -> Result<Vec<Node>, RegistryError> {
        let (reservation, task) = (reservation.clone(), task.map(str::to_owned));
        self.write(move |tx| Ok(nodes_table::reserve(tx, &reservation, max, task.as_deref(), now, until)?))
            .await
    }

    pub(super) async fn renew(
        &self,
        reservation: &Reservation,
        until: i64,
    ) -> Result<Vec<NodeKey>, RegistryError> {
        let reservation = reservation.clone();
        self.write(move |tx| Ok(nodes_table::renew(tx, &reservation, until)?)).await
    }

    pub(super) async fn release_reservation(
        &self,
        reservation: &Reservation,
        now: i64,
    ) -> Result<usize, RegistryError> {
        let reservation = reservation.clone();
        self.write(move |tx| Ok(nodes_table::release_reservation(tx, &reservation, now)?)).await
    }

    pub(super) async fn beat(&self, key: &NodeKey, stats: Stats, now: i64) -> Result<Node, RegistryError> {
        let key = key.clone();
        self.write(move |tx| nodes_table::beat(tx, &key, stats, now)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let database = Arc::clone(&self.database);
        on_a_blocking_thread(move || lock(&database).read(work)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let database = Arc::clone(&self.database);
        on_a_blocking_thread(move || lock(&database).write(work)).await
    }
}

/// A panic inside a transaction rolls it back and leaves the connection as it was, so the lock's poison says
/// nothing that matters here.
fn lock(database: &Mutex<Database>) -> std::sync::MutexGuard<'_, Database> {
    database.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn on_a_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, RegistryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Blocking work is only cancelled when the runtime goes down before the work began.
        Err(_) => Err(SqliteError::Stopped.into()),
    }
}
