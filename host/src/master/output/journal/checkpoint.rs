//! A checkpoint: how far a run was at one moment, as an entry of its journal says it. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tail::FileMark;
use crate::ids::Seq;
use crate::master::decisions::{RangeSet, RunProgress, Tally};

/// How far a run was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// Records that were finished since the last checkpoint: how many lie between one range and the next,
    /// and how many are in it.
    ranges: Vec<(u64, u64)>,
    /// Records that were tried and are to be tried again: how many lie between one and the next, how often
    /// it was run, and how often it was to blame.
    tallies: Vec<(u64, u32, u32)>,
    /// Records that are done, of all that are finished.
    pub done: u64,
    /// Records that have failed, of all that are finished.
    pub failed: u64,
    /// Executions after a record's first.
    pub retried: u64,
    /// The output: all rows of finished records, and no others.
    pub output: FileMark,
    /// The failed-records file.
    pub failed_file: FileMark,
    /// Nothing is left to do.
    pub complete: bool,
}

impl Checkpoint {
    /// A checkpoint of a run that is so far. How its files stand is not known yet.
    pub(crate) fn new(progress: &RunProgress, complete: bool) -> Self {
        let mut at = 0;
        let ranges = progress.newly.iter().map(|(first, records)| {
            let gap = first.0 - std::mem::replace(&mut at, first.0 + records);
            (gap, records)
        });
        let ranges = ranges.collect();
        let mut at = 0;
        let tallies = progress.tallies.iter().map(|(seq, tally)| {
            let gap = seq.0 - std::mem::replace(&mut at, seq.0 + 1);
            (gap, tally.attempts, tally.faults)
        });
        let tallies = tallies.collect();
        let RunProgress { done, failed, retried, .. } = *progress;
        let (output, failed_file) = (FileMark::default(), FileMark::default());
        Self { ranges, tallies, done, failed, retried, output, failed_file, complete }
    }

    /// The same, with an output that stands so.
    pub(crate) fn with_output(self, output: FileMark) -> Self {
        Self { output, ..self }
    }

    /// The same, with a failed-records file that stands so.
    pub(crate) fn with_failed_file(self, failed_file: FileMark) -> Self {
        Self { failed_file, ..self }
    }

    /// The records that were finished since the last checkpoint; `None` if their numbers are impossible.
    pub(crate) fn finished(&self) -> Option<RangeSet> {
        let mut finished = RangeSet::default();
        let mut at = 0_u64;
        for (gap, records) in &self.ranges {
            let first = at.checked_add(*gap)?;
            finished.checked_insert(Seq(first), *records)?;
            at = first.checked_add(*records)?;
        }
        Some(finished)
    }

    /// How often records were tried; `None` if their numbers are impossible.
    pub(crate) fn tallies(&self) -> Option<BTreeMap<Seq, Tally>> {
        let mut tallies = BTreeMap::new();
        let mut at = 0_u64;
        for (gap, attempts, faults) in &self.tallies {
            let seq = at.checked_add(*gap)?;
            at = seq.checked_add(1)?;
            let (attempts, faults) = (*attempts, *faults);
            if faults > attempts {
                return None;
            }
            tallies.insert(Seq(seq), Tally { attempts, faults });
        }
        Some(tallies)
    }
}
