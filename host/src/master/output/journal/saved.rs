//! What the checkpoints of a journal say together: what is finished, and how much of each file counts. Pure.

use std::collections::BTreeMap;

use super::checkpoint::Checkpoint;
use super::tail::FileMark;
use crate::ids::Seq;
use crate::master::decisions::{Earlier, RangeSet, Tally};

/// What earlier runs have finished, and where the files stood then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// The records that are finished.
    pub earlier: Earlier,
    /// The output, as far as it counts.
    pub output: FileMark,
    /// The failed-records file, as far as it counts.
    pub failed_file: FileMark,
    /// Nothing is left to do.
    pub complete: bool,
}

impl Saved {
    /// Adds the next checkpoint. `false`, and no change, if the checkpoint contradicts itself or those before
    /// it: then no run has written it.
    #[must_use]
    pub(crate) fn add(&mut self, checkpoint: &Checkpoint) -> bool {
        let Some((newly, tallies)) = checkpoint.finished().zip(checkpoint.tallies()) else { return false };
        let records = self.earlier.finished.len() + newly.len();
        let grows = checkpoint.output.bytes >= self.output.bytes
            && checkpoint.failed_file.bytes >= self.failed_file.bytes;
        if self.complete || !grows || checkpoint.done.checked_add(checkpoint.failed) != Some(records) {
            return false;
        }
        let mut finished = std::mem::take(&mut self.earlier.finished);
        finished.extend(&newly);
        let tallies = self.tallies_with(tallies, &newly);
        let Checkpoint { done, failed, retried, output, failed_file, complete, .. } = *checkpoint;
        let earlier = Earlier { finished, done, failed, retried, tallies };
        *self = Self { earlier, output, failed_file, complete };
        true
    }

    /// What is known of records that are not finished: those that are no longer count.
    fn tallies_with(
        &mut self,
        newer: BTreeMap<Seq, Tally>,
        newly_finished: &RangeSet,
    ) -> BTreeMap<Seq, Tally> {
        let mut tallies = std::mem::take(&mut self.earlier.tallies);
        tallies.extend(newer);
        for (first, records) in newly_finished.iter() {
            let mut from_first = tallies.split_off(&first);
            let mut behind = from_first.split_off(&Seq(first.0 + records));
            tallies.append(&mut behind);
        }
        tallies
    }
}
