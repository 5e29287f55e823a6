//! Every decision about a slave's workers, and no I/O: who is fed, who is replaced, when the slave gives up.
//!
//! **Invariant:** no worker has more than `ITEMS_PER_WORKER_MAX` items; nothing is sent to the master about a
//! batch after its slot was reported lost (`sanity_check`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::worker_link::{Lost, WorkerId};
use crate::ids::{BatchId, Epoch, SlotIndex};
use crate::limits::{BATCHES_PER_SLOT_MAX, ITEMS_PER_WORKER_MAX};
use crate::wire::{Frame, HostToWorker, ItemDone, ReportHead, SlaveToMaster, SlotLost};

/// Starts in a row that may fail before the slave gives up: a worker that dies without a record in its hand,
/// and that no one has killed, dies of itself, and will again.
const START_FAILURES_MAX: u32 = 5;

/// Items that a slot may have beside its batches: a flush of the master's, and one of the slave's own.
const OWN_ITEMS_MAX: usize = 2;

/// Pause before the second start in a row; doubled for each further one.
const RESPAWN_PAUSE: Duration = Duration::from_millis(100);

/// How long a worker that holds records may be idle before it is asked to finish them.
const IDLE_FLUSH_AFTER: Duration = Duration::from_millis(100);

/// What the pool must do next, in this order.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Start a worker.
    Spawn(WorkerId),
    /// Give a worker an item.
    Feed(WorkerId, Frame<HostToWorker>),
    /// Kill a worker; its end will be reported.
    Kill(WorkerId),
    /// Let a worker end after the items that it has.
    Stop(WorkerId),
    /// Tell a worker's task that the slave is about to end.
    Hurry(WorkerId),
    /// Close the link to the master, which breaks the rules.
    CloseMaster {
        /// How.
        reason: String,
    },
    /// Tell the master.
    Report(Frame<SlaveToMaster>),
    /// The slave cannot go on.
    GiveUp {
        /// Why.
        message: String,
    },
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    /// It is being killed; its end is awaited.
    Ending,
    /// The next one is started then.
    Respawn(Instant),
    /// It was told to stop, or is gone for good.
    Stopped,
}

#[derive(Debug)]
struct Slot {
    epoch: Epoch,
    phase: Phase,
    /// Items that wait here because the worker has enough.
    queue: VecDeque<Frame<HostToWorker>>,
    /// Items at the worker.
    at_worker: usize,
    /// Records that its task holds.
    held: u32,
    idle_since: Instant,
    start_failures: u32,
}

impl Slot {
    fn is_busy(&self) -> bool {
        self.at_worker > 0 || self.held > 0 || !self.queue.is_empty()
    }

    /// Whether its task holds records while nothing else comes.
    fn holds_in_vain(&self, now: Instant) -> bool {
        let idle = self.at_worker == 0 && now.duration_since(self.idle_since) >= IDLE_FLUSH_AFTER;
        self.held > 0 && idle
    }
}

/// The state of a slave's workers.
#[derive(Debug)]
pub struct PoolState {
    slots: Vec<Slot>,
    /// Whether a master is there.
    attached: bool,
    stopping: bool,
}

impl PoolState {
    /// A pool of so many slots, and the actions that start it.
    pub fn new(slots: u16, now: Instant) -> (Self, Vec<Action>) {
        let slot = || Slot {
            epoch: Epoch::default(),
            phase: Phase::Starting,
            queue: VecDeque::new(),
            at_worker: 0,
            held: 0,
            idle_since: now,
            start_failures: 0,
        };
        let state = Self { slots: (0..slots).map(|_| slot()).collect(), attached: false, stopping: false };
        let spawns = state.ids().map(Action::Spawn).collect();
        (state, spawns)
    }

    /// Whether every slot has a worker that can be fed.
    pub fn is_ready(&self) -> bool {
        self.slots.iter().all(|slot| slot.phase == Phase::Ready)
    }

    /// Whether every worker is gone for good.
    pub fn is_stopped(&self) -> bool {
        self.stopping && self.slots.iter().all(|slot| slot.phase == Phase::Stopped)
    }

    /// A master is there: it is told which slots are up.
    pub fn on_attach(&mut self, begin: &HostToWorker) -> Vec<Action> {
        self.attached = true;
        let ready: Vec<_> = self.ids_of(Phase::Ready).collect();
        let begins = ready.iter().map(|id| Action::Feed(*id, begin.clone().into()));
        let ups = ready.iter().map(|id| slot_up(*id));
        begins.chain(ups).collect()
    }

    /// The master is gone. Workers that still have something of its run are replaced: a task cannot be made
    /// to forget what it holds.
    pub fn on_detach(&mut self) -> Vec<Action> {
        self.attached = false;
        let mut actions = Vec::new();
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let busy = slot.is_busy();
            slot.queue.clear();
            if busy && slot.phase == Phase::Ready {
                slot.phase = Phase::Ending;
                actions.push(Action::Kill(self.id(index)));
            }
        }
        actions
    }

    /// The master sends work for a slot.
    pub fn on_work(&mut self, id: WorkerId, item: Frame<HostToWorker>) -> Vec<Action> {
        let Some(slot) = self.slots.get_mut(usize::from(id.slot.0)) else { return Vec::new() };
        // What was sent to an earlier worker is void: the master knows, or is about to learn, that it is lost.
        if slot.epoch != id.epoch || slot.phase != Phase::Ready || !self.attached {
            return Vec::new();
        }
        if slot.queue.len() + slot.at_worker > BATCHES_PER_SLOT_MAX + OWN_ITEMS_MAX {
            let reason = format!("it sends more to slot {} than it has credit for", id.slot);
            return vec![Action::CloseMaster { reason }];
        }
        slot.queue.push_back(item);
        self.feed(id)
    }

    /// A worker's task exists.
    pub fn on_created(&mut self, id: WorkerId, begin: Option<&HostToWorker>, now: Instant) -> Vec<Action> {
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        if slot.phase != Phase::Starting {
            return Vec::new();
        }
        slot.phase = Phase::Ready;
        slot.idle_since = now;
        match begin {
            Some(begin) => vec![Action::Feed(id, begin.clone().into()), slot_up(id)],
            None => Vec::new(),
        }
    }

    /// A worker could not be started.
    pub fn on_not_created(&mut self, id: WorkerId, message: String, now: Instant) -> Vec<Action> {
        self.replace(id, true, &message, now)
    }

    /// The library or its task refuses to start, and has never started here: it will not the next time.
    pub fn on_refused(&mut self, id: WorkerId, message: String) -> Vec<Action> {
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        slot.phase = Phase::Stopped;
        vec![Action::GiveUp { message }]
    }

    /// A worker has finished an item, or a part of one.
    pub fn on_done(
        &mut self,
        id: WorkerId,
        done: &ItemDone,
        table: Bytes,
        body: Bytes,
        now: Instant,
    ) -> Vec<Action> {
        let attached = self.attached;
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        slot.held = done.held;
        slot.idle_since = now;
        slot.start_failures = 0;
        if done.last {
            slot.at_worker -= 1;
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
        let mut actions = vec![Action::Report(Frame { head, table, body })];
        actions.extend(self.feed(id));
        actions
    }

    /// A worker is gone.
    pub fn on_lost(&mut self, id: WorkerId, lost: Lost, now: Instant) -> Vec<Action> {
        let attached = self.attached;
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
            actions.push(Action::Report(SlaveToMaster::SlotLost(loss).into()));
        }
        actions.extend(self.replace(id, died_of_itself, &lost.message, now));
        actions
    }

    /// A task says that it cannot go on: the slave cannot either.
    pub fn on_fatal(&mut self, message: String) -> Vec<Action> {
        vec![Action::GiveUp { message }]
    }

    /// Time passes: workers that wait for a start, and idle ones that hold records.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        for index in 0..self.slots.len() {
            let id = self.id(index);
            let slot = &mut self.slots[index];
            match slot.phase {
                Phase::Respawn(due) if due <= now => {
                    slot.phase = Phase::Starting;
                    actions.push(Action::Spawn(id));
                }
                Phase::Ready if self.attached && slot.holds_in_vain(now) => {
                    slot.queue
                        .push_back(HostToWorker::Flush { item: BatchId::OWN_FLUSH, last: false }.into());
                    actions.extend(self.feed(id));
                }
                _ => {}
            }
        }
        actions
    }

    /// The slave is about to end: tasks may want to make haste.
    pub fn on_hurry(&mut self) -> Vec<Action> {
        self.ids_of(Phase::Ready).map(Action::Hurry).collect()
    }

    /// The slave ends: workers finish what they have, and none is replaced.
    pub fn on_stop(&mut self) -> Vec<Action> {
        self.stopping = true;
        let mut actions = Vec::new();
        for index in 0..self.slots.len() {
            let id = self.id(index);
            let slot = &mut self.slots[index];
            match slot.phase {
                Phase::Ready => actions.push(Action::Stop(id)),
                Phase::Starting => actions.push(Action::Kill(id)),
                Phase::Respawn(_) => slot.phase = Phase::Stopped,
                Phase::Ending | Phase::Stopped => {}
            }
        }
        actions
    }

    /// The slave ends at once: whatever workers are at is left.
    pub fn on_kill(&mut self) -> Vec<Action> {
        self.stopping = true;
        for slot in &mut self.slots {
            if matches!(slot.phase, Phase::Respawn(_)) {
                slot.phase = Phase::Stopped;
            }
        }
        let running = self.ids().filter(|id| self.slots[usize::from(id.slot.0)].phase != Phase::Stopped);
        running.map(Action::Kill).collect()
    }

    /// Checks what must always be true.
    ///
    /// # Panics
    /// If it is not.
    pub fn sanity_check(&self) {
        for slot in &self.slots {
            assert!(slot.at_worker <= ITEMS_PER_WORKER_MAX, "a worker has too many items");
            assert!(slot.phase == Phase::Ready || slot.queue.is_empty(), "items wait for no worker");
        }
    }

    /// Feeds a worker as much as it may have.
    fn feed(&mut self, id: WorkerId) -> Vec<Action> {
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        let mut actions = Vec::new();
        while slot.at_worker < ITEMS_PER_WORKER_MAX && slot.phase == Phase::Ready {
            let Some(item) = slot.queue.pop_front() else { break };
            slot.at_worker += 1;
            actions.push(Action::Feed(id, item));
        }
        actions
    }

    /// Puts the next worker in the place of one that is gone.
    fn replace(&mut self, id: WorkerId, died_of_itself: bool, message: &str, now: Instant) -> Vec<Action> {
        let stopping = self.stopping;
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        slot.queue.clear();
        (slot.at_worker, slot.held) = (0, 0);
        slot.epoch = slot.epoch.next();
        if stopping {
            slot.phase = Phase::Stopped;
            return Vec::new();
        }
        if !died_of_itself {
            slot.phase = Phase::Starting;
            let next = WorkerId { epoch: slot.epoch, ..id };
            return vec![Action::Spawn(next)];
        }
        slot.start_failures += 1;
        if slot.start_failures >= START_FAILURES_MAX {
            slot.phase = Phase::Stopped;
            let slot = id.slot;
            let message = format!(
                "worker {slot} failed to start {START_FAILURES_MAX} times in a row, last because {message}"
            );
            return vec![Action::GiveUp { message }];
        }
        slot.phase = Phase::Respawn(now + RESPAWN_PAUSE * 2u32.pow(slot.start_failures - 1));
        Vec::new()
    }

    /// The slot of a worker, if that worker is still the one there.
    fn slot_of(&mut self, id: WorkerId) -> Option<&mut Slot> {
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

fn slot_up(id: WorkerId) -> Action {
    Action::Report(SlaveToMaster::SlotUp { slot: id.slot, epoch: id.epoch }.into())
}

/// The report of what a dead worker had finished and not handed over.
fn remains(id: WorkerId, batch: BatchId, table: Bytes, body: Bytes) -> Option<Action> {
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
    Some(Action::Report(Frame { head, table, body }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Format;
    use crate::wire::LossKind;

    const BEGIN: HostToWorker = HostToWorker::Begin { format: Format::Lines };

    fn id(slot: u16, epoch: u32) -> WorkerId {
        WorkerId { slot: SlotIndex(slot), epoch: Epoch(epoch) }
    }

    fn batch(number: u64) -> Frame<HostToWorker> {
        HostToWorker::Batch { item: BatchId(number), base: 0, with_row_ends: false }.into()
    }

    fn done(number: u64, held: u32) -> ItemDone {
        let item = BatchId(number);
        ItemDone { item, outcomes: 1, rows_bytes: 0, all_done: held == 0, last: true, held, busy_ns: 1 }
    }

    fn lost() -> Lost {
        Lost {
            kind: LossKind::Crash,
            message: "SIGSEGV".into(),
            was_killed: false,
            was_expected: false,
            blame: None,
            remains: None,
        }
    }

    /// A pool of ready workers with a master.
    fn attached(slots: u16, now: Instant) -> PoolState {
        let (mut pool, actions) = PoolState::new(slots, now);
        assert_eq!(actions.len(), usize::from(slots));
        for slot in 0..slots {
            pool.on_created(id(slot, 0), None, now);
        }
        assert!(pool.is_ready());
        assert_eq!(pool.on_attach(&BEGIN).len(), 2 * usize::from(slots), "a begin and a slot-up each");
        pool
    }

    fn fed(actions: &[Action]) -> usize {
        actions.iter().filter(|action| matches!(action, Action::Feed(..))).count()
    }

    #[test]
    fn a_worker_never_has_a_third_item() {
        let now = Instant::now();
        let mut pool = attached(1, now);
        let counts: Vec<_> = (0..4).map(|number| fed(&pool.on_work(id(0, 0), batch(number)))).collect();
        assert_eq!(counts, [1, 1, 0, 0]);
        let actions = pool.on_done(id(0, 0), &done(0, 0), Bytes::new(), Bytes::new(), now);
        assert_eq!(fed(&actions), 1, "the next one when one is done");
    }

    #[test]
    fn a_master_that_sends_without_credit_is_shut_out() {
        let now = Instant::now();
        let mut pool = attached(1, now);
        let last = (0..20).map(|number| pool.on_work(id(0, 0), batch(number))).last().unwrap();
        assert!(matches!(&last[..], [Action::CloseMaster { .. }]), "{last:?}");
    }

    #[test]
    fn what_was_meant_for_an_earlier_worker_is_void() {
        let now = Instant::now();
        let mut pool = attached(1, now);
        pool.on_work(id(0, 0), batch(0));
        let actions = pool.on_lost(id(0, 0), lost(), now);
        assert!(matches!(&actions[..], [Action::Report(_), Action::Spawn(next)] if *next == id(0, 1)));
        pool.on_created(id(0, 1), Some(&BEGIN), now);
        assert!(pool.on_work(id(0, 0), batch(1)).is_empty());
        assert!(pool.on_done(id(0, 0), &done(0, 0), Bytes::new(), Bytes::new(), now).is_empty());
        assert_eq!(fed(&pool.on_work(id(0, 1), batch(2))), 1);
    }

    #[test]
    fn what_a_dead_worker_had_finished_is_reported_before_its_loss() {
        let now = Instant::now();
        let mut pool = attached(1, now);
        pool.on_work(id(0, 0), batch(0));
        let remains = Some((BatchId(0), Bytes::from_static(&[0; 16]), Bytes::from_static(b"row")));
        let actions = pool.on_lost(id(0, 0), Lost { remains, ..lost() }, now);
        let heads: Vec<_> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Report(frame) => Some(&frame.head),
                _ => None,
            })
            .collect();
        assert!(matches!(heads[..], [SlaveToMaster::Report(_), SlaveToMaster::SlotLost(_)]), "{heads:?}");
    }

    #[test]
    fn when_a_master_goes_only_workers_with_its_work_are_replaced() {
        let now = Instant::now();
        let mut pool = attached(3, now);
        pool.on_work(id(0, 0), batch(0));
        pool.on_work(id(1, 0), batch(1));
        pool.on_done(id(1, 0), &done(1, 1), Bytes::new(), Bytes::new(), now);
        let actions = pool.on_detach();
        assert_eq!(actions, [Action::Kill(id(0, 0)), Action::Kill(id(1, 0))], "in hand, held, idle");
        assert!(!pool.is_ready());
        let actions = pool.on_lost(id(0, 0), lost(), now);
        assert_eq!(actions, [Action::Spawn(id(0, 1))], "and nobody is told");
    }

    #[test]
    fn an_idle_worker_that_holds_records_is_asked_to_finish_them() {
        let now = Instant::now();
        let mut pool = attached(1, now);
        pool.on_work(id(0, 0), batch(0));
        pool.on_done(id(0, 0), &done(0, 3), Bytes::new(), Bytes::new(), now);
        assert!(pool.on_tick(now).is_empty());
        let actions = pool.on_tick(now + IDLE_FLUSH_AFTER);
        assert_eq!(fed(&actions), 1);
        assert!(pool.on_tick(now + IDLE_FLUSH_AFTER).is_empty(), "once at a time");
    }

    #[test]
    fn workers_that_die_of_themselves_come_back_more_and_more_slowly_and_then_not() {
        let mut now = Instant::now();
        let mut pool = attached(1, now);
        for epoch in 0..START_FAILURES_MAX - 1 {
            let actions = pool.on_lost(id(0, epoch), lost(), now);
            assert!(!actions.iter().any(|action| matches!(action, Action::Spawn(_))));
            now += RESPAWN_PAUSE * 2u32.pow(epoch);
            assert_eq!(pool.on_tick(now), [Action::Spawn(id(0, epoch + 1))]);
            pool.on_created(id(0, epoch + 1), Some(&BEGIN), now);
        }
        let actions = pool.on_lost(id(0, START_FAILURES_MAX - 1), lost(), now);
        assert!(matches!(actions.last(), Some(Action::GiveUp { .. })), "{actions:?}");
    }

    #[test]
    fn a_worker_that_dies_on_records_is_replaced_for_ever() {
        let now = Instant::now();
        let mut pool = attached(1, now);
        for epoch in 0..50 {
            pool.on_work(id(0, epoch), batch(epoch.into()));
            let actions = pool.on_lost(id(0, epoch), lost(), now);
            assert_eq!(actions.last(), Some(&Action::Spawn(id(0, epoch + 1))));
            pool.on_created(id(0, epoch + 1), Some(&BEGIN), now);
        }
    }

    #[test]
    fn a_pool_that_stops_lets_workers_finish_and_replaces_none() {
        let now = Instant::now();
        let mut pool = attached(2, now);
        pool.on_work(id(0, 0), batch(0));
        assert_eq!(pool.on_stop(), [Action::Stop(id(0, 0)), Action::Stop(id(1, 0))]);
        pool.on_lost(id(1, 0), lost(), now);
        assert!(!pool.is_stopped());
        pool.on_lost(id(0, 0), lost(), now);
        assert!(pool.is_stopped());
    }

    proptest! {
        #[test]
        fn no_order_of_events_breaks_the_rules(events in proptest::collection::vec((0u8..10, 0u16..3, 0u32..4), 1..300)) {
            let mut now = Instant::now();
            let (mut pool, _) = PoolState::new(3, now);
            let mut epochs = [0u32; 3];
            for (number, (event, slot, stale)) in events.into_iter().enumerate() {
                let current = id(slot, epochs[usize::from(slot)]);
                let any = id(slot, epochs[usize::from(slot)].saturating_sub(stale));
                now += Duration::from_millis(40);
                match event {
                    0 => { pool.on_created(current, Some(&BEGIN), now); }
                    1 => { pool.on_attach(&BEGIN); }
                    2 => { pool.on_detach(); }
                    3 | 4 => { pool.on_work(any, batch(number as u64)); }
                    5 | 6 => {
                        if pool.slots[usize::from(slot)].at_worker > 0 {
                            pool.on_done(current, &done(0, stale), Bytes::new(), Bytes::new(), now);
                        }
                    }
                    7 => {
                        if matches!(pool.slots[usize::from(slot)].phase, Phase::Ready | Phase::Ending) {
                            pool.on_lost(current, lost(), now);
                            epochs[usize::from(slot)] += 1;
                        }
                    }
                    8 => { pool.on_tick(now); }
                    _ => { pool.on_lost(id(slot, epochs[usize::from(slot)] + 7), lost(), now); }
                }
                pool.sanity_check();
            }
        }
    }
}
