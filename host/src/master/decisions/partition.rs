//! Partitioned scheduling: a queue of records for each slot, filled by their keys. Pure.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::attempt::Again;
use super::failure::{FailedRecord, Reason};
use super::ledger::Seqs;
use super::retry_queue::take_batch;
use crate::ids::{KeyHash, NodeId, Seq, SlotId, SlotIndex};
use crate::record::{Format, NoKey, NoKeyCause, RecordKeys, Records, RecordsBuilder};
use crate::schedule::{Rendezvous, key_hash, node_identity};

/// Bytes of records that may wait for each slot before no more input is read. Enough that slots with few keys
/// do not starve beside one with many.
const QUEUED_BYTES_PER_SLOT: usize = 1024 * 1024;

/// Where records wait while no slot takes part.
const NOWHERE: SlotId = SlotId { node: NodeId(u32::MAX), index: SlotIndex(0) };

/// Finds a record's key.
pub trait KeyOf: Send {
    /// Puts the key of a record (without its terminator) into `key`, which is empty.
    ///
    /// # Errors
    /// Why the record has none.
    fn key_into(&mut self, content: &[u8], key: &mut Vec<u8>) -> Result<(), String>;
}

/// Where the keys of a partitioned run come from.
pub enum KeySource {
    /// Each is found here, when its record is read.
    Here(Box<dyn KeyOf>),
    /// They come with the records.
    WithRecords,
}

/// What waits for one slot.
#[derive(Debug, Default)]
struct SlotQueue {
    /// Records that came back; they are older than all others.
    again: VecDeque<Again>,
    /// Records that were cut off a full builder, and their numbers and keys.
    ready: Records,
    ready_seqs: VecDeque<(Seq, KeyHash)>,
    filling: RecordsBuilder,
    filling_seqs: Vec<(Seq, KeyHash)>,
}

/// A batch for a slot: fresh records, or some that came back.
#[derive(Debug)]
pub(super) enum Portion {
    /// Not tried before.
    Fresh(Records, Seqs, Vec<KeyHash>),
    /// Tried before.
    Again(Vec<Again>),
}

/// Slots that wait to take part.
#[derive(Debug)]
struct Joining {
    identity: u64,
    slots: Vec<SlotId>,
}

/// Queues of records by slot.
pub(super) struct Partition {
    keys: KeySource,
    format: Format,
    /// The slots that take part, with the identity of their nodes.
    members: BTreeMap<SlotId, u64>,
    /// Slots that take part as soon as nothing is in flight. Keys move only then, so equal keys never meet
    /// in two workers at once, and stay in the order of the input.
    joining: Vec<Joining>,
    rendezvous: Option<Rendezvous>,
    queues: BTreeMap<SlotId, SlotQueue>,
    queued_bytes: usize,
    queued_records: u64,
    key: Vec<u8>,
}

impl Partition {
    /// Nothing is queued, and no slot takes part.
    pub(super) fn new(keys: KeySource, format: Format) -> Self {
        Self {
            keys,
            format,
            members: BTreeMap::new(),
            joining: Vec::new(),
            rendezvous: None,
            queues: BTreeMap::new(),
            queued_bytes: 0,
            queued_records: 0,
            key: Vec::new(),
        }
    }

    /// The slots of a node take part, as soon as [`admit`](Self::admit) lets them.
    pub(super) fn join(&mut self, node_name: &str, slots: Vec<SlotId>) {
        self.joining.push(Joining { identity: node_identity(node_name), slots });
    }

    /// Nothing is in flight, so slots that wait take part. Records that are queued for other slots, and now
    /// belong to these, move.
    pub(super) fn admit(&mut self) {
        if self.joining.is_empty() {
            return;
        }
        for Joining { identity, slots } in std::mem::take(&mut self.joining) {
            self.members.extend(slots.into_iter().map(|slot| (slot, identity)));
        }
        self.redistribute();
    }

    /// The slots of a node no longer take part. What is queued for them moves.
    pub(super) fn leave(&mut self, node: NodeId) {
        self.joining.retain(|joining| joining.slots.iter().all(|slot| slot.node != node));
        let members = self.members.len();
        self.members.retain(|slot, _| slot.node != node);
        if self.members.len() < members {
            self.redistribute();
        }
    }

    /// Whether more records can be queued.
    pub(super) fn wants_records(&self) -> bool {
        let room = QUEUED_BYTES_PER_SLOT * self.members.len();
        self.joining.is_empty() && self.queued_bytes < room
    }

    /// Records that are queued.
    pub(super) fn len(&self) -> u64 {
        self.queued_records
    }

    /// The slots for which something is queued that may be sent.
    pub(super) fn slots_to_fill(&self) -> Vec<SlotId> {
        if self.joining.is_empty() { self.queues.keys().copied().collect() } else { Vec::new() }
    }

    /// Queues records that were read, the first of which is `first`. Returns those that have no key. If keys
    /// come with the records, that of the first is at `keys_at` among `keys`.
    pub(super) fn queue(
        &mut self,
        records: &Records,
        first: Seq,
        keys: Option<&RecordKeys>,
        keys_at: usize,
    ) -> Vec<FailedRecord> {
        let mut failed = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let seq = first.plus(index);
            let key = match keys {
                Some(keys) => keys.get(keys_at + index).map_err(Clone::clone),
                None => self.find_key(record),
            };
            match key {
                Ok(key) => self.push(seq, key, record),
                Err(why) => failed.push(without_key(seq, records.get_shared(index), why)),
            }
        }
        failed
    }

    /// Queues a record that came back, before those that were never sent, in the order of the input.
    pub(super) fn push_again(&mut self, again: Again) {
        let slot = self.slot_of(again.key);
        self.queued_bytes += again.record.len();
        self.queued_records += 1;
        let queue = self.queues.entry(slot).or_default();
        let at = queue.again.partition_point(|other| other.seq < again.seq);
        queue.again.insert(at, again);
    }

    /// Whether the next record for a slot must be alone at its node.
    pub(super) fn needs_node(&self, slot: SlotId) -> bool {
        let first = self.queues.get(&slot).and_then(|queue| queue.again.front());
        first.is_some_and(|again| again.tries.needs_node())
    }

    /// Takes the next records for a slot. A record that must be alone waits until the slot `is_empty`.
    pub(super) fn take(
        &mut self,
        slot: SlotId,
        is_empty: bool,
        records_max: usize,
        bytes_max: usize,
    ) -> Option<Portion> {
        let queue = self.queues.get_mut(&slot)?;
        if !is_empty && queue.again.front().is_some_and(|again| again.tries.is_suspect()) {
            return None;
        }
        let portion = queue.take(records_max, bytes_max);
        if queue.is_empty() {
            self.queues.remove(&slot);
        }
        let (records, bytes) = match &portion {
            Portion::Fresh(records, ..) => (records.len(), records.data().len()),
            Portion::Again(again) => (again.len(), again.iter().map(|again| again.record.len()).sum()),
        };
        self.queued_records -= records as u64;
        self.queued_bytes -= bytes;
        Some(portion)
    }

    fn push(&mut self, seq: Seq, key: KeyHash, record: &[u8]) {
        let slot = self.slot_of(key);
        self.queued_bytes += record.len();
        self.queued_records += 1;
        let queue = self.queues.entry(slot).or_default();
        queue.filling.push(record);
        queue.filling_seqs.push((seq, key));
    }

    /// Takes everything out, and queues it again where it belongs now.
    fn redistribute(&mut self) {
        let queues = std::mem::take(&mut self.queues);
        (self.queued_bytes, self.queued_records) = (0, 0);
        let mut all: Vec<Again> = queues.into_values().flat_map(SlotQueue::into_all).collect();
        all.sort_by_key(|again| again.seq);
        let members = self.members.iter().map(|(slot, identity)| (*slot, *identity));
        self.rendezvous = if self.members.is_empty() { None } else { Some(Rendezvous::new(members)) };
        all.into_iter().for_each(|again| self.push_again(again));
    }

    fn find_key(&mut self, record: &[u8]) -> Result<KeyHash, NoKey> {
        let no_key = |message: String| NoKey { cause: NoKeyCause::Refused, message };
        let KeySource::Here(key_of) = &mut self.keys else {
            return Err(no_key("it has come without one".to_owned()));
        };
        self.key.clear();
        key_of.key_into(self.format.content(record), &mut self.key).map_err(no_key)?;
        Ok(key_hash(&self.key))
    }

    /// The slot of a key. Without slots, everything waits in one queue until there are some.
    fn slot_of(&self, key: KeyHash) -> SlotId {
        let chosen = self.rendezvous.as_ref().and_then(|rendezvous| rendezvous.choose_hashed(key));
        chosen.unwrap_or(NOWHERE)
    }
}

fn without_key(seq: Seq, record: Bytes, NoKey { cause, message }: NoKey) -> FailedRecord {
    let reason = match cause {
        NoKeyCause::Refused => Reason::Rejected,
        NoKeyCause::Crash => Reason::Crash,
        NoKeyCause::Timeout => Reason::Timeout,
    };
    let message = format!("it has no partition key: {message}");
    FailedRecord { seq, record, reason, message, attempts: 0, place: None }
}

impl SlotQueue {
    fn is_empty(&self) -> bool {
        self.again.is_empty() && self.ready.is_empty() && self.filling.is_empty()
    }

    fn take(&mut self, records_max: usize, bytes_max: usize) -> Portion {
        if !self.again.is_empty() {
            return Portion::Again(take_batch(&mut self.again, |_| true, records_max, bytes_max));
        }
        if self.ready.is_empty() {
            self.ready = self.filling.take();
            self.ready_seqs = std::mem::take(&mut self.filling_seqs).into();
        }
        let records = self.ready.split_off_front(records_max, bytes_max);
        let (seqs, keys) = self.ready_seqs.drain(..records.len()).unzip();
        Portion::Fresh(records, Seqs::Each(seqs), keys)
    }

    fn into_all(mut self) -> Vec<Again> {
        let fresh = |(seq, key): (Seq, KeyHash), record: Bytes| {
            let tries = Default::default();
            Again { seq, record, key, tries, not_on: None }
        };
        let mut all: Vec<Again> = self.again.into();
        let filling = self.filling.take();
        for (records, seqs) in
            [(&self.ready, Vec::from(self.ready_seqs)), (&filling, std::mem::take(&mut self.filling_seqs))]
        {
            all.extend(seqs.iter().enumerate().map(|(index, seq)| fresh(*seq, records.get_shared(index))));
        }
        all
    }
}
