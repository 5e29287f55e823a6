//! How fast a slot works, learned from its reports, and what follows from that: how large its next batch is,
//! and how many may be under way. Pure.

use std::time::Duration;

use crate::limits::{BATCH_RECORDS_MAX, BATCH_WORK_TARGET, BATCHES_PER_SLOT_MAX};

/// How much larger a slot's next batch may be than its last one, while its speed is being learned.
const GROWTH: usize = 16;

/// Share of a new measurement in a slot's estimate: the last few batches count, whatever came before.
const NEWEST_SHARE: f64 = 0.3;

/// A batch that takes so many round trips needs no other behind it: the pause between two is lost in it.
const ROUND_TRIPS_FOR_ONE: u32 = 40;
/// A batch that takes so many needs one behind it; shorter ones need as many as a slot may have.
const ROUND_TRIPS_FOR_TWO: u32 = 4;

/// How fast a slot works.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// Nanoseconds of work for one record; `None` before the first report.
    ns_per_record: Option<f64>,
    /// Records of its last batch.
    last_batch: usize,
}

impl Pace {
    /// Whether the slot has reported any work.
    pub(super) fn is_known(&self) -> bool {
        self.ns_per_record.is_some()
    }

    /// So many records took so long.
    pub(super) fn learn(&mut self, records: usize, busy: Duration) {
        let newest = busy.as_nanos() as f64 / records as f64;
        let old = self.ns_per_record.unwrap_or(newest);
        self.ns_per_record = Some(old + (newest - old) * NEWEST_SHARE);
    }

    /// A batch of so many records is sent.
    pub(super) fn note_batch(&mut self, records: usize) {
        self.last_batch = records;
    }

    /// How many records the next batch should have: about 8 ms of work, learned step by step.
    pub(super) fn batch_records(&self) -> usize {
        let Some(ns_per_record) = self.ns_per_record else { return 1 };
        let target = BATCH_WORK_TARGET.as_nanos() as f64 / ns_per_record.max(1.0);
        (target as usize).min(self.last_batch.max(1) * GROWTH).clamp(1, BATCH_RECORDS_MAX)
    }

    /// How many batches may be under way: few if they are long (so that no record waits behind a slow one
    /// while another slot is idle), more if they are short against the way there and back.
    pub(super) fn window(&self, round_trip: Duration) -> usize {
        let Some(ns_per_record) = self.ns_per_record else { return 1 };
        let batch = Duration::from_nanos((ns_per_record * self.last_batch as f64) as u64);
        if batch >= round_trip * ROUND_TRIPS_FOR_ONE {
            1
        } else if batch >= round_trip * ROUND_TRIPS_FOR_TWO {
            2
        } else {
            BATCHES_PER_SLOT_MAX
        }
    }
}
