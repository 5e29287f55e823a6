//! How often records were tried, as far as a run that goes on after this one must know it: a record that
//! fails each time must not get all its retries again whenever its master is started again. Pure.
//!
//! What brought the record under suspicion is not kept: it concerns workers and nodes that are gone.

use std::collections::BTreeMap;

use super::attempt::{Tries, Verdict};
use super::ledger::Sent;
use crate::ids::Seq;

/// How often a record was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Executions that have begun, or may have.
    pub attempts: u32,
    /// How many of them have failed because of the record itself.
    pub faults: u32,
}

/// What must be known, and what was told already.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    /// Of earlier runs, for records that this one has not sent yet.
    earlier: BTreeMap<Seq, Tally>,
    /// What has changed since it was last told. `None` if no other run will go on after this one.
    changed: Option<BTreeMap<Seq, Tally>>,
}

impl Tallies {
    /// Those of a run that goes on after others, and can be interrupted again.
    pub(super) fn resume(earlier: BTreeMap<Seq, Tally>) -> Self {
        Self { earlier, changed: Some(BTreeMap::new()) }
    }

    /// Notes what records that are tried again have behind them. So it is about records that are in flight or
    /// wait, and a few that were finished since this was last told.
    pub(super) fn note(&mut self, verdicts: &[Verdict]) {
        let Some(changed) = &mut self.changed else { return };
        for verdict in verdicts {
            let (Verdict::Again(again) | Verdict::AfterPause(again)) = verdict else { continue };
            let Tries { attempts, faults, .. } = again.tries;
            if attempts > 0 {
                changed.insert(again.seq, Tally { attempts, faults });
            }
        }
    }

    /// What has changed since the last call.
    pub(super) fn take_changed(&mut self) -> BTreeMap<Seq, Tally> {
        self.changed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Tells a batch that is about to be sent what earlier runs know of its records.
    pub(super) fn recall(&mut self, sent: &mut Sent) {
        if self.earlier.is_empty() {
            return;
        }
        for index in 0..sent.records().len() {
            if let Some(Tally { attempts, faults }) = self.earlier.remove(&sent.seq(index)) {
                sent.set_tries(index, Tries { attempts, faults, ..Tries::default() });
            }
        }
    }
}
