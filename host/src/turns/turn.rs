//! A task that waits for its turns.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::schedule::{ProcessId, Schedule, TaskId};

thread_local! {
    /// The process whose task is being polled, and its schedule.
    static HERE: RefCell<Option<(Schedule, ProcessId)>> = const { RefCell::new(None) };
}

/// The task, polled when it is its turn, if a task of a simulation starts it.
pub(crate) fn in_turn<F: Future>(work: F) -> InTurn<F> {
    let place = HERE.with_borrow(Clone::clone).map(|(schedule, process)| Position::new(schedule, process));
    InTurn { work: Box::pin(work), place }
}

/// The task, as the first one of a process of its own with that name, if a task of a simulation starts it.
pub(crate) fn in_turn_apart<F: Future>(name: &str, work: F) -> InTurn<F> {
    let place = HERE.with_borrow(Clone::clone).map(|(schedule, _)| {
        let process = schedule.new_process_named(name);
        Position::new(schedule, process)
    });
    InTurn { work: Box::pin(work), place }
}

/// The process whose task is being polled, if there is one.
pub(crate) fn current_process() -> Option<ProcessId> {
    HERE.with_borrow(|here| here.as_ref().map(|(_, process)| *process))
}

/// A task that waits for its turns, or is polled whenever tokio wants to.
pub(crate) struct InTurn<F> {
    work: Pin<Box<F>>,
    place: Option<Position>,
}

/// A task's place in a schedule. It is given up when this is dropped.
struct Position {
    schedule: Schedule,
    process: ProcessId,
    id: TaskId,
    waker: Waker,
}

impl Schedule {
    /// The first task of a process; what it starts belongs to the same process.
    pub(crate) fn task_of<F: Future>(&self, process: ProcessId, work: F) -> InTurn<F> {
        InTurn { work: Box::pin(work), place: Some(Position::new(self.clone(), process)) }
    }
}

impl Position {
    fn new(schedule: Schedule, process: ProcessId) -> Self {
        let (id, waker) = schedule.enter(process);
        Self { schedule, process, id, waker }
    }
}

impl Drop for Position {
    fn drop(&mut self) {
        self.schedule.leave(self.id);
    }
}

/// The place while a task is polled, or dropped.
struct Here(Option<(Schedule, ProcessId)>);

impl Here {
    fn enter(place: &Position) -> Self {
        let here = Some((place.schedule.clone(), place.process));
        Self(HERE.with_borrow_mut(|old| std::mem::replace(old, here)))
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let before = self.0.take();
        HERE.with_borrow_mut(|here| *here = before);
    }
}

impl<F: Future> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let Some(place) = &this.place else { return this.work.as_mut().poll(cx) };
        if !place.schedule.takes_turn(place.id, cx.waker()) {
            return Poll::Pending;
        }
        let here = Here::enter(place);
        let polled = this.work.as_mut().poll(&mut Context::from_waker(&place.waker));
        drop(here);
        place.schedule.on_turn_over(place.id);
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::owned_task::OwnedTask;

    /// The order in which tasks write down their numbers, and the fingerprint.
    fn order(seed: u64) -> (Vec<u32>, (u64, u64)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let schedule = Schedule::new(seed);
        let written = Arc::new(Mutex::new(Vec::new()));
        let task = |number| {
            let written = Arc::clone(&written);
            schedule.task_of(ProcessId(0), async move {
                let mut inner = OwnedTask::spawn(async move {
                    for _ in 0..5 {
                        written.lock().unwrap().push(number);
                        tokio::task::yield_now().await;
                    }
                });
                inner.join().await;
            })
        };
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            (0..4).for_each(|number| drop(tasks.spawn(task(number))));
            tokio::select! {
                biased;
                () = async { while tasks.join_next().await.is_some() {} } => {}
                () = schedule.conduct() => {}
            }
        });
        let written = written.lock().unwrap().clone();
        (written, schedule.fingerprint())
    }

    #[test]
    fn the_same_seed_gives_the_same_turns_and_another_one_others() {
        assert_eq!(order(7), order(7));
        assert_ne!(order(7).0, order(8).0);
        let (mut written, _) = order(9);
        written.sort_unstable();
        assert_eq!(written, [0, 1, 2, 3].map(|number| [number; 5]).concat());
    }
}
