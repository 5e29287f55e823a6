//! The registry on a database server. This file gives the operations their names; `operation` runs them with
//! time limits and new connections, `nodes_table` has the statements, `migrations` the schema, and `postgres`
//! and `mysql` are all that differs between the servers.

mod error;
mod migrations;
mod mysql;
mod nodes_table;
mod operation;
mod postgres;
mod session;
mod value;

pub use error::ServerError;

use crate::database::Server;

use super::announcement::{Announcement, Stats};
use super::error::RegistryError;
use super::moves::Move;
use super::node::{Node, NodeKey};
use super::reservation::Reservation;
use operation::Operations;

/// A registry on a server.
#[derive(Debug, Clone)]
pub(super) struct ServerRegistry {
    operations: Operations,
}

impl ServerRegistry {
    /// Connects, and makes or migrates the table if need be. A server that cannot be used is tried several
    /// times.
    pub(super) async fn open(server: &Server) -> Result<Self, RegistryError> {
        Ok(Self { operations: Operations::open(server).await? })
    }

    pub(super) async fn list(&self) -> Result<Vec<Node>, RegistryError> {
        self.operations.run(|session| Box::pin(nodes_table::list(session))).await
    }

    pub(super) async fn find(&self, key: &NodeKey) -> Result<Option<Node>, RegistryError> {
        let key = key.clone();
        self.operations
            .run(move |session| {
                let key = key.clone();
                Box::pin(async move { Ok(nodes_table::find(session, &key).await?) })
            })
            .await
    }

    pub(super) async fn announce(&self, announcement: &Announcement, now: i64) -> Result<(), RegistryError> {
        let announcement = announcement.clone();
        self.operations
            .run(move |session| {
                let announcement = announcement.clone();
                Box::pin(async move { nodes_table::announce(session, &announcement, now).await })
            })
            .await
    }

    pub(super) async fn make(&self, verb: Move, key: &NodeKey, now: i64) -> Result<Node, RegistryError> {
        let key = key.clone();
        self.operations
            .run(move |session| {
                let key = key.clone();
                Box::pin(async move { nodes_table::make(session, verb, &key, now).await })
            })
            .await
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
        self.operations
            .run(move |session| {
                let (key, reservation) = (key.clone(), reservation.clone());
                Box::pin(async move {
                    Ok(nodes_table::make_if_held(session, verb, &key, &reservation, rests_until, now).await?)
                })
            })
            .await
    }

    pub(super) async fn free_if_expired(&self, key: &NodeKey, now: i64) -> Result<bool, RegistryError> {
        let key = key.clone();
        self.operations
            .run(move |session| {
                let key = key.clone();
                Box::pin(async move { Ok(nodes_table::free_if_expired(session, &key, now).await?) })
            })
            .await
    }

    pub(super) async fn prune(&self, silent_since: i64, now: i64) -> Result<Vec<NodeKey>, RegistryError> {
        self.operations
            .run(move |session| {
                Box::pin(async move { Ok(nodes_table::prune(session, silent_since, now).await?) })
            })
            .await
    }

    pub(super) async fn reserve(
        &self,
        reservation: &Reservation,
        max: usize,
        task: Option<&str>,
        now: i64,
        until: i64,
    ) -> Result<Vec<Node>, RegistryError> {
        let wish = nodes_table::Wish {
            reservation: reservation.clone(),
            max,
            task: task.map(str::to_owned),
            now,
            until,
        };
        self.operations
            .run(move |session| {
                let wish = wish.clone();
                Box::pin(async move { Ok(nodes_table::reserve(session, &wish).await?) })
            })
            .await
    }

    pub(super) async fn renew(
        &self,
        reservation: &Reservation,
        until: i64,
    ) -> Result<Vec<NodeKey>, RegistryError> {
        let reservation = reservation.clone();
        self.operations
            .run(move |session| {
                let reservation = reservation.clone();
                Box::pin(async move { Ok(nodes_table::renew(session, &reservation, until).await?) })
            })
            .await
    }

    pub(super) async fn release_reservation(
        &self,
        reservation: &Reservation,
        now: i64,
    ) -> Result<usize, RegistryError> {
        let reservation = reservation.clone();
        self.operations
            .run(move |session| {
                let reservation = reservation.clone();
                Box::pin(
                    async move { Ok(nodes_table::release_reservation(session, &reservation, now).await?) },
                )
            })
            .await
    }

    pub(super) async fn beat(&self, key: &NodeKey, stats: Stats, now: i64) -> Result<Node, RegistryError> {
        let key = key.clone();
        self.operations
            .run(move |session| {
                let key = key.clone();
                Box::pin(async move { nodes_table::beat(session, &key, stats, now).await })
            })
            .await
    }
}
