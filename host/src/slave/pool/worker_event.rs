//! What a worker's link and its pool say to each other: which worker, what happened to it, what to do to it.

use bytes::Bytes;

use crate::ids::{BatchId, Epoch, SlotIndex};
use crate::wire::{Blame, ItemDone, LossKind};
use crate::worker::LaunchError;

/// Which worker is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkerId {
    /// Its place.
    pub slot: SlotIndex,
    /// How many workers this place has had before.
    pub epoch: Epoch,
}

impl WorkerId {
    /// The worker of a slot.
    pub(crate) fn new(slot: SlotIndex, epoch: Epoch) -> Self {
        Self { slot, epoch }
    }
}

/// What happened to a worker.
#[derive(Debug)]
pub(super) enum WorkerEvent {
    /// Its task exists.
    Created,
    /// The process failed before its task existed.
    NotCreated(LaunchError),
    /// It has finished an item, or a part of one.
    Done {
        /// What the worker says about it.
        done: ItemDone,
        /// The outcomes, if they are not simply "all done".
        table: Bytes,
        /// Rows and messages.
        body: Bytes,
    },
    /// The task says that it cannot go on.
    Fatal {
        /// Why.
        message: String,
    },
    /// The process is gone.
    Lost(Lost),
}

/// What is left of a worker.
#[derive(Debug)]
pub(super) struct Lost {
    /// How it ended.
    pub kind: LossKind,
    /// The same in words, for the log and the master.
    pub message: String,
    /// Someone killed it, which says nothing about the task.
    pub was_killed: bool,
    /// Its slave wanted it to end.
    pub was_expected: bool,
    /// The record it died on.
    pub blame: Option<Blame>,
    /// What it had finished of the item in hand but not handed over: outcomes and rows.
    pub remains: Option<(BatchId, Bytes, Bytes)>,
}

/// What to do to a worker's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steering {
    /// Tell its task that the slave is about to end.
    Hurry,
    /// Kill it at once.
    Kill,
}
