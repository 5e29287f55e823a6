//! What all connections of a slave share.

use tokio::sync::{mpsc, oneshot, watch};

use super::door_log::DoorLog;
use super::occupancy::Occupancy;
use crate::build::Build;
use crate::slave::pool::PoolHandle;
use crate::slave::registration::RowEvent;
use crate::wire::Welcome;

/// Why the slave is to end.
#[derive(Debug)]
pub(crate) enum EndOrder {
    /// A peer that may do so has asked for it.
    Asked,
    /// It cannot do its work any more, and why.
    CannotGoOn(String),
}

/// What all workers of a slave have loaded after a reload.
#[derive(Debug)]
pub(crate) struct Reloaded {
    /// The build.
    pub build: Build,
    /// The version of its library.
    pub task_version: String,
}

/// An order to reload: takes what came of it, or why nothing has changed.
pub(crate) type ReloadOrder = oneshot::Sender<Result<Reloaded, String>>;

/// Where peers' orders go.
#[derive(Debug)]
pub(crate) struct Orders {
    /// To end the slave.
    pub end: mpsc::Sender<EndOrder>,
    /// To reload its library.
    pub reloads: mpsc::Sender<ReloadOrder>,
}

/// One for each slave, shared by its connections.
#[derive(Debug)]
pub(crate) struct Door {
    /// What masters are told, as it is now.
    welcome: watch::Receiver<Welcome>,
    /// Where work goes.
    pub pool: PoolHandle,
    /// The slave's row in the registry.
    pub row: mpsc::Sender<RowEvent>,
    /// Who has the slave.
    pub occupancy: Occupancy,
    /// Whether the slave is about to end.
    pub draining: watch::Receiver<bool>,
    /// Bounds what peers can put into the log.
    pub log: DoorLog,
    orders: Orders,
}

impl Door {
    /// The door of a slave that no one has yet. `orders` takes those of peers.
    pub(crate) fn new(
        welcome: watch::Receiver<Welcome>,
        pool: PoolHandle,
        row: mpsc::Sender<RowEvent>,
        draining: watch::Receiver<bool>,
        orders: Orders,
    ) -> Self {
        let occupancy = Occupancy::new(draining.clone());
        Self { welcome, pool, row, occupancy, draining, log: DoorLog::default(), orders }
    }

    /// Makes the slave end.
    pub(crate) fn order_end(&self, order: EndOrder) {
        // A slave that is told twice ends once.
        let _ = self.orders.end.try_send(order);
    }

    /// What masters are told.
    pub(crate) fn welcome(&self) -> Welcome {
        self.welcome.borrow().clone()
    }

    /// Makes the slave reload its library, after other reloads, and returns what came of it.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub(super) async fn reload(&self) -> Result<Reloaded, String> {
        let ending = "it is shutting down";
        let (order, answer) = oneshot::channel();
        self.orders.reloads.send(order).await.map_err(|_| ending)?;
        answer.await.map_err(|_| ending)?
    }
}
