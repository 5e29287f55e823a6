//! Every decision of a run: which batch goes to which slot, what is tried again, when tasks are flushed and
//! when the run is over. Pure: the dispatcher feeds it events and performs the actions that it returns.
//! `books.rs` keeps account of records.
//!
//! **Invariant:** read = done + failed + in flight + waiting, after every event (`sanity_check`).

mod conduct;
mod end;
mod fill;
mod waits;

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::action::{Action, ReadyRows};
use super::attempt::Verdict;
use super::books::{Books, Counts, Reported, RunProgress};
use super::earlier::Earlier;
use super::failure::{FailedRecord, Place, Reason};
use super::partition::{KeySource, Partition};
use super::pending::Pending;
use super::retry_queue::RetryQueue;
use super::slots::Slots;
use crate::ids::{Epoch, NodeId, Seq, SlotId};
use crate::record::{Format, RecordKeys, Records};
use crate::wire::{ReportHead, SlotLost};

/// What the user asked of the run.
pub struct RunRules {
    /// Faults that a record may have before it fails, less one.
    pub retries: u32,
    /// Rows come out in the order of the input.
    pub keep_order: bool,
    /// How records end.
    pub format: Format,
    /// Where keys come from, if the run is partitioned.
    pub keys: Option<KeySource>,
}

/// The state of a run.
pub struct DispatchState {
    books: Books,
    slots: Slots,
    retries: RetryQueue,
    /// Only in a partitioned run.
    partition: Option<Partition>,
    /// Records that were read and fit no slot yet.
    pending: Pending,
    /// Bytes that are still to be read, if the input's size is known.
    remaining_bytes: Option<u64>,
    input_ended: bool,
    finished: bool,
    /// Records that are done and whose rows were handed out, or were written by an earlier run.
    handed_out: u64,
}

impl DispatchState {
    /// A run that has read nothing yet.
    pub fn new(rules: RunRules) -> Self {
        Self::with_books(Books::new(rules.keep_order, rules.retries), rules)
    }

    /// A run that goes on after others: it has read nothing yet either, and will pass over what they have
    /// finished.
    pub fn resume(rules: RunRules, earlier: &Earlier) -> Self {
        Self::with_books(Books::resume(rules.keep_order, rules.retries, earlier), rules)
    }

    fn with_books(books: Books, rules: RunRules) -> Self {
        Self {
            handed_out: books.counts.done,
            books,
            slots: Slots::default(),
            retries: RetryQueue::default(),
            partition: rules.keys.map(|keys| Partition::new(keys, rules.format)),
            pending: Pending::default(),
            remaining_bytes: None,
            input_ended: false,
            finished: false,
        }
    }

    /// How many records ended how, so far.
    pub fn counts(&self) -> Counts {
        self.books.counts
    }

    /// How many of the records that are done have handed all of their rows out: no others are done for those
    /// who see only what is written.
    pub fn handed_out(&self) -> u64 {
        self.handed_out
    }

    /// What was finished or tried since the last call, if anything was; at the end of a run, in any case. It
    /// can be relied on once the rows that were handed out so far are written. For runs that can be
    /// resumed.
    pub fn take_progress(&mut self) -> Option<RunProgress> {
        if self.finished { Some(self.books.last_progress()) } else { self.books.take_progress() }
    }

    /// The number of the next record that is read, and the one after the last that earlier runs have
    /// finished.
    pub fn reached(&self) -> (Seq, Seq) {
        self.books.reached()
    }

    /// Whether the run is over: everything read is done or failed, and nothing is held.
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
    pub fn on_node_joined(
        &mut self,
        node: NodeId,
        name: &str,
        slots: u16,
        has_sink: bool,
        now: Instant,
    ) -> Vec<Action> {
        self.slots.add_node(node, name.to_owned(), slots, has_sink);
        if let Some(partition) = &mut self.partition {
            partition.join(name, self.slots.of_node(node));
        }
        self.settle(Vec::new(), now)
    }

    /// A worker is ready.
    pub fn on_slot_up(&mut self, slot: SlotId, epoch: Epoch, now: Instant) -> Vec<Action> {
        // What a slot has in flight would be forgotten, and its credit given out again.
        if !self.slots.is_down(slot) {
            return self.give_up(
                slot.node,
                &format!("it says that slot {} is up, which is up already or does not exist", slot.index),
                now,
            );
        }
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
        self.on_keyed_records_read(records, None, remaining_bytes, now)
    }

    /// Records were read, and their keys computed on the way.
    pub(crate) fn on_keyed_records_read(
        &mut self,
        records: Records,
        keys: Option<&RecordKeys>,
        remaining_bytes: Option<u64>,
        now: Instant,
    ) -> Vec<Action> {
        self.remaining_bytes = remaining_bytes;
        let mut actions = Vec::new();
        let (read_from, _) = self.books.reached();
        for (first, records) in self.books.enter(records) {
            let Some(partition) = &mut self.partition else {
                self.pending.push(first, records);
                continue;
            };
            let keys_at = (first.0 - read_from.0) as usize;
            for failed in partition.queue(&records, first, keys, keys_at) {
                self.fail(failed, &mut actions);
            }
        }
        self.settle(actions, now)
    }

    /// A record was read that is longer than allowed; `beginning` is what was kept of it.
    pub fn on_too_long(&mut self, beginning: Bytes, bytes: u64, limit: usize, now: Instant) -> Vec<Action> {
        let message = format!("the record has {bytes} bytes; --max-record-bytes allows {limit}");
        self.on_unusable(beginning, Reason::TooLong, message, now)
    }

    /// A record was read that cannot be run.
    pub fn on_unusable(
        &mut self,
        record: Bytes,
        reason: Reason,
        message: String,
        now: Instant,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(seq) = self.books.enter_one() {
            let failed = FailedRecord { seq, record, reason, message, attempts: 0, place: None };
            self.fail(failed, &mut actions);
        }
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
        // What a replaced worker says no longer counts: its records are elsewhere.
        if !self.slots.is_up(slot, report.epoch) {
            return Vec::new();
        }
        if !self.slots.expects(slot, report.batch) {
            return self.give_up(
                node,
                &format!("it reports on batch {}, which it does not have", report.batch),
                now,
            );
        }
        let ended = |counts: Counts| counts.done + counts.failed;
        let before = ended(self.books.counts);
        let place = self.slots.place(slot);
        let Reported { verdicts, mut broken } =
            self.books.on_report(slot, place.as_ref(), report, table, body);
        let records = (ended(self.books.counts) - before) as usize + verdicts.len();
        self.slots.note_work(slot, records, Duration::from_nanos(report.busy_ns));
        if report.last {
            broken = broken.or(self.end_item(slot, report.batch));
        }
        self.slots.set_empty(slot, self.books.ledger.is_empty_at(slot));
        let mut actions = self.carry_out(verdicts, now);
        match broken {
            None => self.settle(actions, now),
            Some(reason) => {
                actions.extend(self.give_up(node, reason, now));
                actions
            }
        }
    }

    /// A worker is gone.
    pub fn on_slot_lost(&mut self, node: NodeId, lost: &SlotLost, now: Instant) -> Vec<Action> {
        let slot = SlotId { node, index: lost.slot };
        if !self.slots.is_up(slot, lost.epoch) {
            return Vec::new();
        }
        let place = self.slots.place(slot);
        let in_vain = !self.books.ledger.suffers(slot, lost.blame);
        let had_records = !self.books.ledger.is_empty_at(slot);
        let verdicts = self.books.on_slot_lost(slot, place.as_ref(), lost);
        self.slots.set_down(slot);
        let mut actions = self.carry_out(verdicts, now);
        // Records that only come back are not counted as tried: this could go on for ever.
        if in_vain && self.slots.note_vain_loss(node, had_records, now) {
            actions.extend(self.give_up(
                node,
                "its workers are lost again and again without finishing anything",
                now,
            ));
            return actions;
        }
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

    /// A slave was asked to end: it gets no more records. Its keys stay with it until it is let go, because
    /// elsewhere they would meet the records that it still has.
    pub fn on_node_draining(&mut self, node: NodeId, now: Instant) -> Vec<Action> {
        self.slots.set_draining(node);
        self.settle(Vec::new(), now)
    }

    /// A round trip to a slave was measured.
    pub fn on_round_trip(&mut self, node: NodeId, measured: Duration) {
        self.slots.set_round_trip(node, measured);
    }

    /// Time passes: records that wait for another attempt can be due now.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Action> {
        self.settle(Vec::new(), now)
    }

    /// Checks what must always be true.
    ///
    /// # Panics
    /// If it is not.
    pub fn sanity_check(&self) {
        let queued = self.partition.as_ref().map_or(0, Partition::len);
        let waiting = self.pending.len() + self.retries.len() as u64 + queued;
        let Counts { read, done, failed, .. } = self.books.counts;
        let accounted = done + failed + self.books.ledger.open_records() + waiting;
        assert_eq!(read, accounted, "read = done + failed + in flight + waiting");
        assert!(!self.finished || read == done + failed, "a run ends when every record has");
        let all_out = self.handed_out == done;
        assert!(
            all_out || !self.finished && self.handed_out < done,
            "rows are handed out once, and in the end all"
        );
        self.slots.sanity_check();
        let is_wanted = |slot| match &self.partition {
            Some(partition) => partition.needs_node(slot),
            None => self.retries.holds_any_for_a_node(),
        };
        let emptied_for = self.slots.emptied_for();
        assert!(emptied_for.is_none_or(is_wanted), "a node is emptied only for a record that waits for it");
    }

    /// What follows from every event: free slots are filled, ready rows are written, and the end of the run
    /// is noticed.
    fn settle(&mut self, mut actions: Vec<Action>, now: Instant) -> Vec<Action> {
        self.let_go_of_drained(&mut actions);
        self.fill(now, &mut actions);
        let ready = self.books.arranger.take_ready();
        self.hand_out(ready, &mut actions);
        self.end_run(&mut actions);
        actions
    }

    fn hand_out(&mut self, ready: ReadyRows, actions: &mut Vec<Action>) {
        self.handed_out += ready.records;
        if !ready.is_empty() {
            actions.push(Action::Write(ready));
        }
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
}

impl Slots {
    /// Where a slot is, for people.
    fn place(&self, slot: SlotId) -> Option<Place> {
        Some(Place { node: self.node_name(slot.node)?.to_owned(), slot: slot.index })
    }
}
