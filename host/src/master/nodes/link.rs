//! A master's link to one slave, whatever it runs over: the dispatcher puts frames in, and gets events out.

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
    /// The slave has answered a goodbye: it is free, and the link is closed.
    Left(NodeId),
    /// The slave is gone.
    Lost(NodeId, String),
    /// No slave is left, and no other will come.
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
    /// Ends the link at once, for a reason: the slave cannot be trusted any more. Dropping it has no effect.
    pub hang_up: oneshot::Sender<String>,
}

/// Generations of workers whose batches can wait on the way to a slave: what was meant for a worker that has
/// since died is still under way when the batches of its successor come.
const GENERATIONS: usize = 8;

/// Frames that may be under way to a slave of so many slots: their credit, and a flush for each. A slave that
/// lets more wait does not read what it is sent, and is given up.
pub(crate) fn frames_max(slots: u16) -> usize {
    usize::from(slots) * (BATCHES_PER_SLOT_MAX + 1) * GENERATIONS + 8
}
