//! How many records have ended in a pool's workers, over all runs.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::scoreboard::{Outcome, Status};
use crate::wire::ItemDone;

/// Counted by the pool, read by those that have its handle.
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

    /// Attempts that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Counts what a worker has finished; `table` holds the outcomes if they are not simply "all done".
    pub(super) fn count(&self, done: &ItemDone, table: &[u8]) {
        if done.all_done {
            self.done.fetch_add(done.outcomes.into(), Relaxed);
            return;
        }
        for outcome in Outcome::all(table).flatten() {
            match outcome.status {
                Status::Done => self.done.fetch_add(1, Relaxed),
                Status::Held => 0,
                _ => self.failed.fetch_add(1, Relaxed),
            };
        }
    }
}
