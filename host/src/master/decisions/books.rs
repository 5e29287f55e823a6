//! The books of a run: which records are open, what became of the others, and the rows that follow from that.
//! Pure: knows records, but not which slot should get them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::arranger::Arranger;
use super::attempt::Verdict;
use super::earlier::Earlier;
use super::failure::{FailedRecord, Place, Reason};
use super::ledger::{Ledger, Sent};
use super::range_set::RangeSet;
use super::strand::Strand;
use super::tally::{Tallies, Tally};
use crate::ids::{BatchId, Seq, SlotId};
use crate::limits::{ITEMS_PER_WORKER_MAX, MESSAGE_BYTES_MAX};
use crate::record::Records;
use crate::scoreboard::{Outcome, Spans, Status};
use crate::wire::{LossKind, ReportHead, SlotLost};

/// How many records ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records read.
    pub read: u64,
    /// Records done.
    pub done: u64,
    /// Records that failed for good.
    pub failed: u64,
    /// Executions after a record's first. One that may have begun on a node that was lost counts.
    pub retried: u64,
    /// Records of those above that an earlier run has finished.
    pub resumed: u64,
}

/// What was finished since this was last asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunProgress {
    /// The records; their rows were handed out.
    pub newly: RangeSet,
    /// Records that are done, of all that were ever told as finished.
    pub done: u64,
    /// Records that have failed, of all that were ever told as finished.
    pub failed: u64,
    /// Executions after a record's first.
    pub retried: u64,
    /// How often records were tried that are tried again.
    pub tallies: BTreeMap<Seq, Tally>,
}

/// What follows from a report.
#[derive(Debug, Default)]
pub(super) struct Reported {
    /// What did not succeed, to be tried again or reported.
    pub verdicts: Vec<Verdict>,
    /// The rule that the slave has broken with it. The rest of the report is dropped.
    pub broken: Option<&'static str>,
}

/// The books.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) ledger: Ledger,
    pub(super) arranger: Arranger,
    pub(super) counts: Counts,
    tallies: Tallies,
    keep_order: bool,
    retries: u32,
    /// The number of the next record that is read.
    next: Seq,
    /// What earlier runs have finished.
    earlier: RangeSet,
    /// Records that were told as finished, by this run or an earlier one.
    told: u64,
}

impl Books {
    /// The books of a run that has read nothing.
    pub(super) fn new(keep_order: bool, retries: u32) -> Self {
        Self {
            ledger: Ledger::default(),
            arranger: Arranger::new(keep_order),
            counts: Counts::default(),
            tallies: Tallies::default(),
            keep_order,
            retries,
            next: Seq(0),
            earlier: RangeSet::default(),
            told: 0,
        }
    }

    /// The books of a run that goes on after others, and can be interrupted again.
    pub(super) fn resume(keep_order: bool, retries: u32, earlier: &Earlier) -> Self {
        let resumed = earlier.finished.len();
        let Earlier { done, failed, retried, .. } = *earlier;
        Self {
            arranger: Arranger::resume(keep_order, &earlier.finished),
            counts: Counts { read: resumed, done, failed, retried, resumed },
            tallies: Tallies::resume(earlier.tallies.clone()),
            earlier: earlier.finished.clone(),
            told: resumed,
            ..Self::new(keep_order, retries)
        }
    }

    /// Numbers records that were just read. Returns those that must be run, in pieces, each with the number
    /// of its first record: what an earlier run has finished was counted when this one began.
    pub(super) fn enter(&mut self, records: Records) -> Vec<(Seq, Records)> {
        let first = self.next;
        self.next = first.plus(records.len());
        if self.earlier.end() <= first {
            self.counts.read += records.len() as u64;
            return vec![(first, records)];
        }
        let gaps = self.earlier.gaps(first, records.len());
        self.counts.read += gaps.iter().map(|gap| gap.len() as u64).sum::<u64>();
        gaps.into_iter().map(|gap| (first.plus(gap.start), records.slice(gap))).collect()
    }

    /// Numbers a record that was just read and cannot be run; `None` if an earlier run has reported it.
    pub(super) fn enter_one(&mut self) -> Option<Seq> {
        let seq = self.next;
        self.next = seq.plus(1);
        let is_new = !self.earlier.gaps(seq, 1).is_empty();
        self.counts.read += u64::from(is_new);
        is_new.then_some(seq)
    }

    /// The number of the next record that is read, and the one after the last that earlier runs have
    /// finished.
    pub(super) fn reached(&self) -> (Seq, Seq) {
        (self.next, self.earlier.end())
    }

    /// What was finished or tried since the last call, if anything was. It can be relied on as soon as the
    /// rows that were handed out are written. To be called only between events.
    pub(super) fn take_progress(&mut self) -> Option<RunProgress> {
        let progress = self.last_progress();
        if progress.newly.is_empty() && progress.tallies.is_empty() { None } else { Some(progress) }
    }

    /// All that is finished, at the end of a run.
    pub(super) fn last_progress(&mut self) -> RunProgress {
        let newly = self.arranger.take_finished();
        self.progress(newly)
    }

    fn progress(&mut self, newly: RangeSet) -> RunProgress {
        self.told += newly.len();
        // A record that has failed has no rows to wait for, so all of them are among those that were told.
        let Counts { failed, retried, .. } = self.counts;
        let tallies = self.tallies.take_changed();
        RunProgress { newly, done: self.told - failed, failed, retried, tallies }
    }

    /// Tells a batch that is about to be sent how often earlier runs have tried its records.
    pub(super) fn recall_tries(&mut self, sent: &mut Sent) {
        self.tallies.recall(sent);
    }

    /// Whether the rows of a batch must be told apart: its records do not follow each other, and order
    /// counts.
    pub(super) fn needs_row_ends(&self, sent: &Sent) -> bool {
        self.keep_order && sent.records().len() > 1 && sent.untouched_from().is_none()
    }

    /// A record that failed for good has no rows.
    pub(super) fn fail(&mut self, failed: &FailedRecord) {
        self.counts.failed += 1;
        self.arranger.fail(failed.seq);
    }

    /// Applies a report.
    pub(super) fn on_report(
        &mut self,
        slot: SlotId,
        place: Option<&Place>,
        report: &ReportHead,
        table: &Bytes,
        body: &Bytes,
    ) -> Reported {
        if report.all_done && table.is_empty() {
            return Reported {
                broken: self.finish_whole(slot, report.batch, body).err(),
                ..Reported::default()
            };
        }
        if self.finish_strand(slot, report.batch, table, body) {
            return Reported::default();
        }
        let mut verdicts = Vec::new();
        let mut spans = Spans::of(body.clone());
        for outcome in Outcome::all(table) {
            let Some((outcome, span)) = outcome.and_then(|outcome| Some((outcome, spans.next(&outcome)?)))
            else {
                self.tallies.note(&verdicts);
                return Reported { verdicts, broken: Some("a report holds an invalid outcome") };
            };
            let of_this = outcome.is_of(report.batch).then_some(report.batch);
            if let Some(batch) = of_this.or_else(|| self.ledger.find(slot, outcome.batch_low)) {
                verdicts.extend(self.on_outcome(slot, place, batch, outcome, span));
            }
        }
        let loose = spans.rest();
        if !loose.is_empty() {
            self.arranger.add_loose(loose);
        }
        self.tallies.note(&verdicts);
        Reported { verdicts, broken: None }
    }

    /// Whether a worker that has ended a batch has reported something of each of its records.
    pub(super) fn knows_all_of(&self, slot: SlotId, batch: BatchId) -> bool {
        self.ledger.get(slot, batch).is_none_or(|sent| sent.unfinished().all(|(_, held)| held))
    }

    /// A worker is gone: what it had not finished comes back.
    pub(super) fn on_slot_lost(
        &mut self,
        slot: SlotId,
        place: Option<&Place>,
        lost: &SlotLost,
    ) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let in_flush = match lost.kind {
            LossKind::Flush => true,
            // A time limit ends either a record or a flush.
            LossKind::Timeout => lost.blame.is_none(),
            LossKind::Crash | LossKind::Panic => false,
        };
        let is_unexplained = lost.kind == LossKind::Crash && lost.blame.is_none();
        for (batch, sent) in self.ledger.remove_slot(slot) {
            for (index, held) in sent.unfinished() {
                let attempt = sent.attempt(index);
                let blame = lost.blame.filter(|blame| blame.covers(batch, index));
                self.counts.retried += u64::from((blame.is_some() || held) && attempt.tries.attempts > 0);
                verdicts.push(if blame.is_some_and(|blame| blame.records > 1) {
                    attempt.lost_in_batch()
                } else if blame.is_some() {
                    let reason = Reason::of_loss(lost.kind);
                    attempt.blamed(reason, lost.message.clone(), place.cloned(), self.retries)
                } else if held && in_flush {
                    attempt.lost_in_flush(lost.message.clone(), place.cloned(), self.retries)
                } else if held && is_unexplained {
                    attempt.lost_with_worker(&lost.message, place.cloned())
                } else if held {
                    attempt.excused()
                } else {
                    attempt.returned()
                });
            }
        }
        self.tallies.note(&verdicts);
        verdicts
    }

    /// A node is gone: what one of its slots had not finished comes back. Only the oldest batches were at its
    /// worker, so of those behind them no record can be what brought the node down.
    pub(super) fn on_node_lost(&mut self, slot: SlotId, place: Option<&Place>, reason: &str) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut batches_before = 0;
        for (_, sent) in self.ledger.remove_slot(slot) {
            let was_at_worker = batches_before < ITEMS_PER_WORKER_MAX;
            batches_before += usize::from(sent.is_under_way());
            for (index, held) in sent.unfinished() {
                let attempt = sent.attempt(index);
                let may_have_begun = held || was_at_worker;
                self.counts.retried += u64::from(may_have_begun && attempt.tries.attempts > 0);
                verdicts.push(if may_have_begun {
                    attempt.lost_with_node(reason, place.cloned())
                } else {
                    attempt.returned()
                });
            }
        }
        self.tallies.note(&verdicts);
        verdicts
    }

    /// The whole batch is done.
    fn finish_whole(&mut self, slot: SlotId, batch: BatchId, rows: &Bytes) -> Result<(), &'static str> {
        // Records that have ended must not end again.
        if !self.ledger.get(slot, batch).is_some_and(Sent::is_untouched) {
            return Err("it reports a whole batch after single records of it");
        }
        let Some(sent) = self.ledger.remove(slot, batch) else { return Ok(()) };
        let records = sent.records().len();
        self.counts.done += records as u64;
        self.counts.retried += sent.retried() as u64;
        if let Some(first) = sent.untouched_from() {
            self.arranger.finish(first, records, [rows.clone()]);
            return Ok(());
        }
        // The ends of rows were asked for if they matter here: then there is one record, or no order.
        if records > 1 && self.keep_order {
            tracing::error!(%batch, "a report lacks the ends of rows; the rows of its records stay together");
        }
        let mut rows = Some(rows.clone());
        for seq in sent.into_seqs() {
            self.arranger.finish(seq, 1, rows.take());
        }
        Ok(())
    }

    /// The whole batch is done, and its records do not follow each other: the way of most reports in a
    /// partitioned run that keeps order. `false`, and nothing has changed, if that is not so.
    fn finish_strand(&mut self, slot: SlotId, batch: BatchId, table: &Bytes, rows: &Bytes) -> bool {
        let seqs = self.ledger.get(slot, batch).and_then(Sent::untouched_seqs);
        if !self.keep_order || !seqs.is_some_and(|seqs| Strand::fits(batch, seqs, table, rows)) {
            return false;
        }
        let Some(sent) = self.ledger.remove(slot, batch) else { return false };
        self.counts.done += sent.records().len() as u64;
        self.counts.retried += sent.retried() as u64;
        self.arranger.finish_strand(Strand::new(sent.into_seqs(), table.clone(), rows.clone()));
        true
    }

    fn on_outcome(
        &mut self,
        slot: SlotId,
        place: Option<&Place>,
        batch: BatchId,
        outcome: Outcome,
        span: Bytes,
    ) -> Option<Verdict> {
        let index = usize::from(outcome.index);
        if outcome.status == Status::Held {
            self.ledger.hold(slot, batch, index, span);
            return None;
        }
        // A record that is not open was given up, or the slave repeats itself: either way it is settled.
        let finished = self.ledger.finish(slot, batch, index)?;
        self.counts.retried += u64::from(finished.attempt.tries.attempts > 0);
        if outcome.status == Status::Done {
            self.counts.done += 1;
            self.arranger.finish(finished.attempt.seq, 1, [finished.held_rows, span]);
            return None;
        }
        let Some(reason) = Reason::of_status(outcome.status) else { return Some(finished.attempt.excused()) };
        // A peer that is not one of our slaves can say more than a worker can.
        let message = String::from_utf8_lossy(&span[..span.len().min(MESSAGE_BYTES_MAX)]).into_owned();
        Some(finished.attempt.blamed(reason, message, place.cloned(), self.retries))
    }
}
