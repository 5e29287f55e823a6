//! Which tasks are ready, and which of them is next. One thread uses it; the locks are for the types of
//! wakers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::dice::Dice;

/// A simulated process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProcessId(pub u32);

/// A task that takes turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskId(u64);

/// The schedule of a simulation. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Schedule(Arc<Mutex<ScheduleState>>);

#[derive(Debug)]
struct ScheduleState {
    dice: Dice,
    next_task: u64,
    next_process: u32,
    named: BTreeMap<String, ProcessId>,
    stopped_names: BTreeSet<String>,
    tasks: BTreeMap<TaskId, TaskState>,
    ready: BTreeSet<TaskId>,
    stopped: BTreeSet<ProcessId>,
    /// The task that has the turn, until it was polled.
    granted: Option<TaskId>,
    /// Wakes the one who gives turns.
    conductor: Option<Waker>,
    /// All turns so far, as one number: two schedules with the same are the same.
    fingerprint: u64,
    turns: u64,
}

#[derive(Debug)]
struct TaskState {
    process: ProcessId,
    /// Makes tokio poll it; `None` until it was polled for the first time.
    tokio: Option<Waker>,
}

/// Wakes a task: it is ready for its turn.
struct TaskWaker {
    id: TaskId,
    schedule: Schedule,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.schedule.on_ready(self.id);
    }
}

impl Schedule {
    /// A schedule without tasks.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(ScheduleState {
            dice: Dice::new(seed),
            next_task: 0,
            next_process: 0,
            named: BTreeMap::new(),
            stopped_names: BTreeSet::new(),
            tasks: BTreeMap::new(),
            ready: BTreeSet::new(),
            stopped: BTreeSet::new(),
            granted: None,
            conductor: None,
            fingerprint: 0,
            turns: 0,
        })))
    }

    /// A process without tasks.
    pub(crate) fn new_process(&self) -> ProcessId {
        let mut state = self.state();
        state.next_process += 1;
        ProcessId(state.next_process)
    }

    /// A process without tasks that can be found by its name.
    pub(super) fn new_process_named(&self, name: &str) -> ProcessId {
        let process = self.new_process();
        let mut state = self.state();
        state.named.insert(name.to_owned(), process);
        if state.stopped_names.contains(name) {
            state.stopped.insert(process);
        }
        process
    }

    /// Stops the process with that name, or lets it go on; one that is still to come as well.
    pub(crate) fn stop_named(&self, name: &str, stops: bool) {
        let mut state = self.state();
        if stops {
            state.stopped_names.insert(name.to_owned())
        } else {
            state.stopped_names.remove(name)
        };
        let process = state.named.get(name).copied();
        drop(state);
        match process {
            Some(process) if stops => self.stop(process),
            Some(process) => self.go_on(process),
            None => {}
        }
    }

    /// Stops a process: none of its tasks gets a turn.
    pub(crate) fn stop(&self, process: ProcessId) {
        self.state().stopped.insert(process);
    }

    /// Lets a process go on.
    pub(crate) fn go_on(&self, process: ProcessId) {
        let mut state = self.state();
        state.stopped.remove(&process);
        state.wake_conductor();
    }

    /// All turns so far as one number, and how many there were.
    pub(crate) fn fingerprint(&self) -> (u64, u64) {
        let state = self.state();
        (state.fingerprint, state.turns)
    }

    /// Gives turns for ever.
    pub(crate) async fn conduct(&self) {
        std::future::poll_fn(|cx| self.give_turn(cx)).await
    }

    fn give_turn(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        state.conductor = Some(cx.waker().clone());
        if state.granted.is_none()
            && let Some(id) = state.choose()
        {
            state.granted = Some(id);
            // A task that tokio has not polled yet will be.
            let tokio = state.tasks.get(&id).and_then(|task| task.tokio.clone());
            drop(state);
            tokio.iter().for_each(Waker::wake_by_ref);
        }
        Poll::Pending
    }

    /// A new task, ready for its first turn.
    pub(super) fn enter(&self, process: ProcessId) -> (TaskId, Waker) {
        let mut state = self.state();
        let id = TaskId(state.next_task);
        state.next_task += 1;
        state.tasks.insert(id, TaskState { process, tokio: None });
        state.ready.insert(id);
        state.wake_conductor();
        (id, Waker::from(Arc::new(TaskWaker { id, schedule: self.clone() })))
    }

    /// Whether a task that tokio polls has the turn. It has it once.
    pub(super) fn takes_turn(&self, id: TaskId, tokio: &Waker) -> bool {
        let mut state = self.state();
        if let Some(task) = state.tasks.get_mut(&id) {
            task.tokio = Some(tokio.clone());
        }
        state.granted == Some(id)
    }

    /// The turn of a task is over.
    pub(super) fn on_turn_over(&self, id: TaskId) {
        let mut state = self.state();
        if state.granted == Some(id) {
            state.granted = None;
            state.wake_conductor();
        }
    }

    /// A task is gone.
    pub(super) fn leave(&self, id: TaskId) {
        let mut state = self.state();
        state.tasks.remove(&id);
        state.ready.remove(&id);
        drop(state);
        self.on_turn_over(id);
    }

    fn on_ready(&self, id: TaskId) {
        let mut state = self.state();
        if state.tasks.contains_key(&id) {
            state.ready.insert(id);
            state.wake_conductor();
        }
    }

    fn state(&self) -> MutexGuard<'_, ScheduleState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScheduleState {
    /// Takes one of the tasks that are ready, and whose process goes on.
    fn choose(&mut self) -> Option<TaskId> {
        let goes_on =
            |id: &&TaskId| self.tasks.get(id).is_some_and(|task| !self.stopped.contains(&task.process));
        let eligible = if self.stopped.is_empty() {
            self.ready.len()
        } else {
            self.ready.iter().filter(goes_on).count()
        };
        if eligible == 0 {
            return None;
        }
        let nth = self.dice.roll(eligible);
        let chosen = *self.ready.iter().filter(goes_on).nth(nth)?;
        self.ready.remove(&chosen);
        self.turns += 1;
        self.fingerprint = self.fingerprint.rotate_left(5).wrapping_mul(0x517c_c1b7_2722_0a95) ^ chosen.0;
        Some(chosen)
    }

    fn wake_conductor(&mut self) {
        if let Some(conductor) = &self.conductor {
            conductor.wake_by_ref();
        }
    }
}
