//! How many records have ended in a pool's workers, over all runs.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::scoreboard::{Outcome, Status};
use crate::wire::ItemDone;

/// Counted where a report leaves the slave, so that they agree with what its masters count; read by those
/// that have the pool's handle.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    done: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    /// Records that are done.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Relaxed)
    }

    /// Records that failed for good, as far as is known here: those that were rejected, and those of which a
    /// master has said that it tries them no more.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Counts records.
    pub(crate) fn add(&self, done: u64, failed: u64) {
        self.done.fetch_add(done, Relaxed);
        self.failed.fetch_add(failed, Relaxed);
    }

    /// Counts what a worker has finished; `table` holds the outcomes if they are not simply "all done".
    pub(super) fn count(&self, done: &ItemDone, table: &[u8]) {
        if done.all_done {
            self.done.fetch_add(done.outcomes.into(), Relaxed);
            return;
        }
        self.count_table(table);
    }

    /// Counts these outcomes.
    pub(super) fn count_table(&self, table: &[u8]) {
        for outcome in Outcome::all(table).flatten() {
            match outcome.status {
                Status::Done => self.done.fetch_add(1, Relaxed),
                Status::Rejected => self.failed.fetch_add(1, Relaxed),
                // It will be tried again, unless its master says otherwise.
                Status::Held | Status::Retry | Status::Panicked | Status::Fatal => 0,
            };
        }
    }
}
