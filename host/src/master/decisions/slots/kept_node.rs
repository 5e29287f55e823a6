//! A node of its own for a record that may bring its node down: what is there finishes first, and nothing new
//! comes until that record is through. So if the node is lost all the same, nothing else can be the cause,
//! and if it is not, the record is cleared. Pure.
//!
//! One record has this at a time: the other nodes go on meanwhile.

use super::{KeptNode, Slots};
use crate::ids::{NodeId, SlotId};

impl Slots {
    /// A slot of a node that has nothing else, for a record that must be alone there: the slot `wanted`, if
    /// its key says so. If there is none yet, one node gets nothing new until it is empty.
    pub(crate) fn clear_node(&mut self, wanted: Option<SlotId>) -> Option<SlotId> {
        if self.kept_node.is_none() {
            let slot = wanted.filter(|slot| self.is_free(*slot)).or_else(|| self.best(None));
            let slot = slot.filter(|slot| wanted.is_none_or(|wanted| wanted == *slot))?;
            self.keep_node(KeptNode { slot, has_record: false });
        }
        let KeptNode { slot, has_record } = self.kept_node?;
        let is_other = wanted.is_some_and(|wanted| wanted != slot);
        if is_other || has_record || !self.of_node(slot.node).iter().all(|slot| self.is_idle(*slot)) {
            return None;
        }
        self.kept_node = Some(KeptNode { slot, has_record: true });
        Some(slot)
    }

    /// Slots of the node that is kept free whose tasks hold records and have nothing else: only a flush can
    /// end that.
    pub(crate) fn holding_at_kept_node(&self) -> Vec<SlotId> {
        let Some(kept) = self.kept_node else { return Vec::new() };
        let holds = |slot: &SlotId| self.wants_flush(*slot) && !self.is_empty_slot(*slot);
        self.of_node(kept.slot.node).into_iter().filter(holds).collect()
    }

    /// The slot for whose next record a node is being emptied, if there is one.
    pub(crate) fn emptied_for(&self) -> Option<SlotId> {
        self.kept_node.filter(|kept| !kept.has_record).map(|kept| kept.slot)
    }

    /// Lets the node that is being emptied take batches again, unless the record that it is emptied for still
    /// comes next at its slot.
    pub(crate) fn unkeep_unless(&mut self, is_needed: impl Fn(SlotId) -> bool) {
        self.release_node_if(|kept| !kept.has_record && !is_needed(kept.slot));
    }

    /// Lets a node take batches again, if it is one that is kept free, and the condition is met.
    pub(super) fn release_node_if(&mut self, condition: impl FnOnce(&KeptNode) -> bool) {
        let Some(kept) = self.kept_node.take_if(|kept| condition(kept)) else { return };
        self.rank_node(kept.slot.node);
    }

    /// Whether a node is kept free.
    pub(super) fn is_kept(&self, node: NodeId) -> bool {
        self.kept_node.is_some_and(|kept| kept.slot.node == node)
    }

    /// Whether the record that must be alone at its node is alone there.
    pub(super) fn keeps_its_word(&self) -> bool {
        let Some(kept) = self.kept_node.filter(|kept| kept.has_record) else { return true };
        let mut others = self.of_node(kept.slot.node).into_iter().filter(|slot| *slot != kept.slot);
        others.all(|slot| self.is_empty_slot(slot))
    }

    fn keep_node(&mut self, kept: KeptNode) {
        self.kept_node = Some(kept);
        self.rank_node(kept.slot.node);
    }

    fn rank_node(&mut self, node: NodeId) {
        for slot in self.of_node(node) {
            self.rank(slot);
        }
    }

    /// Whether a slot has no records, and its task is not busy with what it held.
    fn is_idle(&self, id: SlotId) -> bool {
        self.slots.get(&id).is_none_or(|slot| !slot.has_records && slot.flushing.is_none())
    }
}
