//! What all connections of a slave share.

use tokio::sync::{mpsc, watch};

use super::door_log::DoorLog;
use super::occupancy::Occupancy;
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

/// One for each slave, shared by its connections.
#[derive(Debug)]
pub(crate) struct Door {
    /// What masters are told.
    pub welcome: Welcome,
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
    end: mpsc::Sender<EndOrder>,
}

impl Door {
    /// The door of a slave that no one has yet. `end` takes the orders to end it.
    pub(crate) fn new(
        welcome: Welcome,
        pool: PoolHandle,
        row: mpsc::Sender<RowEvent>,
        draining: watch::Receiver<bool>,
        end: mpsc::Sender<EndOrder>,
    ) -> Self {
        let occupancy = Occupancy::new(draining.clone());
        Self { welcome, pool, row, occupancy, draining, log: DoorLog::default(), end }
    }

    /// Makes the slave end.
    pub(crate) fn order_end(&self, order: EndOrder) {
        // A slave that is told twice ends once.
        let _ = self.end.try_send(order);
    }
}
