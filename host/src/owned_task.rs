//! Tasks that end with their owner, and whose panic is their owner's panic. The only place that starts a
//! task, or re-raises a panic. What holds for a task that has ended holds for a thread, too.

use tokio::task::{JoinError, JoinSet};

/// One task. Dropping this ends it; several belong in a `JoinSet`.
#[derive(Debug)]
pub(crate) struct OwnedTask<T>(JoinSet<T>);

impl<T: Send + 'static> OwnedTask<T> {
    /// Starts it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        let mut tasks = JoinSet::new();
        spawn_in(&mut tasks, work);
        Self(tasks)
    }

    /// Waits for its end. May be cancelled and called again, up to that end.
    ///
    /// # Panics
    /// If the task did, or if its end was waited for before.
    pub(crate) async fn join(&mut self) -> T {
        let ended = self.0.join_next().await.expect("a task is joined once");
        outcome(ended).expect("a task is cancelled only with its owner")
    }
}

/// Starts a task in its owner's set. Every task of the program begins here.
///
/// # Panics
/// Outside a tokio runtime.
pub(crate) fn spawn_in<T: Send + 'static>(
    tasks: &mut JoinSet<T>,
    work: impl Future<Output = T> + Send + 'static,
) {
    #[cfg(any(test, feature = "simulation"))]
    let work = crate::turns::in_turn(work);
    tasks.spawn(work);
}

#[cfg(any(test, feature = "simulation"))]
impl<T: Send + 'static> OwnedTask<T> {
    /// Starts it as a process of its own, in a simulation: what is a thread elsewhere.
    pub(crate) fn spawn_apart(name: &str, work: impl Future<Output = T> + Send + 'static) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(crate::turns::in_turn_apart(name, work));
        Self(tasks)
    }
}

/// Starts the first task of a simulated process, which gets its turns from the schedule of the simulation.
#[cfg(any(test, feature = "simulation"))]
pub(crate) fn spawn_process_in<T: Send + 'static>(
    tasks: &mut JoinSet<T>,
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::AbortHandle {
    tasks.spawn(work)
}

/// The same for one that stays on this thread. To be called in a local set.
#[cfg(any(test, feature = "simulation"))]
pub(crate) fn spawn_local_in<T: 'static>(
    tasks: &mut JoinSet<T>,
    work: impl Future<Output = T> + 'static,
) -> tokio::task::AbortHandle {
    tasks.spawn_local(work)
}

/// Cancels all tasks of a set, and waits until they have ended.
///
/// # Panics
/// If one of them did.
pub(crate) async fn cancel_all<T: 'static>(tasks: &mut JoinSet<T>) {
    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        outcome(ended);
    }
}

/// What a task came to; `None` if it was cancelled. A task that panicked is a fault of ours: the process must
/// not go on as if nothing had happened.
///
/// # Panics
/// If the task did.
pub(crate) fn outcome<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended {
        Ok(result) => Some(result),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

/// Waits for the end of a thread, which must be near: this blocks.
///
/// # Panics
/// If the thread did, with its panic.
pub(crate) fn join_thread<T>(thread: std::thread::JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_task_ends_with_its_owner() {
        let alive = Arc::new(());
        let inside = Arc::clone(&alive);
        let task = OwnedTask::spawn(async move {
            let _inside = inside;
            std::future::pending::<()>().await;
        });
        drop(task);
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    #[should_panic(expected = "its own words")]
    async fn a_panic_is_its_owners() {
        OwnedTask::spawn(async { panic!("its own words") }).join().await
    }

    #[test]
    #[should_panic(expected = "its own words")]
    fn a_threads_panic_is_its_owners() {
        join_thread(std::thread::spawn(|| panic!("its own words")))
    }
}
