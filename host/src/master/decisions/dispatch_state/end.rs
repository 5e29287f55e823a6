//! How tasks are made to finish what they hold: those of a node that drains, and all of them at the end of
//! the run. Pure.

use super::DispatchState;
use crate::ids::SlotId;
use crate::master::decisions::action::Action;

impl DispatchState {
    /// Nodes that were asked to end and have no records left are let go.
    pub(super) fn let_go_of_drained(&mut self, actions: &mut Vec<Action>) {
        for node in self.slots.draining() {
            let slots = self.slots.of_node(node);
            self.flush(&slots, actions);
            let ledger = &self.books.ledger;
            if slots.iter().all(|slot| ledger.is_empty_at(*slot) && self.slots.is_flushed(*slot)) {
                self.slots.remove_node(node);
                if let Some(partition) = &mut self.partition {
                    partition.leave(node);
                }
                actions.push(Action::LetGo(node));
            }
        }
    }

    /// Asks tasks to finish what they hold, where nothing else is under way.
    pub(super) fn flush(&mut self, slots: &[SlotId], actions: &mut Vec<Action>) {
        for slot in slots {
            if self.slots.wants_flush(*slot) {
                let batch = self.books.ledger.new_id();
                self.slots.note_flush(*slot, batch);
                actions.push(Action::Flush { slot: *slot, epoch: self.slots.epoch(*slot), batch });
            }
        }
    }

    /// At the end of the input: tasks finish what they hold, and then the run is over.
    pub(super) fn end_run(&mut self, actions: &mut Vec<Action>) {
        let queued = self.partition.as_ref().is_some_and(|partition| partition.len() > 0);
        let waits = queued || !self.pending.is_empty() || !self.retries.is_empty();
        if self.finished || !self.input_ended || waits || !self.books.ledger.only_holds() {
            return;
        }
        self.flush(&self.slots.flushes_due(), actions);
        if self.books.ledger.is_empty() && self.slots.all_flushed() {
            self.finished = true;
            let ready = self.books.arranger.take_last();
            self.hand_out(ready, actions);
        }
    }
}
