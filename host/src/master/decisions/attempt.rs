//! One attempt at a record, and what may follow from its end. Pure.

use bytes::Bytes;

use super::failure::{FailedRecord, Place, Reason};
use crate::ids::{KeyHash, Seq, SlotId};

/// Losses with a worker that one record may suffer before it is given up: something about it kills those that
/// hold it.
const LOSSES_MAX: u32 = 10;

/// Losses with a node after which a record is a suspect: once is bad luck, and twice may be more.
const NODE_LOSSES_OF_SUSPECTS: u32 = 2;
/// Losses with a node that a suspect may suffer, although nothing else was there, before it is given up. One
/// would do if nodes were lost only because of records. They are also killed from outside, and a record that
/// runs for hours can be there each time.
const NODE_LOSSES_ALONE_MAX: u32 = 2;

/// Records that travel together once they were lost with a node: so few that hardly any are suspects if it
/// happens again, and enough that the others are soon through.
const LOST_TOGETHER_MAX: usize = 16;

/// How often a record was tried, and what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tries {
    /// Executions that have begun, or may have.
    pub attempts: u32,
    /// Attempts that failed because of the record itself: `--retries` bounds these.
    pub faults: u32,
    /// Attempts that were lost with a worker that died on none of its records.
    pub losses: u32,
    /// Attempts that may have begun, and were lost with a node.
    pub node_losses: u32,
    /// How often it was held when a task crashed in `flush`.
    pub flush_crashes: u32,
    /// Whether it was one of several in a call that ended its worker, so that it must be in a call of its
    /// own.
    pub is_single: bool,
}

impl Tries {
    /// Whether it must be alone at its worker, to be cleared or convicted: it was held more than once when a
    /// task crashed in `flush`, or it may bring nodes down.
    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect_of_flush() || self.needs_node()
    }

    fn is_suspect_of_flush(&self) -> bool {
        self.flush_crashes > 1
    }

    /// Whether it must be alone at its whole node, because it may be what brings nodes down.
    pub(super) fn needs_node(&self) -> bool {
        self.node_losses >= NODE_LOSSES_OF_SUSPECTS
    }

    /// How many records may be in a batch with it, itself included.
    pub(super) fn batch_records_max(&self) -> usize {
        match self.node_losses {
            _ if self.is_suspect() || self.is_single => 1,
            0 => usize::MAX,
            _ => LOST_TOGETHER_MAX,
        }
    }
}

/// One record on its way to another attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Again {
    /// Its place in the input.
    pub seq: Seq,
    /// Its bytes, terminator included.
    pub record: Bytes,
    /// Its partition key; means nothing in a run without.
    pub key: KeyHash,
    /// What was tried.
    pub tries: Tries,
    /// Where the next attempt should not be made, if there is another place.
    pub not_on: Option<SlotId>,
}

/// An attempt that has ended, or is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    /// The record's place in the input.
    pub seq: Seq,
    /// Its bytes, terminator included.
    pub record: Bytes,
    /// Its partition key; means nothing in a run without.
    pub key: KeyHash,
    /// What was tried before this attempt.
    pub tries: Tries,
    /// Where this attempt was made.
    pub slot: SlotId,
}

/// What follows from an attempt that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is tried again at once.
    Again(Again),
    /// It is tried again after a pause.
    AfterPause(Again),
    /// It has failed for good.
    Failed(FailedRecord),
}

impl Attempt {
    /// The record itself is to blame.
    pub(super) fn blamed(
        self,
        reason: Reason,
        message: String,
        place: Option<Place>,
        retries: u32,
    ) -> Verdict {
        let tries = Tries { attempts: self.tries.attempts + 1, faults: self.tries.faults + 1, ..self.tries };
        if reason.may_be_retried() && tries.faults <= retries {
            Verdict::AfterPause(self.again(tries))
        } else {
            Verdict::Failed(self.failed(reason, message, tries.attempts, place))
        }
    }

    /// It was run, but the task could not go on, or its worker died on another record while it was held; it
    /// is not to blame.
    pub(super) fn excused(self) -> Verdict {
        let tries = Tries { attempts: self.tries.attempts + 1, ..self.tries };
        Verdict::Again(self.again(tries))
    }

    /// It was one of several in a call that ended its worker, so no one knows which is to blame: each is run
    /// in a call of its own.
    pub(super) fn lost_in_batch(self) -> Verdict {
        let tries = Tries { attempts: self.tries.attempts + 1, is_single: true, ..self.tries };
        Verdict::Again(Again { not_on: None, ..self.again(tries) })
    }

    /// Its worker is gone, and had not begun it.
    pub(super) fn returned(self) -> Verdict {
        let tries = self.tries;
        Verdict::Again(Again { not_on: None, ..self.again(tries) })
    }

    /// It was held when the task crashed in `flush`, which blames no record. A record that this happens to a
    /// second time must be alone the third time; one that was alone is convicted.
    pub(super) fn lost_in_flush(self, message: String, place: Option<Place>, retries: u32) -> Verdict {
        if self.tries.is_suspect_of_flush() {
            return self.blamed(Reason::Crash, message, place, retries);
        }
        let Tries { attempts, flush_crashes, .. } = self.tries;
        let tries = Tries { attempts: attempts + 1, flush_crashes: flush_crashes + 1, ..self.tries };
        Verdict::Again(Again { not_on: None, ..self.again(tries) })
    }

    /// It was held when its worker died on no record and in no `flush`: killed from outside, or by a thread
    /// of its own task.
    pub(super) fn lost_with_worker(self, reason: &str, place: Option<Place>) -> Verdict {
        let tries = Tries { attempts: self.tries.attempts + 1, losses: self.tries.losses + 1, ..self.tries };
        let message =
            format!("it was held {} times when its worker was lost, last because {reason}", tries.losses);
        self.lost(tries, tries.losses > LOSSES_MAX, message, place)
    }

    /// Its node is gone, and it may have begun there. From the second time on it must have a node of its own;
    /// a record that loses its nodes even then is given up.
    pub(super) fn lost_with_node(self, reason: &str, place: Option<Place>) -> Verdict {
        let Tries { attempts, node_losses, .. } = self.tries;
        let tries = Tries { attempts: attempts + 1, node_losses: node_losses + 1, ..self.tries };
        let alone = tries.node_losses.saturating_sub(NODE_LOSSES_OF_SUSPECTS);
        let message = format!(
            "it was in flight {} times when its node was lost, the last {alone} times as the only record there; the \
             last node was lost because: {reason}",
            tries.node_losses
        );
        self.lost(tries, alone > NODE_LOSSES_ALONE_MAX, message, place)
    }

    fn lost(self, tries: Tries, too_often: bool, message: String, place: Option<Place>) -> Verdict {
        if too_often {
            return Verdict::Failed(self.failed(Reason::Lost, message, tries.attempts, place));
        }
        Verdict::Again(Again { not_on: None, ..self.again(tries) })
    }

    fn again(self, tries: Tries) -> Again {
        Again { seq: self.seq, record: self.record, key: self.key, tries, not_on: Some(self.slot) }
    }

    fn failed(self, reason: Reason, message: String, attempts: u32, place: Option<Place>) -> FailedRecord {
        FailedRecord { seq: self.seq, record: self.record, reason, message, attempts, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{NodeId, SlotIndex};

    const SLOT: SlotId = SlotId { node: NodeId(0), index: SlotIndex(0) };

    fn attempt(tries: Tries) -> Attempt {
        Attempt { seq: Seq(7), record: Bytes::from_static(b"r\n"), key: KeyHash(0), tries, slot: SLOT }
    }

    fn next(verdict: Verdict) -> Tries {
        match verdict {
            Verdict::Again(again) | Verdict::AfterPause(again) => again.tries,
            Verdict::Failed(failed) => panic!("{failed:?}"),
        }
    }

    #[test]
    fn a_record_fails_after_its_retries_and_a_rejected_one_at_once() {
        let mut tries = Tries::default();
        for _ in 0..2 {
            tries = next(attempt(tries).blamed(Reason::Crash, String::new(), None, 2));
        }
        let Verdict::Failed(failed) = attempt(tries).blamed(Reason::Crash, "SIGSEGV".into(), None, 2) else {
            panic!("three faults are too many for two retries");
        };
        assert_eq!((failed.attempts, failed.reason), (3, Reason::Crash));
        let rejected = attempt(Tries::default()).blamed(Reason::Rejected, String::new(), None, 2);
        assert!(matches!(rejected, Verdict::Failed(FailedRecord { attempts: 1, .. })));
    }

    #[test]
    fn a_record_in_two_crashed_flushes_is_tried_alone_and_then_convicted() {
        let first = next(attempt(Tries::default()).lost_in_flush(String::new(), None, 0));
        assert!(!first.is_suspect() && first.faults == 0);
        let second = next(attempt(first).lost_in_flush(String::new(), None, 0));
        assert!(second.is_suspect() && second.faults == 0);
        let third = attempt(second).lost_in_flush("boom".into(), None, 0);
        assert!(matches!(third, Verdict::Failed(FailedRecord { attempts: 3, reason: Reason::Crash, .. })));
    }

    #[test]
    fn a_record_held_while_its_worker_is_killed_is_neither_suspect_nor_run_for_ever() {
        let mut tries = Tries::default();
        for _ in 0..LOSSES_MAX {
            tries = next(attempt(tries).lost_with_worker("SIGKILL", None));
            assert!(!tries.is_suspect() && tries.faults == 0);
        }
        let Verdict::Failed(failed) = attempt(tries).lost_with_worker("SIGKILL", None) else {
            panic!("something about it kills its workers");
        };
        assert_eq!((failed.reason, failed.attempts), (Reason::Lost, LOSSES_MAX + 1));
        assert_eq!(failed.message, "it was held 11 times when its worker was lost, last because SIGKILL");
    }

    #[test]
    fn a_record_whose_nodes_die_twice_must_be_alone_and_is_given_up_after_three_more() {
        let mut tries = Tries::default();
        for alone in [false, false, true, true] {
            assert_eq!(tries.needs_node(), alone);
            tries = next(attempt(tries).lost_with_node("it was silent", None));
        }
        let Verdict::Failed(failed) = attempt(tries).lost_with_node("it was silent", None) else {
            panic!("no other record can have brought these nodes down");
        };
        assert_eq!((failed.reason, failed.attempts), (Reason::Lost, 5));
        let said = "it was in flight 5 times when its node was lost, the last 3 times as the only record there; the \
                    last node was lost because: it was silent";
        assert_eq!(failed.message, said);
    }
}
