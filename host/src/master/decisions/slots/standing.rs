//! What can be said of the slots of a run in which nothing ends. Pure.

use super::Slots;
use crate::ids::SlotId;

impl Slots {
    /// Whether any node takes part.
    pub(crate) fn has_nodes(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Whether any slot has a worker.
    pub(crate) fn has_worker(&self) -> bool {
        self.slots.values().any(|slot| slot.up)
    }

    /// A slot whose task is asked to finish what it holds, and has not answered.
    pub(crate) fn flushing(&self) -> Option<SlotId> {
        self.slots.iter().find(|(_, slot)| slot.flushing.is_some()).map(|(id, _)| *id)
    }
}
