//! The rules that a slave must keep, and what happens if it breaks one: it is given up before it can do harm.
//! Pure.

use std::time::Instant;

use super::DispatchState;
use crate::ids::{BatchId, NodeId, SlotId};
use crate::limits::{BATCHES_PER_SLOT_MAX, HELD_BATCHES_MAX};
use crate::master::decisions::action::Action;

impl DispatchState {
    /// A batch or a flush is at its end. Returns the rule that the slave has broken.
    pub(super) fn end_item(&mut self, slot: SlotId, item: BatchId) -> Option<&'static str> {
        let was_flush = self.slots.is_flush(slot, item);
        self.slots.note_item_end(slot, item);
        if !self.books.knows_all_of(slot, item) {
            return Some("a report lacks outcomes");
        }
        if self.books.ledger.batches_at(slot) > HELD_BATCHES_MAX + BATCHES_PER_SLOT_MAX {
            return Some("it holds records of more batches than a task may");
        }
        let in_vain = was_flush && !self.books.ledger.is_empty_at(slot) && self.slots.note_vain_flush(slot);
        in_vain.then_some("records are still held after several flushes")
    }

    /// A slave breaks the rules, and is given up before it does harm.
    pub(super) fn give_up(&mut self, node: NodeId, reason: &str, now: Instant) -> Vec<Action> {
        let mut actions = vec![Action::GiveUp { node, reason: reason.to_owned() }];
        actions.extend(self.on_node_lost(node, reason, now));
        actions
    }
}
