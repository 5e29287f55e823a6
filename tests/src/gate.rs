//! A gate for a thread: closed, the thread waits before it; open, it passes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The gate. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets no one pass any more.
    pub(crate) fn close(&self) {
        *self.is_closed() = true;
    }

    /// Lets everyone pass.
    pub(crate) fn open(&self) {
        *self.is_closed() = false;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub(crate) fn pass(&self) {
        let waited = self.0.1.wait_while(self.is_closed(), |is_closed| *is_closed);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn is_closed(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
