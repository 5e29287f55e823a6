//! Which batch goes to which slot: first records that came back, then records that were just read; in a
//! partitioned run, the records whose keys belong to the slot. Pure.

use std::time::Instant;

use super::DispatchState;
use crate::ids::BatchId;
use crate::limits::BATCH_BYTES_MAX;
use crate::master::decisions::action::Action;
use crate::master::decisions::ledger::{Sent, Seqs};
use crate::master::decisions::partition::Portion;
use crate::wire::SeqRanges;

/// Parts that the rest of a file is cut into for each slot: its end is shared out in small batches, so that
/// no slot is left with a long last one.
const TAIL_PARTS_PER_SLOT: u64 = 2;

impl DispatchState {
    /// Gives every slot with credit what it may have.
    pub(super) fn fill(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.partition.is_some() {
            self.fill_partitioned(now, actions);
        } else {
            while self.send_to_own_node(now, actions) {}
            while self.send_retry(now, actions) {}
            while self.send_fresh(actions) {}
        }
        let holding = self.slots.holding_at_kept_node();
        self.flush(&holding, actions);
    }

    /// Sends a record, or some, for another attempt: to another slot than before, if there is one.
    fn send_retry(&mut self, now: Instant, actions: &mut Vec<Action>) -> bool {
        let Some(again) = self.retries.peek(now) else { return false };
        if again.tries.is_suspect() {
            return self.send_alone(actions);
        }
        let avoided = again.not_on.filter(|slot| self.slots.has_other(*slot));
        let Some(slot) = self.slots.best(avoided) else { return false };
        let records_max = self.slots.batch_records(slot);
        let batch = self.retries.take(slot, avoided.is_none(), records_max, BATCH_BYTES_MAX);
        self.send(Sent::again(slot, batch), actions);
        true
    }

    /// Sends a suspect to a node that has nothing else, and gets nothing else meanwhile.
    fn send_to_own_node(&mut self, now: Instant, actions: &mut Vec<Action>) -> bool {
        if !self.retries.has_any_for_a_node(now) {
            return false;
        }
        let Some(slot) = self.slots.clear_node(None) else { return false };
        let suspect = self.retries.take_for_a_node();
        self.send(Sent::again(slot, suspect.into_iter().collect()), actions);
        true
    }

    /// Sends a suspect to a worker that has nothing else, and gets nothing else meanwhile.
    fn send_alone(&mut self, actions: &mut Vec<Action>) -> bool {
        let Some(slot) = self.slots.clear_one() else { return false };
        let batch = self.retries.take(slot, true, 1, BATCH_BYTES_MAX);
        self.send(Sent::again(slot, batch), actions);
        true
    }

    fn send_fresh(&mut self, actions: &mut Vec<Action>) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        let Some(slot) = self.slots.best(None) else { return false };
        let bytes_max = self.batch_bytes();
        let taken = self.pending.take(self.slots.batch_records(slot), bytes_max);
        let Some((first, records)) = taken else { return false };
        self.send(Sent::fresh(slot, records, Seqs::From(first)), actions);
        true
    }

    fn fill_partitioned(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Some(partition) = &mut self.partition else { return };
        // In a partitioned run a record goes where its key says, again and again.
        self.retries.take_all_ready(now).into_iter().for_each(|again| partition.push_again(again));
        if self.books.ledger.only_holds() {
            partition.admit();
        }
        // An older record may have come back since, and goes first; then the node is not needed yet.
        self.slots.unkeep_unless(|slot| partition.needs_node(slot));
        let mut batches = Vec::new();
        for slot in partition.slots_to_fill() {
            while self.slots.is_free(slot) || partition.needs_node(slot) {
                if partition.needs_node(slot) && self.slots.clear_node(Some(slot)).is_none() {
                    break;
                }
                let (empty, records_max) = (self.slots.is_empty_slot(slot), self.slots.batch_records(slot));
                let sent = match partition.take(slot, empty, records_max, BATCH_BYTES_MAX) {
                    None => break,
                    Some(Portion::Fresh(records, seqs, keys)) => Sent::keyed(slot, records, seqs, keys),
                    Some(Portion::Again(again)) => Sent::again(slot, again),
                };
                let batch = self.books.ledger.new_id();
                self.slots.note_sent(slot, batch, sent.records().len());
                if sent.is_alone() {
                    self.slots.reserve(slot);
                }
                batches.push((batch, sent));
            }
        }
        batches.into_iter().for_each(|(batch, sent)| self.push_send(batch, sent, actions));
    }

    fn send(&mut self, sent: Sent, actions: &mut Vec<Action>) {
        let batch = self.books.ledger.new_id();
        self.slots.note_sent(sent.slot, batch, sent.records().len());
        self.push_send(batch, sent, actions);
    }

    fn push_send(&mut self, batch: BatchId, mut sent: Sent, actions: &mut Vec<Action>) {
        self.books.recall_tries(&mut sent);
        let (slot, records) = (sent.slot, sent.records().clone());
        let with_row_ends = self.books.needs_row_ends(&sent);
        let seqs = if self.slots.has_sink(slot.node) { sent.seq_ranges() } else { SeqRanges::default() };
        self.books.ledger.add(batch, sent);
        let epoch = self.slots.epoch(slot);
        actions.push(Action::Send { slot, epoch, batch, records, with_row_ends, seqs });
    }

    /// The bytes of a batch: fewer when the end of the input is near. (Not in a partitioned run: there no
    /// other slot could take a part of the rest.)
    fn batch_bytes(&self) -> usize {
        let Some(remaining) = self.remaining_bytes else { return BATCH_BYTES_MAX };
        let rest = remaining + self.pending.bytes();
        let share = rest / (self.slots.usable().max(1) as u64 * TAIL_PARTS_PER_SLOT);
        (share as usize).clamp(1, BATCH_BYTES_MAX)
    }
}
