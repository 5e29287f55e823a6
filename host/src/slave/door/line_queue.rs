//! Clients that send lines and wait for their turn: they are served one after the other, in the order in
//! which they ask, as Net::SimpleGrid serves them.

use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

/// Clients that may be connected at once, the one that is served included. More are turned away: each takes a
/// descriptor, and what it has sent waits in the system's memory.
pub(crate) const LINE_CLIENTS_MAX: usize = 128;

/// Places to wait, and the turn.
#[derive(Debug)]
pub(crate) struct LineQueue {
    places: Semaphore,
    turn: Mutex<()>,
}

impl LineQueue {
    /// An empty queue.
    pub(crate) fn new() -> Self {
        Self { places: Semaphore::new(LINE_CLIENTS_MAX), turn: Mutex::new(()) }
    }

    /// A place for one more client, which it has until it drops it. `None` if there is no place left.
    pub(crate) fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.places.try_acquire().ok()
    }

    /// Waits for the turn, which lasts until it is dropped.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// How many clients have a place.
    pub(crate) fn clients(&self) -> usize {
        LINE_CLIENTS_MAX - self.places.available_permits()
    }
}
