//! What a run waits for, if nothing ends. Pure.

use super::DispatchState;
use crate::master::decisions::books::Counts;
use crate::master::decisions::ledger::Sent;
use crate::master::decisions::waits_for::WaitsFor;

impl DispatchState {
    /// How many executions have ended, as far as they are counted: while this stays the same, nothing ends.
    pub(crate) fn ended(&self) -> u64 {
        let Counts { done, failed, retried, .. } = self.books.counts;
        done + failed + retried
    }

    /// Whether anything is to be done that was read, or could be read if there were a node.
    pub(crate) fn has_work(&self) -> bool {
        let Counts { read, done, failed, .. } = self.books.counts;
        let is_over = read == done + failed && self.slots.all_flushed();
        !is_over && (self.input_ended || read > done + failed) || !self.slots.has_nodes() && !self.finished
    }

    /// What keeps the run from going on: the oldest of it.
    pub(crate) fn waits_for(&self) -> WaitsFor {
        if !self.slots.has_nodes() {
            return WaitsFor::Node;
        }
        let ledger = &self.books.ledger;
        if let Some((sent, busy)) = ledger.oldest() {
            let place = self.slots.place(sent.slot);
            return match (sent.first_at_worker(), sent.unfinished().next()) {
                (Some((first, others)), _) => WaitsFor::Records { first, others, place, busy },
                (None, held) => {
                    let index = held.map_or(0, |(index, _)| index);
                    WaitsFor::Held { first: sent.attempt(index).seq, place }
                }
            };
        }
        if let Some(slot) = self.slots.flushing() {
            return WaitsFor::Flush(self.slots.place(slot));
        }
        if !self.slots.has_worker() {
            return WaitsFor::Worker;
        }
        WaitsFor::NextAttempt
    }
}

impl Sent {
    /// The number of the first record that its worker has not got through, and how many there are beside it.
    fn first_at_worker(&self) -> Option<(crate::ids::Seq, usize)> {
        let mut at_worker = self.unfinished().filter(|(_, held)| !held).map(|(index, _)| index);
        let first = at_worker.next()?;
        Some((self.attempt(first).seq, at_worker.count()))
    }
}
