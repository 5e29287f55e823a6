//! What a pool's decisions tell its actor to do.
//!
//! Pure: no I/O, no clock, no tokio.

use std::time::Duration;

use super::worker_event::WorkerId;
use crate::ids::SlotIndex;
use crate::wire::{Frame, HostToWorker, SlaveToMaster};

/// One thing that the pool must do next. Actions are performed in the order in which they are decided.
#[derive(Debug, PartialEq)]
pub(super) enum PoolAction {
    /// Start a worker.
    Spawn(WorkerId),
    /// Give a worker an item.
    Feed(WorkerId, Frame<HostToWorker>),
    /// Kill a worker. Its end will be reported.
    Kill(WorkerId),
    /// Let a worker end after the items that it has.
    Stop(WorkerId),
    /// Tell a worker's task that the slave is about to end.
    Hurry(WorkerId),
    /// Close the link to the master, which has broken the rules.
    CloseMaster {
        /// How it has broken them.
        reason: String,
    },
    /// Tell the master.
    Report(Frame<SlaveToMaster>),
    /// Say that nothing has ended for so long.
    SayStandstill {
        /// How long.
        still: Duration,
        /// The first slot that has something to do.
        slot: SlotIndex,
        /// How many others have, too.
        others: usize,
    },
    /// The slave cannot go on.
    GiveUp {
        /// Why.
        message: String,
    },
}
