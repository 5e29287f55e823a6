//! The slots of a run: which of them can take a batch, and which one is next. Pure.

mod kept_node;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::slot::Slot;
use crate::ids::{BatchId, Epoch, NodeId, SlotId, SlotIndex};

/// Flushes after which a task may still hold records. A slave reports after the first that its task has
/// failed: the others are for a slave that does not.
const VAIN_FLUSHES_MAX: u32 = 3;

/// Workers of a node that may be lost within [`VAIN_LOSSES_WITHIN`], beside one for each slot, without a
/// record that is done or to blame. A slave whose workers do not start gives up by itself long before that.
const VAIN_LOSSES_MAX: u32 = 16;

/// A node that cannot work loses that many workers in seconds. Workers that something ends now and then say
/// nothing about the node, however many they become.
const VAIN_LOSSES_WITHIN: Duration = Duration::from_secs(60);

/// The same for workers that had no record: nothing goes round in circles for them, so they may be ended as
/// fast as processes can be started. Only a slave that makes its losses up is faster.
const IDLE_LOSSES_WITHIN: Duration = Duration::from_secs(1);

/// What a commit adds to a round trip of a slave with a sink: its reports wait for the commit, its answers to
/// pings do not. Ten milliseconds are a few of gathering and one wait for a disk.
const COMMIT_GUESS: Duration = Duration::from_millis(10);

/// A round trip, until one is measured: about that of a local network.
const ROUND_TRIP_GUESS: Duration = Duration::from_micros(100);

/// A slave, as the master sees it.
#[derive(Debug)]
struct NodeSlots {
    /// What people call it.
    name: String,
    /// It wants no new batches.
    draining: bool,
    /// It puts rows into a sink of its own.
    has_sink: bool,
    round_trip: Duration,
    slots: u16,
    /// Workers in a row that were lost without a record that has ended, or is to blame; and when the first
    /// of them was.
    vain_losses: u32,
    vain_since: Option<Instant>,
}

/// The node that is kept free for a record that must be alone there.
#[derive(Debug, Clone, Copy)]
struct KeptNode {
    /// Where the record goes.
    slot: SlotId,
    /// Whether it is there already.
    has_record: bool,
}

/// All slots of a run.
#[derive(Debug, Default)]
pub(super) struct Slots {
    nodes: BTreeMap<NodeId, NodeSlots>,
    slots: BTreeMap<SlotId, Slot>,
    /// Slots with credit, those with the fewest batches first. Among equals, slots that have not reported
    /// yet come first, in turn; then the slot that was busy last, because its buffers are still warm.
    /// Where tasks are slow, all slots are busy anyway; where they are fast, a few do the work of many.
    free: BTreeSet<(usize, u64, SlotId)>,
    /// Where each slot stands in `free`.
    places: BTreeMap<SlotId, (usize, u64)>,
    turns: u64,
    /// Slots whose tasks may hold something, and have nothing under way. Kept here, because at the end of a
    /// run they are asked for after every event.
    flush_due: BTreeSet<SlotId>,
    /// How many slots' tasks may hold something, or are being flushed.
    unflushed: usize,
    /// The slot that is kept free for a record that must be alone.
    clearing: Option<SlotId>,
    /// At most one: the other nodes go on.
    kept_node: Option<KeptNode>,
    /// Slots that can take batches now or later.
    usable: usize,
    draining: usize,
}

impl Slots {
    /// Adds a node and its slots, which are down at first.
    pub(super) fn add_node(&mut self, id: NodeId, name: String, slots: u16, has_sink: bool) {
        let round_trip = ROUND_TRIP_GUESS + if has_sink { COMMIT_GUESS } else { Duration::ZERO };
        let node = NodeSlots {
            name,
            draining: false,
            has_sink,
            round_trip,
            slots,
            vain_losses: 0,
            vain_since: None,
        };
        self.nodes.insert(id, node);
        for slot in self.of_node(id) {
            self.slots.insert(slot, Slot::default());
        }
        self.usable += usize::from(slots);
    }

    /// Takes a node and its slots away.
    pub(super) fn remove_node(&mut self, id: NodeId) {
        for slot in self.of_node(id) {
            let before = self.flush_state(slot);
            self.slots.remove(&slot);
            self.note_flush_state(slot, before);
            self.rank(slot);
        }
        match self.nodes.remove(&id) {
            Some(node) if node.draining => self.draining -= 1,
            Some(node) => self.usable -= usize::from(node.slots),
            None => {}
        }
        self.clearing = self.clearing.filter(|slot| slot.node != id);
        self.release_node_if(|kept| kept.slot.node == id);
    }

    /// The slots of a node.
    pub(super) fn of_node(&self, node: NodeId) -> Vec<SlotId> {
        let slots = self.nodes.get(&node).map_or(0, |node| node.slots);
        (0..slots).map(|index| SlotId { node, index: SlotIndex(index) }).collect()
    }

    /// What people call a node.
    pub(super) fn node_name(&self, id: NodeId) -> Option<&str> {
        self.nodes.get(&id).map(|node| node.name.as_str())
    }

    /// Whether a node puts rows into a sink of its own.
    pub(super) fn has_sink(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.has_sink)
    }

    /// Whether a slot that is known has no worker.
    pub(super) fn is_down(&self, id: SlotId) -> bool {
        self.slots.get(&id).is_some_and(|slot| !slot.up)
    }

    /// The worker of a slot.
    pub(super) fn epoch(&self, id: SlotId) -> Epoch {
        self.slots.get(&id).map_or_else(Epoch::default, |slot| slot.epoch)
    }

    /// Whether a slot has a worker, and that one.
    pub(super) fn is_up(&self, id: SlotId, epoch: Epoch) -> bool {
        self.slots.get(&id).is_some_and(|slot| slot.up && slot.epoch == epoch)
    }

    /// A slot has a new worker.
    pub(super) fn set_up(&mut self, id: SlotId, epoch: Epoch) {
        self.update(id, |slot| *slot = Slot { epoch, up: true, ..slot.without_worker() });
    }

    /// A slot's worker is gone.
    pub(super) fn set_down(&mut self, id: SlotId) {
        self.update(id, |slot| *slot = slot.without_worker());
        self.clearing = self.clearing.filter(|slot| *slot != id);
        self.release_node_if(|kept| kept.slot == id);
    }

    /// The node finishes what it has, and gets no more.
    pub(super) fn set_draining(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| !node.draining) else { return };
        node.draining = true;
        self.usable -= usize::from(node.slots);
        self.draining += 1;
        self.clearing = self.clearing.filter(|slot| slot.node != id);
        self.release_node_if(|kept| kept.slot.node == id);
        for slot in self.of_node(id) {
            self.rank(slot);
        }
    }

    /// The nodes that drain.
    pub(super) fn draining(&self) -> Vec<NodeId> {
        if self.draining == 0 {
            return Vec::new();
        }
        self.nodes.iter().filter(|(_, node)| node.draining).map(|(id, _)| *id).collect()
    }

    /// A round trip to a node was measured.
    pub(super) fn set_round_trip(&mut self, id: NodeId, measured: Duration) {
        if let Some(node) = self.nodes.get_mut(&id) {
            let measured = measured + if node.has_sink { COMMIT_GUESS } else { Duration::ZERO };
            node.round_trip = (node.round_trip * 3 + measured) / 4;
        }
    }

    /// A slot has reported that much work.
    pub(super) fn note_work(&mut self, id: SlotId, records: usize, busy: Duration) {
        if records == 0 {
            return;
        }
        if let Some(node) = self.nodes.get_mut(&id.node) {
            node.vain_losses = 0;
        }
        self.update(id, |slot| slot.pace.learn(records, busy));
    }

    /// A worker was lost, and no record with it. It had records, or none. Returns whether that has happened
    /// too often.
    pub(super) fn note_vain_loss(&mut self, id: NodeId, had_records: bool, now: Instant) -> bool {
        let Some(node) = self.nodes.get_mut(&id) else { return false };
        let within = if had_records { VAIN_LOSSES_WITHIN } else { IDLE_LOSSES_WITHIN };
        if node.vain_since.is_none_or(|since| now.duration_since(since) > within) {
            (node.vain_losses, node.vain_since) = (0, Some(now));
        }
        node.vain_losses += 1;
        node.vain_losses > VAIN_LOSSES_MAX + u32::from(node.slots)
    }

    /// A batch of so many records goes to a slot.
    pub(super) fn note_sent(&mut self, id: SlotId, batch: BatchId, records: usize) {
        self.update(id, |slot| {
            slot.in_flight.push(batch);
            (slot.needs_flush, slot.has_records) = (true, true);
            slot.pace.note_batch(records);
        });
    }

    /// A batch or a flush is at its end.
    pub(super) fn note_item_end(&mut self, id: SlotId, item: BatchId) {
        self.update(id, |slot| {
            if slot.flushing == Some(item) {
                (slot.flushing, slot.needs_flush) = (None, false);
            } else {
                slot.in_flight.retain(|batch| *batch != item);
            }
        });
    }

    /// Whether a slot may report on an item: it was given that one, or is flushed by its slave.
    pub(super) fn expects(&self, id: SlotId, item: BatchId) -> bool {
        item == BatchId::OWN_FLUSH || self.slots.get(&id).is_some_and(|slot| slot.has_under_way(item))
    }

    /// Whether an item is the flush that is under way.
    pub(super) fn is_flush(&self, id: SlotId, item: BatchId) -> bool {
        self.slots.get(&id).is_some_and(|slot| slot.flushing == Some(item))
    }

    /// A flush is over, and records are still held, so another one is due. Returns whether that has happened
    /// too often.
    pub(super) fn note_vain_flush(&mut self, id: SlotId) -> bool {
        let vain_flushes = self.update(id, |slot| {
            slot.needs_flush = true;
            slot.vain_flushes += 1;
            slot.vain_flushes
        });
        vain_flushes.is_some_and(|flushes| flushes > VAIN_FLUSHES_MAX)
    }

    /// Whether a slot has records, in flight or held. A slot that is kept free for a suspect is free for all
    /// records again once the suspect is through.
    pub(super) fn set_empty(&mut self, id: SlotId, empty: bool) {
        let clearing = self.clearing == Some(id);
        self.update(id, |slot| {
            slot.has_records = !empty;
            slot.reserved &= !empty || clearing;
        });
        self.release_node_if(|kept| empty && kept.has_record && kept.slot == id);
    }

    /// An empty slot, for a record that must be alone. If there is none, one slot gets nothing new until it
    /// is empty.
    pub(super) fn clear_one(&mut self) -> Option<SlotId> {
        let id = self.clearing.or_else(|| self.best(None))?;
        self.clearing = Some(id);
        if self.is_kept(id.node) {
            return None;
        }
        let empty = self.update(id, |slot| {
            slot.reserved = true;
            slot.up && !slot.has_records
        });
        if empty != Some(true) {
            return None;
        }
        self.clearing = None;
        Some(id)
    }

    /// A record that must be alone goes to an empty slot.
    pub(super) fn reserve(&mut self, id: SlotId) {
        self.update(id, |slot| slot.reserved = true);
    }

    /// Whether a slot has no records, in flight or held.
    pub(super) fn is_empty_slot(&self, id: SlotId) -> bool {
        self.slots.get(&id).is_some_and(|slot| !slot.has_records)
    }

    /// Whether a slot's task must be asked to finish what it holds, and can be.
    pub(super) fn wants_flush(&self, id: SlotId) -> bool {
        self.slots.get(&id).is_some_and(Slot::wants_flush)
    }

    /// A flush is under way.
    pub(super) fn note_flush(&mut self, id: SlotId, flush: BatchId) {
        self.update(id, |slot| slot.flushing = Some(flush));
    }

    /// Whether a slot's task has nothing to finish.
    pub(super) fn is_flushed(&self, id: SlotId) -> bool {
        self.slots.get(&id).is_none_or(Slot::is_flushed)
    }

    /// Whether no task has anything to finish.
    pub(super) fn all_flushed(&self) -> bool {
        self.unflushed == 0
    }

    /// The slots whose tasks must be asked to finish what they hold, and can be.
    pub(super) fn flushes_due(&self) -> Vec<SlotId> {
        self.flush_due.iter().copied().collect()
    }

    /// Checks what must always be true.
    ///
    /// # Panics
    /// If it is not.
    pub(super) fn sanity_check(&self) {
        let due = self.slots.keys().filter(|slot| self.wants_flush(**slot));
        assert!(due.eq(&self.flush_due), "the slots that want to be flushed are those that are noted");
        let unflushed = self.slots.keys().filter(|slot| !self.is_flushed(**slot)).count();
        assert_eq!(self.unflushed, unflushed, "slots that are not flushed are counted");
        assert!(self.keeps_its_word(), "a record that must be alone at its node is alone there");
    }

    /// The slot that should get the next batch: the one with the fewest batches, but not `avoided`.
    pub(super) fn best(&self, avoided: Option<SlotId>) -> Option<SlotId> {
        let mut slots = self.free.iter().map(|(_, _, slot)| *slot);
        slots.find(|slot| Some(*slot) != avoided)
    }

    /// Whether there is a slot with credit.
    pub(super) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Whether a slot has credit.
    pub(super) fn is_free(&self, id: SlotId) -> bool {
        self.places.contains_key(&id)
    }

    /// Whether any slot other than this one can ever take a batch.
    pub(super) fn has_other(&self, id: SlotId) -> bool {
        self.slots.iter().any(|(other, slot)| *other != id && slot.up && !self.is_draining(other.node))
    }

    /// How many slots can take batches now or later.
    pub(super) fn usable(&self) -> usize {
        self.usable
    }

    /// How many records a slot's next batch should have.
    pub(super) fn batch_records(&self, id: SlotId) -> usize {
        self.slots.get(&id).map_or(1, |slot| slot.pace.batch_records())
    }

    /// How many batches a slot may have under way.
    fn window(&self, id: SlotId) -> usize {
        let (Some(slot), Some(node)) = (self.slots.get(&id), self.nodes.get(&id.node)) else { return 0 };
        slot.pace.window(node.round_trip)
    }

    /// Changes a slot, and its rank with it.
    fn update<T>(&mut self, id: SlotId, change: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        let before = self.flush_state(id);
        let result = self.slots.get_mut(&id).map(change);
        self.note_flush_state(id, before);
        self.rank(id);
        result
    }

    /// Whether a slot wants to be flushed, and whether it is not flushed.
    fn flush_state(&self, id: SlotId) -> (bool, bool) {
        (self.wants_flush(id), !self.is_flushed(id))
    }

    fn note_flush_state(&mut self, id: SlotId, before: (bool, bool)) {
        let (is_due, is_unflushed) = self.flush_state(id);
        let (was_due, was_unflushed) = before;
        if is_due && !was_due {
            self.flush_due.insert(id);
        } else if was_due && !is_due {
            self.flush_due.remove(&id);
        }
        self.unflushed = self.unflushed + usize::from(is_unflushed) - usize::from(was_unflushed);
    }

    fn is_draining(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_none_or(|node| node.draining)
    }

    /// Puts a slot where it belongs among the free ones.
    fn rank(&mut self, id: SlotId) {
        if let Some((in_flight, turn)) = self.places.remove(&id) {
            self.free.remove(&(in_flight, turn, id));
        }
        let Some(slot) = self.slots.get(&id) else { return };
        let is_open = slot.is_open() && !self.is_draining(id.node) && !self.is_kept(id.node);
        let in_flight = slot.in_flight.len();
        if is_open && in_flight < self.window(id) {
            self.turns += 1;
            let turn = if slot.pace.is_known() { u64::MAX - self.turns } else { self.turns };
            self.free.insert((in_flight, turn, id));
            self.places.insert(id, (in_flight, turn));
        }
    }
}
