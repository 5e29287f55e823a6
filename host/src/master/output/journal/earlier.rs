//! What a journal says of the runs before this one. Pure.

use super::entry::Checkpoint;
use crate::master::decisions::RangeSet;

/// What earlier runs have finished, and where the files stood then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earlier {
    /// The records that are finished.
    pub finished: RangeSet,
    /// How many of those are done.
    pub done: u64,
    /// How many have failed.
    pub failed: u64,
    /// Executions after a record's first.
    pub retried: u64,
    /// Bytes of the output that count.
    pub output_bytes: u64,
    /// Bytes of the failed-records file that count.
    pub failed_bytes: u64,
    /// Nothing is left to do.
    pub complete: bool,
}

impl Earlier {
    /// Takes the next checkpoint in. `false`, and no change, if it contradicts itself or those before it:
    /// then it was not written by a run.
    #[must_use]
    pub fn add(&mut self, checkpoint: &Checkpoint) -> bool {
        let Some(newly) = checkpoint.finished() else { return false };
        let records = self.finished.len() + newly.len();
        let grows =
            checkpoint.output_bytes >= self.output_bytes && checkpoint.failed_bytes >= self.failed_bytes;
        if self.complete || !grows || checkpoint.done.checked_add(checkpoint.failed) != Some(records) {
            return false;
        }
        let mut finished = std::mem::take(&mut self.finished);
        finished.extend(&newly);
        let Checkpoint { done, failed, retried, output_bytes, failed_bytes, complete, .. } = *checkpoint;
        *self = Self { finished, done, failed, retried, output_bytes, failed_bytes, complete };
        true
    }
}
