//! Blocking work, called from a task: each call runs on a thread that may wait for a disk.

use tokio::task::spawn_blocking;

use crate::owned_task::outcome;

/// A value whose methods block.
#[derive(Debug)]
pub(crate) struct Blocking<T>(Option<T>);

impl<T: Send + 'static> Blocking<T> {
    /// Takes the value over.
    pub(crate) fn new(thing: T) -> Self {
        Self(Some(thing))
    }

    /// Does something with the value on another thread. Not cancel safe: wait for what was begun.
    ///
    /// # Panics
    /// If `work` does.
    pub(crate) async fn run<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> R {
        let mut thing = self.0.take().expect("what is begun is waited for");
        let working = spawn_blocking(move || {
            let result = work(&mut thing);
            (thing, result)
        });
        let (thing, result) = outcome(working.await).expect("nothing cancels what is begun");
        self.0 = Some(thing);
        result
    }
}
