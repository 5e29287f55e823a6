//! What the checkpoints of a journal say together: what is finished, and how much of each file counts. Pure.

use super::checkpoint::Checkpoint;
use crate::master::decisions::Earlier;

/// What earlier runs have finished, and where the files stood then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// The records that are finished.
    pub earlier: Earlier,
    /// Bytes of the output that count.
    pub output_bytes: u64,
    /// Bytes of the failed-records file that count.
    pub failed_bytes: u64,
    /// Nothing is left to do.
    pub complete: bool,
}

impl Saved {
    /// Adds the next checkpoint. `false`, and no change, if the checkpoint contradicts itself or those before
    /// it: then no run has written it.
    #[must_use]
    pub(crate) fn add(&mut self, checkpoint: &Checkpoint) -> bool {
        let Some(newly) = checkpoint.finished() else { return false };
        let records = self.earlier.finished.len() + newly.len();
        let grows =
            checkpoint.output_bytes >= self.output_bytes && checkpoint.failed_bytes >= self.failed_bytes;
        if self.complete || !grows || checkpoint.done.checked_add(checkpoint.failed) != Some(records) {
            return false;
        }
        let mut finished = std::mem::take(&mut self.earlier.finished);
        finished.extend(&newly);
        let Checkpoint { done, failed, retried, output_bytes, failed_bytes, complete, .. } = *checkpoint;
        let earlier = Earlier { finished, done, failed, retried };
        *self = Self { earlier, output_bytes, failed_bytes, complete };
        true
    }
}
