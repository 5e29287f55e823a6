//! A master's line to one slave, whatever it runs over. The dispatcher sees frames in and events out.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::ids::NodeId;
use crate::limits::BATCHES_PER_SLOT_MAX;
use crate::wire::{Frame, MasterToSlave, SlaveToMaster, Welcome};

/// What happened on a link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// A slave takes part.
    Joined(Joined),
    /// A slave said something about its slots.
    Said(NodeId, Frame<SlaveToMaster>),
    /// A round trip was measured.
    RoundTrip(NodeId, Duration),
    /// The slave is free, and the link closed: the answer to a goodbye.
    Left(NodeId),
    /// The slave is gone.
    Lost(NodeId, String),
    /// No slave is left, and none comes any more.
    NoNodes(String),
}

/// A slave that takes part from now on.
#[derive(Debug)]
pub(crate) struct Joined {
    /// Its number in this run.
    pub node: NodeId,
    /// What people call it.
    pub name: String,
    /// What it is.
    pub welcome: Welcome,
    /// The way to it.
    pub out: mpsc::Sender<Frame<MasterToSlave>>,
    /// Ends the link at once, for a reason: the slave is not to be trusted any more. To drop it means
    /// nothing.
    pub hang_up: oneshot::Sender<String>,
}

/// Generations of workers whose batches may wait on the way to a slave: what was meant for a worker that has
/// died since is still under way when its successor's comes.
const GENERATIONS: usize = 8;

/// Frames that may be under way to a slave of so many slots: their credit and a flush each. A slave that lets
/// more wait does not take what it is sent, and is given up.
pub(crate) fn frames_max(slots: u16) -> usize {
    usize::from(slots) * (BATCHES_PER_SLOT_MAX + 1) * GENERATIONS + 8
}
