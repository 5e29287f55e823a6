//! What a pool says if its workers have something to do, and nothing ends.
//!
//! Pure: no I/O, no clock, no tokio.

use std::time::Instant;

use super::PoolState;
use crate::ids::SlotIndex;
use crate::slave::pool::pool_action::PoolAction;

impl PoolState {
    /// What is to be said if the workers have something to do, and nothing has ended for a while.
    pub(super) fn stands_still(&mut self, now: Instant) -> Option<PoolAction> {
        let mut busy = (0..).zip(&self.slots).filter(|(_, slot)| slot.is_busy()).map(|(index, _)| index);
        let (first, others) = (busy.next(), busy.count());
        let still = self.standstill.on_look(self.ended, self.attached && first.is_some(), now)?;
        Some(PoolAction::SayStandstill { still, slot: SlotIndex(first?), others })
    }
}
