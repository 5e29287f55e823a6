//! What the runs before this one have finished. Pure.

use std::collections::BTreeMap;

use super::range_set::RangeSet;
use super::tally::Tally;
use crate::ids::Seq;

/// What earlier runs with the same journal have finished.
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
    /// How often records that are not finished were tried, those that were tried at all.
    pub tallies: BTreeMap<Seq, Tally>,
}
