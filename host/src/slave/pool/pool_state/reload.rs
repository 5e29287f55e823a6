//! How workers of an old build make room for those of a new one: a few slots at a time, and none before it
//! has finished what it has.
//!
//! Pure: no I/O, no clock, no tokio.

use super::{Phase, PoolState};
use crate::ids::BatchId;
use crate::slave::pool::pool_action::PoolAction;
use crate::slave::pool::worker_event::WorkerId;
use crate::wire::HostToWorker;

/// One slot in so many has no worker at a time while a master's work goes on, but always one: the others keep
/// working, and a new build that starts slowly does not take a day.
const SLOTS_PER_GAP: usize = 4;

impl PoolState {
    /// Workers that start from now on load another file. Those that are there are replaced.
    pub(crate) fn on_reload(&mut self) -> Vec<PoolAction> {
        for slot in &mut self.slots {
            slot.is_stale |= matches!(slot.phase, Phase::Starting | Phase::Ready | Phase::Retiring);
        }
        self.retire_stale()
    }

    /// Whether no worker of an earlier build is left, and each slot has a worker.
    pub(crate) fn is_reloaded(&self) -> bool {
        self.slots.iter().all(|slot| slot.phase == Phase::Ready && !slot.is_stale)
    }

    /// Sends workers of an earlier build away: all of them if no master is there, or else as many as leave
    /// the others at work.
    pub(super) fn retire_stale(&mut self) -> Vec<PoolAction> {
        if self.stopping || !self.slots.iter().any(|slot| slot.is_stale) {
            return Vec::new();
        }
        let away = self.slots.iter().filter(|slot| slot.phase != Phase::Ready).count();
        let gaps_max =
            if self.attached { (self.slots.len() / SLOTS_PER_GAP).max(1) } else { self.slots.len() };
        let stale: Vec<_> = self
            .ids_of(Phase::Ready)
            .filter(|id| self.slots[usize::from(id.slot.0)].is_stale)
            .take(gaps_max.saturating_sub(away))
            .collect();
        stale.into_iter().flat_map(|id| self.retire(id)).collect()
    }

    /// A worker gets nothing more. What only waits for it here is void: its master hears that the worker is
    /// gone, and sends it again.
    pub(super) fn retire(&mut self, id: WorkerId) -> Vec<PoolAction> {
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        slot.phase = Phase::Retiring;
        slot.queue.clear();
        self.see_off(id)
    }

    /// Ends a worker that is to go once it has nothing left. What its task holds is asked for first.
    pub(super) fn see_off(&mut self, id: WorkerId) -> Vec<PoolAction> {
        let Some(slot) = self.slot_of(id) else { return Vec::new() };
        if slot.phase != Phase::Retiring || slot.at_worker > 0 {
            return Vec::new();
        }
        if slot.held == 0 {
            return vec![PoolAction::Stop(id)];
        }
        slot.at_worker += 1;
        let flush = HostToWorker::Flush { item: BatchId::OWN_FLUSH, last: true };
        vec![PoolAction::Feed(id, flush.into())]
    }
}
