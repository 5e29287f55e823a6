//! The books of a run: which records are open, what became of the others, and the rows that follow from it.
//! Pure; knows records, but not which slot should get which.

use bytes::Bytes;

use super::arranger::Arranger;
use super::attempt::{Attempt, Verdict};
use super::failure::{FailedRecord, Place, Reason};
use super::ledger::{Ledger, Sent};
use crate::ids::{BatchId, Seq, SlotId};
use crate::scoreboard::{Outcome, Status};
use crate::wire::{Blame, LossKind, ReportHead, SlotLost};

/// How many records ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records read.
    pub read: u64,
    /// Records done.
    pub done: u64,
    /// Records that failed for good.
    pub failed: u64,
    /// Executions after a record's first.
    pub retried: u64,
}

/// The books.
#[derive(Debug)]
pub struct Books {
    pub(super) ledger: Ledger,
    pub(super) arranger: Arranger,
    pub(super) counts: Counts,
    keep_order: bool,
    retries: u32,
}

impl Books {
    /// Empty ones.
    pub fn new(keep_order: bool, retries: u32) -> Self {
        Self {
            ledger: Ledger::default(),
            arranger: Arranger::new(keep_order),
            counts: Counts::default(),
            keep_order,
            retries,
        }
    }

    /// Numbers records that were just read.
    pub fn enter(&mut self, records: usize) -> Seq {
        let first = Seq(self.counts.read);
        self.counts.read += records as u64;
        first
    }

    /// Whether the rows of a batch must be told apart: its records do not follow each other, and order counts.
    pub fn needs_row_ends(&self, sent: &Sent) -> bool {
        self.keep_order && sent.records().len() > 1 && sent.untouched_from().is_none()
    }

    /// Enters a batch that is about to be sent.
    pub fn send(&mut self, sent: Sent) -> BatchId {
        self.ledger.add(sent)
    }

    /// A record that failed for good has no rows.
    pub fn fail(&mut self, failed: &FailedRecord) {
        self.counts.failed += 1;
        self.arranger.finish(failed.seq, 1, []);
    }

    /// Applies a report. What did not succeed is returned, to be tried again or reported.
    pub fn on_report(
        &mut self,
        slot: SlotId,
        place: Option<&Place>,
        report: &ReportHead,
        table: &Bytes,
        body: &Bytes,
    ) -> Vec<Verdict> {
        if report.all_done && table.is_empty() {
            self.finish_whole(slot, report.batch, body);
            return Vec::new();
        }
        let mut verdicts = Vec::new();
        let mut start = 0;
        for outcome in Outcome::all(table) {
            let within = |outcome: &Outcome| start <= outcome.end && outcome.end <= body.len() as u64;
            let Some(outcome) = outcome.filter(within) else {
                tracing::error!(batch = %report.batch, "a report holds an outcome that is none; its rest is dropped");
                return verdicts;
            };
            let span = body.slice(start as usize..outcome.end as usize);
            start = outcome.end;
            let of_this = outcome.is_of(report.batch).then_some(report.batch);
            if let Some(batch) = of_this.or_else(|| self.ledger.find(slot, outcome.batch_low)) {
                verdicts.extend(self.on_outcome(slot, place, batch, outcome, span));
            }
        }
        if start < body.len() as u64 {
            self.arranger.add_loose(body.slice(start as usize..));
        }
        verdicts
    }

    /// A worker has ended a batch: what it says nothing about is run again.
    pub fn on_batch_end(&mut self, slot: SlotId, batch: BatchId) -> Vec<Verdict> {
        let Some(sent) = self.ledger.get(slot, batch) else { return Vec::new() };
        let forgotten: Vec<_> = sent.unfinished().filter(|(_, held)| !held).map(|(index, _)| index).collect();
        if !forgotten.is_empty() {
            tracing::error!(%batch, "a report lacks outcomes; the records without are run again");
        }
        let finished = forgotten.into_iter().filter_map(|index| self.ledger.finish(slot, batch, index));
        finished.map(|finished| finished.attempt.excused()).collect()
    }

    /// A worker is gone: what it had not finished comes back.
    pub fn on_slot_lost(&mut self, slot: SlotId, place: Option<&Place>, lost: &SlotLost) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let in_flush = lost.blame.is_none() && lost.kind != LossKind::Panic;
        for (batch, sent) in self.ledger.remove_slot(slot) {
            for (index, held) in sent.unfinished() {
                let attempt = sent.attempt(index);
                verdicts.push(if lost.blame == Some(Blame { batch, index: index as u16 }) {
                    self.counts.retried += u64::from(attempt.tries.attempts > 0);
                    let reason = Reason::of_loss(lost.kind);
                    attempt.blamed(reason, lost.message.clone(), place.cloned(), self.retries)
                } else if held && in_flush {
                    attempt.lost_in_flush(lost.message.clone(), place.cloned(), self.retries)
                } else {
                    attempt.returned()
                });
            }
        }
        verdicts
    }

    /// A node is gone: what one of its slots had not finished comes back.
    pub fn on_node_lost(&mut self, slot: SlotId, place: Option<&Place>, reason: &str) -> Vec<Verdict> {
        let sent = self.ledger.remove_slot(slot);
        let attempts =
            sent.iter().flat_map(|(_, sent)| sent.unfinished().map(|(index, _)| sent.attempt(index)));
        attempts.map(|attempt: Attempt| attempt.lost_with_node(reason, place.cloned())).collect()
    }

    /// The whole batch is done.
    fn finish_whole(&mut self, slot: SlotId, batch: BatchId, rows: &Bytes) {
        // The answer of an attempt that was given up is dropped.
        let Some(sent) = self.ledger.remove(slot, batch) else { return };
        let records = sent.records().len();
        self.counts.done += records as u64;
        self.counts.retried += sent.retried() as u64;
        if let Some(first) = sent.untouched_from() {
            self.arranger.finish(first, records, [rows.clone()]);
            return;
        }
        // The ends of rows were asked for if they matter here: then there is one record, or no order.
        if records > 1 && self.keep_order {
            tracing::error!(%batch, "a report lacks the ends of rows; the rows of its records stay together");
        }
        let mut rows = Some(rows.clone());
        for index in 0..records {
            self.arranger.finish(sent.attempt(index).seq, 1, rows.take());
        }
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
        let message = String::from_utf8_lossy(&span).into_owned();
        Some(finished.attempt.blamed(reason, message, place.cloned(), self.retries))
    }
}
