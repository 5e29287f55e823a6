//! What the state of a run wants done. Pure: the dispatcher performs it.

use bytes::Bytes;

use super::failure::FailedRecord;
use crate::ids::{BatchId, Epoch, NodeId, SlotId};
use crate::record::Records;
use crate::wire::SeqRanges;

/// Rows whose turn has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadyRows {
    /// The rows, in this order.
    pub rows: Vec<Bytes>,
    /// The records that are done once these rows are written, and those before them.
    pub records: u64,
}

impl ReadyRows {
    /// Whether nothing follows from it.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.records == 0
    }
}

/// What the dispatcher must do next. The order of actions is the order of effects.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Send a batch.
    Send {
        /// Where to.
        slot: SlotId,
        /// For which worker.
        epoch: Epoch,
        /// Its number.
        batch: BatchId,
        /// Its records.
        records: Records,
        /// Whether the rows of its records must be told apart.
        with_row_ends: bool,
        /// The numbers of its records, if the slave needs them.
        seqs: SeqRanges,
    },
    /// Ask a slot's task to finish what it holds, because the run ends there.
    Flush {
        /// Where.
        slot: SlotId,
        /// Which worker.
        epoch: Epoch,
        /// Its number.
        batch: BatchId,
    },
    /// Write rows. Either part may be empty.
    Write(ReadyRows),
    /// Report a record that failed for good.
    Fail(FailedRecord),
    /// Give up a node that breaks the rules: its records are elsewhere already.
    GiveUp {
        /// Which.
        node: NodeId,
        /// How it breaks them.
        reason: String,
    },
    /// Let a node go that was asked to end: no record of this run is with it any more.
    LetGo(NodeId),
}
