//! What is in flight: every batch that was sent and is not finished, with its bytes, so that it can be sent
//! again. Pure. The only place that knows which records of a batch are still open.

use std::collections::HashMap;

use bytes::Bytes;

use super::attempt::{Again, Attempt, Tries};
use crate::ids::{BatchId, KeyHash, Seq, SlotId};
use crate::record::Records;
use crate::wire::{Blame, SeqRanges};

/// The numbers of a batch's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seqs {
    /// One after the other, from this one.
    From(Seq),
    /// Each its own.
    Each(Vec<Seq>),
}

impl Seqs {
    fn get(&self, index: usize) -> Seq {
        match self {
            Self::From(first) => first.plus(index),
            Self::Each(seqs) => seqs[index],
        }
    }
}

/// A batch that is in flight, or of which a task holds records.
#[derive(Debug)]
pub(super) struct Sent {
    /// Where it is.
    pub slot: SlotId,
    records: Records,
    seqs: Seqs,
    /// The partition keys of its records; empty in a run without.
    keys: Vec<KeyHash>,
    /// `None` while no record of it was tried before.
    tries: Option<Vec<Tries>>,
    /// How many records are not finished.
    open: usize,
    /// How many of those are held.
    held: usize,
    /// What is known of each record; made when they stop being all alike.
    states: Option<Vec<State>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Open,
    /// With the rows that its call has emitted: they count when it is finished.
    Held(Bytes),
    Finished,
}

impl Sent {
    /// A batch of records that were not tried before.
    pub(super) fn fresh(slot: SlotId, records: Records, seqs: Seqs) -> Self {
        let open = records.len();
        Self { slot, records, seqs, keys: Vec::new(), tries: None, open, held: 0, states: None }
    }

    /// The same, with their partition keys.
    pub(super) fn keyed(slot: SlotId, records: Records, seqs: Seqs, keys: Vec<KeyHash>) -> Self {
        Self { keys, ..Self::fresh(slot, records, seqs) }
    }

    /// A batch of records that are tried again.
    pub(super) fn again(slot: SlotId, again: Vec<Again>) -> Self {
        let records = Records::from_iter(again.iter().map(|again| &again.record));
        let seqs = Seqs::Each(again.iter().map(|again| again.seq).collect());
        let keys = again.iter().map(|again| again.key).collect();
        let tries = Some(again.into_iter().map(|again| again.tries).collect());
        Self { tries, ..Self::keyed(slot, records, seqs, keys) }
    }

    /// Its records.
    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// The number of a record.
    pub(super) fn seq(&self, index: usize) -> Seq {
        self.seqs.get(index)
    }

    /// Says what was tried with a record before.
    pub(super) fn set_tries(&mut self, index: usize, tries: Tries) {
        self.tries.get_or_insert_with(|| vec![Tries::default(); self.records.len()])[index] = tries;
    }

    /// How many records wait at the worker or are in its hand.
    fn unreturned(&self) -> usize {
        self.open - self.held
    }

    /// Whether its worker has not got through it yet, as far as was reported.
    pub(super) fn is_under_way(&self) -> bool {
        self.unreturned() > 0
    }

    /// The number of the first record, if the others follow it and nothing is known of any yet.
    pub(super) fn untouched_from(&self) -> Option<Seq> {
        match (&self.seqs, &self.states) {
            (Seqs::From(first), None) => Some(*first),
            _ => None,
        }
    }

    /// The numbers of its records, as they travel.
    pub(super) fn seq_ranges(&self) -> SeqRanges {
        match &self.seqs {
            Seqs::From(first) => SeqRanges::from_first(*first, self.records.len()),
            Seqs::Each(seqs) => seqs.iter().copied().collect(),
        }
    }

    /// The numbers of its records, if these do not simply follow each other and nothing is known of any yet.
    pub(super) fn untouched_seqs(&self) -> Option<&[Seq]> {
        match (&self.seqs, &self.states) {
            (Seqs::Each(seqs), None) => Some(seqs),
            _ => None,
        }
    }

    /// The numbers of its records.
    pub(super) fn into_seqs(self) -> Vec<Seq> {
        match self.seqs {
            Seqs::From(first) => (0..self.records.len()).map(|index| first.plus(index)).collect(),
            Seqs::Each(seqs) => seqs,
        }
    }

    /// How many of its records were executed before.
    pub(super) fn retried(&self) -> usize {
        self.tries.as_ref().map_or(0, |tries| tries.iter().filter(|tries| tries.attempts > 0).count())
    }

    /// Whether it is one record that must be alone at its worker.
    pub(super) fn is_alone(&self) -> bool {
        self.tries.as_ref().is_some_and(|tries| tries.iter().any(|tries| tries.is_suspect()))
    }

    /// What is known of the attempt at a record.
    pub(super) fn attempt(&self, index: usize) -> Attempt {
        let tries = self.tries.as_ref().map_or_else(Tries::default, |tries| tries[index]);
        let (seq, record) = (self.seqs.get(index), self.records.get_shared(index));
        let key = self.keys.get(index).copied().unwrap_or_default();
        Attempt { seq, record, key, tries, slot: self.slot }
    }

    /// Finishes a record. Returns the rows that it emitted when it was held; `None` if it is not open.
    fn finish(&mut self, index: usize) -> Option<Bytes> {
        let state = self.states_mut().get_mut(index)?;
        let rows = match std::mem::replace(state, State::Finished) {
            State::Open => Bytes::new(),
            State::Held(rows) => {
                self.held -= 1;
                rows
            }
            State::Finished => return None,
        };
        self.open -= 1;
        Some(rows)
    }

    /// Notes that the task holds a record. `false` if it is not open.
    fn hold(&mut self, index: usize, rows: Bytes) -> bool {
        let state = self.states_mut().get_mut(index);
        let Some(state @ State::Open) = state else { return false };
        *state = State::Held(rows);
        self.held += 1;
        true
    }

    /// Every record that is not finished, and whether it is held.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = (usize, bool)> {
        (0..self.records.len()).filter_map(|index| match self.states.as_ref().map(|states| &states[index]) {
            None | Some(State::Open) => Some((index, false)),
            Some(State::Held(_)) => Some((index, true)),
            Some(State::Finished) => None,
        })
    }

    /// Whether nothing has been reported of single records of it.
    pub(super) fn is_untouched(&self) -> bool {
        self.states.is_none()
    }

    fn is_open(&self, index: usize) -> bool {
        match &self.states {
            None => index < self.records.len(),
            Some(states) => states.get(index).is_some_and(|state| *state != State::Finished),
        }
    }

    fn states_mut(&mut self) -> &mut Vec<State> {
        self.states.get_or_insert_with(|| vec![State::Open; self.records.len()])
    }
}

/// What finishing a record brought.
#[derive(Debug)]
pub(super) struct FinishedAttempt {
    /// The attempt that has ended.
    pub attempt: Attempt,
    /// The rows that it emitted when it was held.
    pub held_rows: Bytes,
}

/// All batches in flight.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    batches: HashMap<BatchId, Sent>,
    /// The batches of each slot, oldest first.
    by_slot: HashMap<SlotId, Vec<BatchId>>,
    next: u64,
    open: u64,
    unreturned: u64,
}

impl Ledger {
    /// A number that was never used in this run.
    pub(super) fn new_id(&mut self) -> BatchId {
        self.next += 1;
        BatchId(self.next - 1)
    }

    /// Enters a batch under a new number.
    pub(super) fn add(&mut self, id: BatchId, sent: Sent) {
        self.open += sent.open as u64;
        self.unreturned += sent.unreturned() as u64;
        self.by_slot.entry(sent.slot).or_default().push(id);
        self.batches.insert(id, sent);
    }

    /// A batch, if it is in flight at that slot.
    pub(super) fn get(&self, slot: SlotId, id: BatchId) -> Option<&Sent> {
        self.batches.get(&id).filter(|sent| sent.slot == slot)
    }

    /// The batch of a slot whose number ends in those bits.
    pub(super) fn find(&self, slot: SlotId, batch_low: u32) -> Option<BatchId> {
        self.by_slot.get(&slot)?.iter().copied().find(|id| id.0 as u32 == batch_low)
    }

    /// Takes a batch out, whatever is open in it.
    pub(super) fn remove(&mut self, slot: SlotId, id: BatchId) -> Option<Sent> {
        self.get(slot, id)?;
        if let Some(batches) = self.by_slot.get_mut(&slot) {
            batches.retain(|other| *other != id);
            if batches.is_empty() {
                self.by_slot.remove(&slot);
            }
        }
        self.take(id)
    }

    /// Takes all batches of a slot out, oldest first: its worker is gone.
    pub(super) fn remove_slot(&mut self, slot: SlotId) -> Vec<(BatchId, Sent)> {
        let ids = self.by_slot.remove(&slot).unwrap_or_default();
        ids.into_iter().filter_map(|id| Some((id, self.take(id)?))).collect()
    }

    /// Finishes a record, and its batch with the last one. `None` if it is not open.
    pub(super) fn finish(&mut self, slot: SlotId, id: BatchId, index: usize) -> Option<FinishedAttempt> {
        let sent = self.batches.get_mut(&id).filter(|sent| sent.slot == slot)?;
        let unreturned = sent.unreturned();
        let held_rows = sent.finish(index)?;
        self.open -= 1;
        self.unreturned -= (unreturned - sent.unreturned()) as u64;
        let (attempt, is_last) = (sent.attempt(index), sent.open == 0);
        if is_last {
            self.remove(slot, id);
        }
        Some(FinishedAttempt { attempt, held_rows })
    }

    /// Notes that the task holds a record, and which rows its call has emitted.
    pub(super) fn hold(&mut self, slot: SlotId, id: BatchId, index: usize, rows: Bytes) {
        let sent = self.batches.get_mut(&id).filter(|sent| sent.slot == slot);
        if sent.is_some_and(|sent| sent.hold(index, rows)) {
            self.unreturned -= 1;
        }
    }

    /// Whether the loss of a slot's worker counts against a record: those it died on, or those that were
    /// held.
    pub(super) fn suffers(&self, slot: SlotId, blame: Option<Blame>) -> bool {
        let is_open = |blame: Blame| {
            self.get(slot, blame.batch).is_some_and(|sent| blame.indexes().any(|index| sent.is_open(index)))
        };
        let batches = self.by_slot.get(&slot).into_iter().flatten();
        blame.is_some_and(is_open) || batches.filter_map(|id| self.batches.get(id)).any(|sent| sent.held > 0)
    }

    /// The batch that has been at a worker for longest, or is held if there is none; and how many slots have
    /// records beside that one. Looks at all batches.
    pub(super) fn oldest(&self) -> Option<(&Sent, usize)> {
        let oldest = self.batches.iter().min_by_key(|(id, sent)| (!sent.is_under_way(), id.0));
        oldest.map(|(_, sent)| (sent, self.by_slot.len() - 1))
    }

    /// Whether nothing is in flight and nothing held.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether a slot has nothing in flight or held.
    pub(super) fn is_empty_at(&self, slot: SlotId) -> bool {
        !self.by_slot.contains_key(&slot)
    }

    /// Of how many batches a slot has records, in flight or held.
    pub(super) fn batches_at(&self, slot: SlotId) -> usize {
        self.by_slot.get(&slot).map_or(0, Vec::len)
    }

    /// Whether all that is in flight is held by tasks.
    pub(super) fn only_holds(&self) -> bool {
        self.unreturned == 0
    }

    /// Records that are in flight or held.
    pub(super) fn open_records(&self) -> u64 {
        self.open
    }

    fn take(&mut self, id: BatchId) -> Option<Sent> {
        let sent = self.batches.remove(&id)?;
        self.open -= sent.open as u64;
        self.unreturned -= sent.unreturned() as u64;
        Some(sent)
    }
}
