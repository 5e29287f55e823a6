//! Every decision of a run, and no I/O: which batch goes to which slot, what is tried again, when tasks are
//! flushed and when the run is over. `dispatcher.rs` feeds it events and performs the actions it returns;
//! `books.rs` keeps account of records.
//!
//! **Invariant:** read = done + failed + in flight + waiting, after every event (`sanity_check`).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::attempt::Verdict;
use super::books::{Books, Counts};
use super::failure::{FailedRecord, Place, Reason};
use super::ledger::{Sent, Seqs};
use super::partition::{KeyOf, Partition, Portion};
use super::retry_queue::RetryQueue;
use super::slots::Slots;
use crate::ids::{BatchId, Epoch, NodeId, SlotId};
use crate::limits::BATCH_BYTES_MAX;
use crate::record::{Format, Records};
use crate::wire::{ReportHead, SlotLost};

/// Parts that the rest of a file is cut into for each slot: its end is shared out in small batches, so that
/// no slot is left with a long last one.
const TAIL_PARTS_PER_SLOT: u64 = 2;

/// What the dispatcher must do next. The order of actions is the order of effects.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Send a batch.
    Send {
        /// Where to.
        slot: SlotId,
        /// For which worker.
        epoch: Epoch,
        /// Its number.
        batch: BatchId,
        /// Its records.
        records: Records,
        /// Whether its rows must be told apart.
        with_row_ends: bool,
    },
    /// Ask a slot's task to finish what it holds, because the run ends there.
    Flush {
        /// Where.
        slot: SlotId,
        /// Which worker.
        epoch: Epoch,
        /// Its number.
        batch: BatchId,
    },
    /// Write rows, in this order.
    Write(Vec<Bytes>),
    /// Report a record that failed for good.
    Fail(FailedRecord),
    /// Let a node go that was asked to end: it has nothing of this run any more.
    LetGo(NodeId),
    /// The run is over: everything read is done or failed, and nothing is held.
    Finish,
}

/// What the user asked of the run.
pub struct RunRules {
    /// Faults that a record may have before it fails, less one.
    pub retries: u32,
    /// Rows come out in the order of the input.
    pub keep_order: bool,
    /// How records end.
    pub format: Format,
    /// Where keys come from, if the run is partitioned.
    pub key_of: Option<Box<dyn KeyOf>>,
}

/// The state of a run.
pub struct DispatchState {
    books: Books,
    slots: Slots,
    retries: RetryQueue,
    /// There in a partitioned run.
    partition: Option<Partition>,
    /// Records that were read and fit no slot yet.
    pending: Records,
    /// The number of the first of those.
    pending_from: crate::ids::Seq,
    /// Bytes that are still to be read, if the input's size is known.
    remaining_bytes: Option<u64>,
    input_ended: bool,
    finished: bool,
}

impl DispatchState {
    /// A run that has read nothing yet.
    pub fn new(rules: RunRules) -> Self {
        Self {
            books: Books::new(rules.keep_order, rules.retries),
            slots: Slots::default(),
            retries: RetryQueue::default(),
            partition: rules.key_of.map(|key_of| Partition::new(key_of, rules.format)),
            pending: Records::default(),
            pending_from: crate::ids::Seq(0),
            remaining_bytes: None,
            input_ended: false,
            finished: false,
        }
    }

    /// How many records ended how, so far.
    pub fn counts(&self) -> Counts {
        self.books.counts
    }

    /// Whether the run is over.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether no more records are read.
    pub fn input_has_ended(&self) -> bool {
        self.input_ended
    }

    /// Whether more records can be placed: the only way that input is ever read.
    pub fn wants_records(&self) -> bool {
        if self.input_ended || !self.pending.is_empty() {
            return false;
        }
        if self.books.arranger.is_full() || self.retries.is_full() {
            return false;
        }
        match &self.partition {
            Some(partition) => partition.wants_records(),
            None => self.slots.has_free(),
        }
    }

    /// A slave takes part from now on. Its slots are down until it says otherwise.
    pub fn on_node_joined(&mut self, node: NodeId, name: &str, slots: u16, now: Instant) -> Vec<Action> {
        self.slots.add_node(node, name.to_owned(), slots);
        if let Some(partition) = &mut self.partition {
            partition.join(name, self.slots.of_node(node));
        }
        self.settle(Vec::new(), now)
    }

    /// A worker is ready.
    pub fn on_slot_up(&mut self, slot: SlotId, epoch: Epoch, now: Instant) -> Vec<Action> {
        self.slots.set_up(slot, epoch);
        self.settle(Vec::new(), now)
    }

    /// Records were read.
    pub fn on_records_read(
        &mut self,
        records: Records,
        remaining_bytes: Option<u64>,
        now: Instant,
    ) -> Vec<Action> {
        let first = self.books.enter(records.len());
        self.remaining_bytes = remaining_bytes;
        let mut actions = Vec::new();
        if let Some(partition) = &mut self.partition {
            for failed in partition.queue(&records, first) {
                self.fail(failed, &mut actions);
            }
        } else {
            debug_assert!(self.pending.is_empty(), "records are read only when there is a place for them");
            (self.pending, self.pending_from) = (records, first);
        }
        self.settle(actions, now)
    }

    /// A record was read that is longer than allowed; `beginning` is what was kept of it.
    pub fn on_too_long(&mut self, beginning: Bytes, bytes: u64, limit: usize, now: Instant) -> Vec<Action> {
        let failed = FailedRecord {
            seq: self.books.enter(1),
            record: beginning,
            reason: Reason::TooLong,
            message: format!("the record has {bytes} bytes; --max-record-bytes allows {limit}"),
            attempts: 0,
            place: None,
        };
        let mut actions = Vec::new();
        self.fail(failed, &mut actions);
        self.settle(actions, now)
    }

    /// No more records come.
    pub fn on_input_end(&mut self, now: Instant) -> Vec<Action> {
        self.input_ended = true;
        self.remaining_bytes = Some(0);
        self.settle(Vec::new(), now)
    }

    /// A slot reports outcomes.
    pub fn on_report(
        &mut self,
        node: NodeId,
        report: &ReportHead,
        table: &Bytes,
        body: &Bytes,
        now: Instant,
    ) -> Vec<Action> {
        let slot = SlotId { node, index: report.slot };
        // What a worker says that was given up is void: its records are elsewhere.
        if !self.slots.is_up(slot, report.epoch) {
            return Vec::new();
        }
        let ended = |counts: Counts| counts.done + counts.failed;
        let before = ended(self.books.counts);
        let place = self.slots.place(slot);
        let mut verdicts = self.books.on_report(slot, place.as_ref(), report, table, body);
        let records = (ended(self.books.counts) - before) as usize + verdicts.len();
        self.slots.note_work(slot, records, Duration::from_nanos(report.busy_ns));
        if report.last {
            self.slots.note_item_end(slot, report.batch);
            verdicts.extend(self.books.on_batch_end(slot, report.batch));
        }
        self.slots.set_empty(slot, self.books.ledger.is_empty_at(slot));
        let actions = self.carry_out(verdicts, now);
        self.settle(actions, now)
    }

    /// A worker is gone.
    pub fn on_slot_lost(&mut self, node: NodeId, lost: &SlotLost, now: Instant) -> Vec<Action> {
        let slot = SlotId { node, index: lost.slot };
        if !self.slots.is_up(slot, lost.epoch) {
            return Vec::new();
        }
        let place = self.slots.place(slot);
        let verdicts = self.books.on_slot_lost(slot, place.as_ref(), lost);
        self.slots.set_down(slot);
        let actions = self.carry_out(verdicts, now);
        self.settle(actions, now)
    }

    /// A slave is gone, with all its workers.
    pub fn on_node_lost(&mut self, node: NodeId, reason: &str, now: Instant) -> Vec<Action> {
        let mut verdicts = Vec::new();
        for slot in self.slots.of_node(node) {
            let place = self.slots.place(slot);
            verdicts.extend(self.books.on_node_lost(slot, place.as_ref(), reason));
        }
        self.slots.remove_node(node);
        if let Some(partition) = &mut self.partition {
            partition.leave(node);
        }
        let actions = self.carry_out(verdicts, now);
        self.settle(actions, now)
    }

    /// A slave was asked to end: it gets no more.
    pub fn on_node_draining(&mut self, node: NodeId, now: Instant) -> Vec<Action> {
        self.slots.set_draining(node);
        if let Some(partition) = &mut self.partition {
            partition.leave(node);
        }
        self.settle(Vec::new(), now)
    }

    /// A round trip to a slave was measured.
    pub fn on_round_trip(&mut self, node: NodeId, measured: Duration) {
        self.slots.set_round_trip(node, measured);
    }

    /// Time passes: records that waited for another attempt may be due.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Action> {
        self.settle(Vec::new(), now)
    }

    /// Checks what must always be true.
    ///
    /// # Panics
    /// If it is not.
    pub fn sanity_check(&self) {
        let queued = self.partition.as_ref().map_or(0, Partition::len);
        let waiting = self.pending.len() as u64 + self.retries.len() as u64 + queued;
        let Counts { read, done, failed, .. } = self.books.counts;
        let accounted = done + failed + self.books.ledger.open_records() + waiting;
        assert_eq!(read, accounted, "read = done + failed + in flight + waiting");
        assert!(!self.finished || read == done + failed, "a run ends when every record has");
    }

    /// What follows from every event: free slots are filled, ready rows are written, and the end is noticed.
    fn settle(&mut self, mut actions: Vec<Action>, now: Instant) -> Vec<Action> {
        if self.partition.is_some() {
            self.fill_partitioned(now, &mut actions);
        } else {
            while self.send_retry(now, &mut actions) {}
            while self.send_fresh(&mut actions) {}
        }
        self.let_go_of_drained(&mut actions);
        let rows = self.books.arranger.take_ready();
        if !rows.is_empty() {
            actions.push(Action::Write(rows));
        }
        self.end_run(&mut actions);
        actions
    }

    fn carry_out(&mut self, verdicts: Vec<Verdict>, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        for verdict in verdicts {
            match (verdict, &mut self.partition) {
                (Verdict::Again(again), Some(partition)) => partition.push_again(again),
                (Verdict::Again(again), None) => self.retries.push_ready(again),
                (Verdict::AfterPause(again), _) => self.retries.push_after_pause(again, now),
                (Verdict::Failed(failed), _) => self.fail(failed, &mut actions),
            }
        }
        actions
    }

    fn fail(&mut self, failed: FailedRecord, actions: &mut Vec<Action>) {
        self.books.fail(&failed);
        actions.push(Action::Fail(failed));
    }

    /// Sends a record, or some, for another attempt: to another slot than before, if there is one.
    fn send_retry(&mut self, now: Instant, actions: &mut Vec<Action>) -> bool {
        let Some(again) = self.retries.peek(now) else { return false };
        if again.tries.alone {
            return self.send_alone(now, actions);
        }
        let avoided = again.not_on.filter(|slot| self.slots.has_other(*slot));
        let Some(slot) = self.slots.best(avoided) else { return false };
        let records_max = self.slots.batch_records(slot);
        let batch = self.retries.take(slot, avoided.is_none(), records_max, BATCH_BYTES_MAX);
        self.send(Sent::again(slot, batch), actions);
        true
    }

    /// Sends a suspect to a worker that has nothing else, and gets nothing else meanwhile.
    fn send_alone(&mut self, now: Instant, actions: &mut Vec<Action>) -> bool {
        let Some(slot) = self.slots.clear_one() else { return false };
        debug_assert!(self.retries.peek(now).is_some());
        let batch = self.retries.take(slot, true, 1, BATCH_BYTES_MAX);
        self.send(Sent::again(slot, batch), actions);
        true
    }

    fn send_fresh(&mut self, actions: &mut Vec<Action>) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        let Some(slot) = self.slots.best(None) else { return false };
        let records = self.pending.split_off_front(self.slots.batch_records(slot), self.batch_bytes());
        let first = self.pending_from;
        self.pending_from = first.plus(records.len());
        self.send(Sent::fresh(slot, records, Seqs::From(first)), actions);
        true
    }

    fn fill_partitioned(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let bytes_max = self.batch_bytes();
        let Some(partition) = &mut self.partition else { return };
        while self.retries.peek(now).is_some() {
            // In a partitioned run a record goes where its key says, again and again.
            self.retries.take_all_ready().into_iter().for_each(|again| partition.push_again(again));
        }
        if self.books.ledger.only_holds() {
            partition.admit();
        }
        let mut batches = Vec::new();
        for slot in partition.slots_to_fill() {
            while self.slots.is_free(slot) {
                let (empty, records_max) = (self.slots.is_empty_slot(slot), self.slots.batch_records(slot));
                let sent = match partition.take(slot, empty, records_max, bytes_max) {
                    None => break,
                    Some(Portion::Fresh(records, seqs)) => Sent::fresh(slot, records, seqs),
                    Some(Portion::Again(again)) => Sent::again(slot, again),
                };
                self.slots.note_sent(slot, sent.records().len());
                if sent.is_alone() {
                    self.slots.reserve(slot);
                }
                batches.push(sent);
            }
        }
        batches.into_iter().for_each(|sent| self.push_send(sent, actions));
    }

    fn send(&mut self, sent: Sent, actions: &mut Vec<Action>) {
        self.slots.note_sent(sent.slot, sent.records().len());
        self.push_send(sent, actions);
    }

    fn push_send(&mut self, sent: Sent, actions: &mut Vec<Action>) {
        let (slot, records) = (sent.slot, sent.records().clone());
        let with_row_ends = self.books.needs_row_ends(&sent);
        let batch = self.books.send(sent);
        actions.push(Action::Send { slot, epoch: self.slots.epoch(slot), batch, records, with_row_ends });
    }

    /// The bytes of a batch: fewer when the end of the input is near.
    fn batch_bytes(&self) -> usize {
        let Some(remaining) = self.remaining_bytes else { return BATCH_BYTES_MAX };
        let rest = remaining + self.pending.data().len() as u64;
        let share = rest / (self.slots.usable().max(1) as u64 * TAIL_PARTS_PER_SLOT);
        (share as usize).clamp(1, BATCH_BYTES_MAX)
    }

    /// Nodes that were asked to end, and have nothing left, may go.
    fn let_go_of_drained(&mut self, actions: &mut Vec<Action>) {
        for node in self.slots.draining() {
            let slots = self.slots.of_node(node);
            self.flush(&slots, actions);
            let ledger = &self.books.ledger;
            if slots.iter().all(|slot| ledger.is_empty_at(*slot) && self.slots.is_flushed(*slot)) {
                self.slots.remove_node(node);
                actions.push(Action::LetGo(node));
            }
        }
    }

    /// Asks tasks to finish what they hold, where nothing else is under way.
    fn flush(&mut self, slots: &[SlotId], actions: &mut Vec<Action>) {
        for slot in slots {
            if self.slots.wants_flush(*slot) {
                let batch = self.books.ledger.new_id();
                self.slots.note_flush(*slot, batch);
                actions.push(Action::Flush { slot: *slot, epoch: self.slots.epoch(*slot), batch });
            }
        }
    }

    /// At the end of the input: tasks finish what they hold, and then the run is over.
    fn end_run(&mut self, actions: &mut Vec<Action>) {
        let queued = self.partition.as_ref().is_some_and(|partition| partition.len() > 0);
        let waits = queued || !self.pending.is_empty() || !self.retries.is_empty();
        if self.finished || !self.input_ended || waits || !self.books.ledger.only_holds() {
            return;
        }
        self.flush(&self.slots.all(), actions);
        if self.books.ledger.is_empty() && self.slots.all_flushed() {
            self.finished = true;
            let rows = self.books.arranger.take_last();
            if !rows.is_empty() {
                actions.push(Action::Write(rows));
            }
            actions.push(Action::Finish);
        }
    }
}

impl Slots {
    /// Where a slot is, for people.
    fn place(&self, slot: SlotId) -> Option<Place> {
        Some(Place { node: self.node_name(slot.node)?.to_owned(), slot: slot.index })
    }
}
