//! One slot: its worker, what is under way to it, and what its task may hold. Pure.

use super::pace::Pace;
use crate::ids::{BatchId, Epoch};

/// A worker's place, as the master sees it.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// The number of its worker; what other workers of the slot have said no longer counts.
    pub epoch: Epoch,
    /// Whether it has a worker.
    pub up: bool,
    /// Batches that were sent and not reported to be at their end.
    pub in_flight: Vec<BatchId>,
    /// Whether records of it are in flight or held.
    pub has_records: bool,
    /// Whether its task has got records since its last flush.
    pub needs_flush: bool,
    /// The flush that is under way.
    pub flushing: Option<BatchId>,
    /// Flushes in a row after which it still held records.
    pub vain_flushes: u32,
    /// It is kept free for a record that must be alone, or has such a record.
    pub reserved: bool,
    /// How fast its workers are.
    pub pace: Pace,
}

impl Slot {
    /// Whether it was given that item, and the item has not ended.
    pub(super) fn has_under_way(&self, item: BatchId) -> bool {
        self.in_flight.contains(&item) || self.flushing == Some(item)
    }

    /// Whether its task must be asked to finish what it holds, and can be.
    pub(super) fn wants_flush(&self) -> bool {
        self.up && self.needs_flush && self.flushing.is_none() && self.in_flight.is_empty()
    }

    /// Whether its task has nothing to finish.
    pub(super) fn is_flushed(&self) -> bool {
        !self.needs_flush && self.flushing.is_none()
    }

    /// Whether it takes batches: not if it is kept free, or being flushed.
    pub(super) fn is_open(&self) -> bool {
        self.up && !self.reserved && self.flushing.is_none()
    }

    /// What stays of a slot when its worker is gone: its number, and how fast its workers are.
    pub(super) fn without_worker(&self) -> Self {
        Self { epoch: self.epoch, pace: self.pace, ..Self::default() }
    }
}
