//! Held records that a task has dropped: no one can finish them any more, so the host is told at the next
//! call.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Mutex, PoisonError};

/// The records that one task has dropped since its host was last told. A task can give a `Held` to a thread
/// of its own, so they come from any thread.
#[derive(Debug, Default)]
pub(crate) struct DroppedRecords {
    any: AtomicBool,
    records: Mutex<Vec<u64>>,
}

impl DroppedRecords {
    /// A record was dropped.
    pub(crate) fn add(&self, record: u64) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        self.any.store(true, Release);
    }

    /// A record was dropped and has failed with an error of its own, which is what counts.
    pub(crate) fn forget(&self, record: u64) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != record);
    }

    /// Those that were dropped since the last call.
    #[inline]
    pub(crate) fn take(&self) -> Vec<u64> {
        if self.any.load(Acquire) { self.take_some() } else { Vec::new() }
    }

    #[cold]
    fn take_some(&self) -> Vec<u64> {
        self.any.store(false, Release);
        std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
