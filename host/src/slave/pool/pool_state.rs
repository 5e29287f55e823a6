//! Every decision about a slave's workers: which is fed, which is replaced, and when the slave gives up.
//!
//! Pure: no I/O, no clock, no tokio.
//!
//! **Invariant:** no worker has more than `ITEMS_PER_WORKER_MAX` items; nothing is sent to the master about a
//! batch after its slot was reported lost (`sanity_check`).

mod reload;
mod stands_still;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::pool_action::PoolAction;
use super::worker_event::{Lost, WorkerId};
use crate::ids::{BatchId, Epoch, SlotIndex};
use crate::limits::{BATCHES_PER_SLOT_MAX, ITEMS_PER_WORKER_MAX};
use crate::standstill::Standstill;
use crate::wire::{Frame, HostToWorker, ItemDone, ReportHead, SlaveToMaster, SlotLost};

/// Starts in succession that may fail before the slave gives up: a worker that dies without a record in hand,
/// and that no one has killed, dies of itself, and will do so again.
const START_FAILURES_MAX: u32 = 5;

/// A worker that has been ready and idle for so long has started well: its death is not a failure to start,
/// and the ones before it are no longer in succession.
const STARTED_WELL_AFTER: Duration = Duration::from_secs(60);

/// Items that a slot can have beside its batches: a flush that the master wants, and one that the slave
/// wants.
const OWN_ITEMS_MAX: usize = 2;

/// Pause before the second start in succession; it doubles for each further one.
const RESPAWN_PAUSE: Duration = Duration::from_millis(100);

/// How long a worker that holds records may be idle before it is asked to finish them: short for the user who
/// waits for rows, long against the gap between two batches.
const IDLE_FLUSH_AFTER: Duration = Duration::from_millis(100);

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    /// It finishes what it has, and another build takes its place.
    Retiring,
    /// It is being killed and has not ended yet.
    Ending,
    /// The next worker starts at that time.
    Respawn(Instant),
    /// Its worker is gone, and there will be no other.
    Stopped,
}

#[derive(Debug)]
struct WorkerSlot {
    epoch: Epoch,
    phase: Phase,
    /// Items that wait here because the worker has as many as it may have.
    queue: VecDeque<Frame<HostToWorker>>,
    /// Items at the worker.
    at_worker: usize,
    /// Records that its task holds.
    held: u32,
    idle_since: Instant,
    start_failures: u32,
    /// Its worker has loaded the library as it was before the last reload.
    is_stale: bool,
}

impl WorkerSlot {
    fn is_busy(&self) -> bool {
        self.at_worker > 0 || self.held > 0 || !self.queue.is_empty()
    }

    /// Whether its task holds records although nothing else comes.
    fn holds_in_vain(&self, now: Instant) -> bool {
        let idle = self.at_worker == 0 && now.duration_since(self.idle_since) >= IDLE_FLUSH_AFTER;
        self.held > 0 && idle
    }
}

/// The state of a slave's workers.
#[derive(Debug)]
pub(super) struct PoolState {
    slots: Vec<WorkerSlot>,
    /// Whether the pool works for a master.
    attached: bool,
    stopping: bool,
    /// Items, parts of items and workers that have ended.
    ended: u64,
    standstill: Standstill,
}

impl PoolState {
    /// A pool with that many slots, and the actions that start it.
    pub(super) fn new(slots: u16, now: Instant) -> (Self, Vec<PoolAction>) {
        let slot = || WorkerSlot {
            epoch: Epoch::default(),
            phase: Phase::Starting,
            queue: VecDeque::new(),
            at_worker: 0,
            held: 0,
            idle_since: now,
            start_failures: 0,
            is_stale: false,
        };
        let state = Self {
            slots: (0..slots).map(|_| slot()).collect(),
            attached: false,
            stopping: false,
            ended: 0,
            standstill: Standstill::new(now),
        };
        let spawns = state.ids().map(PoolAction::Spawn).collect();
        (state, spawns)
    }

    /// Whether every slot has a worker that takes items.
    pub(super) fn is_ready(&self) -> bool {
        self.slots.iter().all(|slot| slot.phase == Phase::Ready)
    }

    /// Whether every worker is gone for good.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopping && self.slots.iter().all(|slot| slot.phase == Phase::Stopped)
    }

    /// A master has come: it is told which slots are up.
    pub(super) fn on_attach(&mut self, begin: &HostToWorker) -> Vec<PoolAction> {
        self.attached = true;
        let ready: Vec<_> = self.ids_of(Phase::Ready).collect();
        let begins = ready.iter().map(|id| PoolAction::Feed(*id, begin.clone().into()));
        let ups = ready.iter().map(|id| slot_up(*id));
        begins.chain(ups).collect()
    }

    /// The master is gone. Workers that still have something of its run are replaced: a task cannot be made
    /// to forget what it holds.
    pub(super) fn on_detach(&mut self) -> Vec<PoolAction> {
        self.attached = false;
        let mut actions = Vec::new();
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let busy = slot.is_busy();
            slot.queue.clear();
            if busy && matches!(slot.phase, Phase::Ready | Phase::Retiring) {
                slot.phase = Phase::Ending;
                actions.push(PoolAction::Kill(self.id(index)));
            }
        }
        actions.extend(self.retire_stale());
        actions
    }

    /// The master sends work for a slot.
    pub(super) fn on_work(&mut self, id: WorkerId, item: Frame<HostToWorker>) -> Vec<PoolAction> {
        let Some(slot) = self.slots.get_mut(usize::from(id.slot.0)) else { return Vec::new() };
        // What was meant for an earlier worker is void: the master knows, or will soon learn, that this
        // worker is lost.
        if slot.epoch != id.epoch || slot.phase != Phase::Ready || !self.attached {
            return Vec::new();
        }
        if slot.queue.len() + slot.at_worker > BATCHES_PER_SLOT_MAX + OWN_ITEMS_MAX {
            let reason = format!("it sends more to slot {} than it has credit for", id.slot);
            return vec![PoolAction::CloseMaster { reason }];
        }
        slot.queue.push_back(item);
        self.feed(id)
    }

    /// A worker's task exists.
    pub(super) fn on_created(
        &mut self,
        id: WorkerId,
        begin: Option<&HostToWorker>,
        now: Instant,
    ) -> Vec<PoolAction> {
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        if slot.phase != Phase::Starting {
            return Vec::new();
        }
        slot.phase = Phase::Ready;
        slot.idle_since = now;
        if slot.is_stale && !self.attached {
            return self.retire(id);
        }
        match begin {
            Some(begin) => vec![PoolAction::Feed(id, begin.clone().into()), slot_up(id)],
            None => Vec::new(),
        }
    }

    /// A worker could not be started.
    pub(super) fn on_not_created(&mut self, id: WorkerId, message: String, now: Instant) -> Vec<PoolAction> {
        self.replace(id, true, &message, now)
    }

    /// The library or its task refuses to start, or takes too long, and has never started here: another try
    /// would not help.
    pub(super) fn on_refused(&mut self, id: WorkerId, message: String) -> Vec<PoolAction> {
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        slot.phase = Phase::Stopped;
        vec![PoolAction::GiveUp { message }]
    }

    /// A worker has finished an item, or a part of one.
    pub(super) fn on_done(
        &mut self,
        id: WorkerId,
        done: &ItemDone,
        table: Bytes,
        body: Bytes,
        now: Instant,
    ) -> Vec<PoolAction> {
        let attached = self.attached;
        self.ended += 1;
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        slot.held = done.held;
        slot.idle_since = now;
        slot.start_failures = 0;
        if done.last {
            // A plugin's code runs in the worker, so it can report anything: the slave goes on without it.
            let Some(others) = slot.at_worker.checked_sub(1) else { return vec![PoolAction::Kill(id)] };
            slot.at_worker = others;
        }
        if !attached {
            return Vec::new();
        }
        let head = SlaveToMaster::Report(ReportHead {
            slot: id.slot,
            epoch: id.epoch,
            batch: done.item,
            all_done: done.all_done,
            last: done.last,
            busy_ns: done.busy_ns,
        });
        let mut actions = vec![PoolAction::Report(Frame { head, table, body })];
        actions.extend(self.feed(id));
        actions.extend(self.see_off(id));
        actions
    }

    /// A worker is gone.
    pub(super) fn on_lost(&mut self, id: WorkerId, lost: Lost, now: Instant) -> Vec<PoolAction> {
        let attached = self.attached;
        self.ended += 1;
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        let died_of_itself = !slot.is_busy() && slot.phase == Phase::Ready && !lost.was_killed;
        let mut actions = Vec::new();
        if attached {
            actions.extend(lost.remains.and_then(|(batch, table, body)| remains(id, batch, table, body)));
            let loss = SlotLost {
                slot: id.slot,
                epoch: id.epoch,
                blame: lost.blame,
                kind: lost.kind,
                message: lost.message.clone(),
            };
            actions.push(PoolAction::Report(SlaveToMaster::SlotLost(loss).into()));
        }
        actions.extend(self.replace(id, died_of_itself, &lost.message, now));
        actions
    }

    /// A task says that it cannot go on. Then the slave cannot either.
    pub(super) fn on_fatal(&mut self, message: String) -> Vec<PoolAction> {
        vec![PoolAction::GiveUp { message }]
    }

    /// Time has passed: pauses end, and idle workers that hold records are asked for them.
    pub(super) fn on_tick(&mut self, now: Instant) -> Vec<PoolAction> {
        let mut actions = Vec::new();
        for index in 0..self.slots.len() {
            let id = self.id(index);
            let slot = &mut self.slots[index];
            match slot.phase {
                Phase::Respawn(due) if due <= now => {
                    (slot.phase, slot.is_stale) = (Phase::Starting, false);
                    actions.push(PoolAction::Spawn(id));
                }
                Phase::Ready if self.attached && slot.holds_in_vain(now) => {
                    slot.queue
                        .push_back(HostToWorker::Flush { item: BatchId::OWN_FLUSH, last: false }.into());
                    actions.extend(self.feed(id));
                }
                _ => {}
            }
        }
        actions.extend(self.retire_stale());
        actions.extend(self.stands_still(now));
        actions
    }

    /// The slave is about to end: tasks are told, so that they can hurry.
    pub(super) fn on_hurry(&mut self) -> Vec<PoolAction> {
        self.ids_of(Phase::Ready).chain(self.ids_of(Phase::Retiring)).map(PoolAction::Hurry).collect()
    }

    /// The slave ends: workers finish what they have, and are not replaced.
    pub(super) fn on_stop(&mut self) -> Vec<PoolAction> {
        self.stopping = true;
        let mut actions = Vec::new();
        for index in 0..self.slots.len() {
            let id = self.id(index);
            let slot = &mut self.slots[index];
            match slot.phase {
                Phase::Ready | Phase::Retiring => actions.push(PoolAction::Stop(id)),
                Phase::Starting => actions.push(PoolAction::Kill(id)),
                Phase::Respawn(_) => slot.phase = Phase::Stopped,
                Phase::Ending | Phase::Stopped => {}
            }
        }
        actions
    }

    /// The slave ends at once: what its workers have is abandoned.
    pub(super) fn on_kill(&mut self) -> Vec<PoolAction> {
        self.stopping = true;
        for slot in &mut self.slots {
            if matches!(slot.phase, Phase::Respawn(_)) {
                slot.phase = Phase::Stopped;
            }
        }
        let running = self.ids().filter(|id| self.slots[usize::from(id.slot.0)].phase != Phase::Stopped);
        running.map(PoolAction::Kill).collect()
    }

    /// Checks what must always be true.
    ///
    /// # Panics
    /// If it is not.
    pub(super) fn sanity_check(&self) {
        for slot in &self.slots {
            assert!(slot.at_worker <= ITEMS_PER_WORKER_MAX, "a worker has too many items");
            assert!(slot.phase == Phase::Ready || slot.queue.is_empty(), "items wait for no worker");
        }
    }

    /// Gives a worker as many items as it may have.
    fn feed(&mut self, id: WorkerId) -> Vec<PoolAction> {
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        let mut actions = Vec::new();
        while slot.at_worker < ITEMS_PER_WORKER_MAX && slot.phase == Phase::Ready {
            let Some(item) = slot.queue.pop_front() else { break };
            slot.at_worker += 1;
            actions.push(PoolAction::Feed(id, item));
        }
        actions
    }

    /// Puts the next worker in the place of one that is gone, unless the slave ends.
    fn replace(
        &mut self,
        id: WorkerId,
        died_of_itself: bool,
        message: &str,
        now: Instant,
    ) -> Vec<PoolAction> {
        let stopping = self.stopping;
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        slot.queue.clear();
        (slot.at_worker, slot.held, slot.is_stale) = (0, 0, false);
        slot.epoch = slot.epoch.next();
        if stopping {
            slot.phase = Phase::Stopped;
            return Vec::new();
        }
        if !died_of_itself {
            slot.phase = Phase::Starting;
            let next = WorkerId { epoch: slot.epoch, ..id };
            return vec![PoolAction::Spawn(next)];
        }
        if slot.phase == Phase::Ready && now.duration_since(slot.idle_since) >= STARTED_WELL_AFTER {
            slot.start_failures = 0;
        }
        slot.start_failures += 1;
        if slot.start_failures >= START_FAILURES_MAX {
            slot.phase = Phase::Stopped;
            let slot = id.slot;
            let message = format!(
                "worker {slot} failed to start {START_FAILURES_MAX} times in a row, last because {message}"
            );
            return vec![PoolAction::GiveUp { message }];
        }
        slot.phase = Phase::Respawn(now + RESPAWN_PAUSE * 2u32.pow(slot.start_failures - 1));
        Vec::new()
    }

    /// The slot of a worker, if that worker still has it.
    fn slot_of(&mut self, id: WorkerId) -> Option<&mut WorkerSlot> {
        self.slots.get_mut(usize::from(id.slot.0)).filter(|slot| slot.epoch == id.epoch)
    }

    fn id(&self, index: usize) -> WorkerId {
        WorkerId { slot: SlotIndex(index as u16), epoch: self.slots[index].epoch }
    }

    fn ids(&self) -> impl Iterator<Item = WorkerId> {
        (0..self.slots.len()).map(|index| self.id(index))
    }

    fn ids_of(&self, phase: Phase) -> impl Iterator<Item = WorkerId> {
        self.ids().filter(move |id| self.slots[usize::from(id.slot.0)].phase == phase)
    }
}

fn slot_up(id: WorkerId) -> PoolAction {
    PoolAction::Report(SlaveToMaster::SlotUp { slot: id.slot, epoch: id.epoch }.into())
}

/// The report of what a dead worker had finished but not handed over.
fn remains(id: WorkerId, batch: BatchId, table: Bytes, body: Bytes) -> Option<PoolAction> {
    if table.is_empty() {
        return None;
    }
    let head = SlaveToMaster::Report(ReportHead {
        slot: id.slot,
        epoch: id.epoch,
        batch,
        all_done: false,
        last: false,
        busy_ns: 0,
    });
    Some(PoolAction::Report(Frame { head, table, body }))
}

#[cfg(test)]
mod tests;
