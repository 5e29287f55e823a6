//! The records that a slave's workers have, by their numbers in the run, and the rows of those that are held.
//! From them follows what a report means for the sink, and what is left of it for the master. Pure.
//!
//! **Invariant:** no record is reported as done unless its entry was committed or was there already.

use std::collections::HashMap;

use bytes::Bytes;

use super::group::{EntryTask, Fate, Group, GroupEntry};
use super::pages::TOKENS_FROM;
use crate::ids::{BatchId, Epoch, RunId, SlotIndex};
use crate::scoreboard::{Outcome, Spans, Status};
use crate::wire::{BatchHead, BatchSeqs, Frame, ReportHead, SlaveToMaster, SlotLost};

/// How outcomes refer to a batch.
type BatchKey = (SlotIndex, u32);

/// A batch with records that have not ended.
#[derive(Debug)]
struct AtWorker {
    id: BatchId,
    epoch: Epoch,
    seqs: BatchSeqs,
    records: usize,
    /// Records that have ended.
    ended: usize,
    /// Whether its last report has come.
    is_over: bool,
    /// Whether an earlier report was about it, or a record of it was held.
    is_touched: bool,
    /// Whether the master wants to be told about each record.
    with_row_ends: bool,
    /// The rows of records that are held.
    held: HashMap<u16, Bytes>,
}

/// All records of a session that have not ended.
#[derive(Debug)]
pub(super) struct ReportBooks {
    batches: HashMap<BatchKey, AtWorker>,
    /// The worker of each slot, as the master was told: a batch for another worker is void.
    up: HashMap<SlotIndex, Epoch>,
    /// The number of the next rows that belong to no record.
    next_token: u64,
}

/// A message to the master that waits for a commit.
#[derive(Debug)]
pub(super) struct Parcel {
    frame: Frame<SlaveToMaster>,
    /// What a report says about each record, and the record's entry in the group; none for a record that is
    /// held.
    outcomes: Vec<(Outcome, Option<usize>)>,
    /// Whether the report is the only one about its batch, and covers all its records in order.
    is_whole: bool,
    /// The batch and the entry of the record that a worker died on.
    blamed: Option<(u32, usize)>,
}

impl Parcel {
    fn plain(frame: Frame<SlaveToMaster>) -> Self {
        Self { frame, outcomes: Vec::new(), is_whole: false, blamed: None }
    }

    /// What the master is told of records that have ended.
    pub(super) fn ended(&self, fates: &[Fate]) -> EndedRecords {
        let mut ended = EndedRecords::default();
        let of_reports =
            self.outcomes.iter().filter_map(|(outcome, entry)| Some((outcome.status, (*entry)?)));
        for (status, entry) in of_reports.chain(self.blamed.map(|(_, entry)| (Status::Panicked, entry))) {
            match &fates[entry] {
                Fate::Committed | Fate::AlreadyThere => ended.done += 1,
                Fate::Refused(_) => ended.rejected += 1,
                Fate::Failed if status == Status::Rejected => ended.rejected += 1,
                Fate::Failed | Fate::Again => {}
            }
        }
        ended
    }
}

/// Records that have ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct EndedRecords {
    /// They are in the sink.
    pub done: u64,
    /// The task or the sink has rejected them.
    pub rejected: u64,
}

impl ReportBooks {
    /// Books without records. The random `session` keeps this session's rows that belong to no record apart
    /// from those of all other sessions.
    pub(super) fn new(session: RunId) -> Self {
        let mut random = [0; 8];
        random.copy_from_slice(&session.0[..8]);
        // The first number of a page that no other session has.
        let page = u64::from_le_bytes(random) >> 11;
        Self { batches: HashMap::new(), up: HashMap::new(), next_token: TOKENS_FROM | page << 10 }
    }

    /// A batch is about to go to a worker.
    ///
    /// # Errors
    /// The rule that the master broke with it.
    pub(super) fn on_batch(&mut self, head: &BatchHead, records: usize) -> Result<(), &'static str> {
        let Some(seqs) = head.seqs.expand(records) else {
            return Err("a batch does not give the numbers of its records");
        };
        if self.up.get(&head.slot) != Some(&head.epoch) {
            return Ok(());
        }
        let batch = AtWorker {
            id: head.batch,
            epoch: head.epoch,
            seqs,
            records,
            ended: 0,
            is_over: false,
            is_touched: false,
            with_row_ends: head.with_row_ends,
            held: HashMap::new(),
        };
        match self.batches.insert((head.slot, head.batch.0 as u32), batch) {
            None => Ok(()),
            Some(_) => Err("a batch number was used twice"),
        }
    }

    /// A worker or the pool has a message for the master. What must be committed first goes into the group.
    pub(super) fn on_frame(&mut self, frame: Frame<SlaveToMaster>, group: &mut Group) -> Parcel {
        match frame.head {
            SlaveToMaster::Report(ref head) => {
                let head = head.clone();
                self.on_report(&head, frame, group)
            }
            SlaveToMaster::SlotLost(ref lost) => {
                let blamed = self.on_lost(lost, group);
                Parcel { blamed, ..Parcel::plain(frame) }
            }
            SlaveToMaster::SlotUp { slot, epoch } => {
                self.up.insert(slot, epoch);
                Parcel::plain(frame)
            }
            _ => Parcel::plain(frame),
        }
    }

    fn on_report(&mut self, head: &ReportHead, frame: Frame<SlaveToMaster>, group: &mut Group) -> Parcel {
        let Frame { head: message, table, body } = frame;
        let said = match table.is_empty() && head.all_done {
            true => self.all_done(head, body.len() as u64),
            false => Outcome::all(&table).map_while(|outcome| outcome).collect(),
        };
        let mut reading = ReportReading { books: self, slot: head.slot, group, unit: None };
        let mut outcomes = Vec::with_capacity(said.len());
        let mut spans = Spans::of(body);
        for outcome in said {
            let Some(span) = spans.next(&outcome) else { break };
            // An outcome of a record that is not here is not passed on: the master judges what is missing.
            outcomes.extend(reading.on_outcome(outcome, span));
        }
        reading.end(spans.rest());
        let is_whole = self.end_report(head, &outcomes);
        let frame = Frame { head: message, table: Bytes::new(), body: Bytes::new() };
        Parcel { frame, outcomes, is_whole, blamed: None }
    }

    /// The outcomes that the short form of a report stands for. Workers of a slave with a sink are asked not
    /// to use it, since it does not say which rows belong to which record.
    fn all_done(&self, head: &ReportHead, end: u64) -> Vec<Outcome> {
        let batch_low = head.batch.0 as u32;
        let records = self.batches.get(&(head.slot, batch_low)).map_or(0, |batch| batch.records);
        (0..records)
            .map(|index| Outcome { end, batch_low, index: index as u16, status: Status::Done })
            .collect()
    }

    /// Forgets what has ended. Returns whether the report was about all of its batch.
    fn end_report(&mut self, head: &ReportHead, outcomes: &[(Outcome, Option<usize>)]) -> bool {
        let key = (head.slot, head.batch.0 as u32);
        let mut is_whole = false;
        if let Some(batch) = self.batches.get_mut(&key).filter(|batch| batch.id == head.batch) {
            let in_order = outcomes.iter().enumerate().all(|(index, (outcome, entry))| {
                outcome.is_of(head.batch) && usize::from(outcome.index) == index && entry.is_some()
            });
            let is_all = in_order && outcomes.len() == batch.records && !batch.with_row_ends;
            is_whole = head.last && is_all && !batch.is_touched;
            (batch.is_touched, batch.is_over) = (true, batch.is_over || head.last);
        }
        let slots = outcomes.iter().map(|(outcome, _)| (head.slot, outcome.batch_low));
        let mut last = None;
        for key in slots.chain([key]) {
            if last.replace(key) != Some(key) {
                let is_through = |batch: &AtWorker| batch.is_over && batch.ended >= batch.records;
                if self.batches.get(&key).is_some_and(is_through) {
                    self.batches.remove(&key);
                }
            }
        }
        is_whole
    }

    /// A worker is gone with all its records. An earlier attempt of the record that it died on may have been
    /// committed.
    fn on_lost(&mut self, lost: &SlotLost, group: &mut Group) -> Option<(u32, usize)> {
        let blamed = lost.blame.and_then(|blame| {
            let batch = self.batches.get(&(lost.slot, blame.batch.0 as u32))?;
            let seq = batch.seqs.get(blame.index)?;
            let entry = GroupEntry { seq, task: EntryTask::LookUp, rows: [Bytes::new(), Bytes::new()] };
            Some((blame.batch.0 as u32, group.push(entry)))
        });
        self.batches.retain(|(slot, _), batch| *slot != lost.slot || batch.epoch > lost.epoch);
        self.up.remove(&lost.slot);
        blamed
    }
}

/// Rows with fewer bytes than this are copied when they have to wait, so that they do not keep a whole report
/// in memory.
const SHARED_BYTES_MIN: usize = 8 * 1024;

fn unshared(rows: Bytes) -> Bytes {
    if rows.len() < SHARED_BYTES_MIN { Bytes::copy_from_slice(&rows) } else { rows }
}

/// A report that is being read.
struct ReportReading<'a> {
    books: &'a mut ReportBooks,
    slot: SlotIndex,
    group: &'a mut Group,
    /// Where the entries that one call finished begin.
    unit: Option<usize>,
}

impl ReportReading<'_> {
    fn on_outcome(&mut self, outcome: Outcome, span: Bytes) -> Option<(Outcome, Option<usize>)> {
        let batch = self.books.batches.get_mut(&(self.slot, outcome.batch_low))?;
        let seq = batch.seqs.get(outcome.index).filter(|_| usize::from(outcome.index) < batch.records)?;
        if outcome.status == Status::Held {
            batch.held.insert(outcome.index, unshared(span));
            batch.is_touched = true;
            // A call that holds its record may have finished other records.
            self.close_unit();
            return Some((outcome, None));
        }
        let held = batch.held.remove(&outcome.index);
        batch.ended += 1;
        let was_held = held.is_some();
        let entry = match outcome.status {
            Status::Done => {
                GroupEntry { seq, task: EntryTask::Commit, rows: [held.unwrap_or_default(), span] }
            }
            _ => GroupEntry { seq, task: EntryTask::LookUp, rows: [Bytes::new(), span] },
        };
        let index = self.group.push(entry);
        if was_held {
            self.unit.get_or_insert(index);
        } else {
            // The record in hand ends the call.
            self.close_unit();
        }
        Some((outcome, Some(index)))
    }

    /// The end of the report. Rows that belong to no record belong to the call that finished the last
    /// records.
    fn end(&mut self, loose: Bytes) {
        if !loose.is_empty() {
            let seq = self.books.next_token;
            self.books.next_token = TOKENS_FROM | (seq + 1);
            self.group.push(GroupEntry { seq, task: EntryTask::Commit, rows: [Bytes::new(), loose] });
        }
        self.close_unit();
    }

    fn close_unit(&mut self) {
        let end = self.group.entries.len();
        if let Some(start) = self.unit.take().filter(|start| end - start > 1) {
            self.group.units.push(start..end);
        }
    }
}

/// What is left of a message for the master after the commit that it waited for. The record that a worker
/// died on is reported as done if it was committed.
pub(super) fn settled(parcel: Parcel, group: &Group, fates: &[Fate]) -> Vec<Frame<SlaveToMaster>> {
    let Parcel { frame, outcomes, is_whole, blamed } = parcel;
    match frame.head {
        SlaveToMaster::Report(head) => vec![report(head, &outcomes, is_whole, group, fates)],
        SlaveToMaster::SlotLost(ref lost) => {
            let blamed = blamed.filter(|(_, entry)| fates[*entry] == Fate::AlreadyThere);
            let done = blamed.zip(lost.blame).map(|((batch_low, _), blame)| {
                let outcome = Outcome { end: 0, batch_low, index: blame.index, status: Status::Done };
                let head = ReportHead {
                    slot: lost.slot,
                    epoch: lost.epoch,
                    batch: blame.batch,
                    all_done: false,
                    last: false,
                    busy_ns: 0,
                };
                Frame {
                    head: SlaveToMaster::Report(head),
                    table: Outcome::table([outcome]),
                    body: Bytes::new(),
                }
            });
            done.into_iter().chain([frame]).collect()
        }
        _ => vec![frame],
    }
}

fn report(
    head: ReportHead,
    outcomes: &[(Outcome, Option<usize>)],
    is_whole: bool,
    group: &Group,
    fates: &[Fate],
) -> Frame<SlaveToMaster> {
    let is_in = |entry: &Option<usize>| {
        entry.is_some_and(|entry| matches!(fates[entry], Fate::Committed | Fate::AlreadyThere))
    };
    if is_whole && outcomes.iter().all(|(_, entry)| is_in(entry)) {
        let head = ReportHead { all_done: true, ..head };
        return Frame { head: SlaveToMaster::Report(head), table: Bytes::new(), body: Bytes::new() };
    }
    let mut body = Vec::new();
    let mut judged = Vec::with_capacity(outcomes.len());
    for (outcome, entry) in outcomes {
        let mut status = outcome.status;
        match entry.map(|entry| (&fates[entry], &group.entries[entry])) {
            None => {}
            Some((Fate::Committed | Fate::AlreadyThere, _)) => status = Status::Done,
            Some((Fate::Refused(message), _)) => {
                status = Status::Rejected;
                body.extend_from_slice(cut(message).as_bytes());
            }
            Some((Fate::Again, _)) => {
                status = Status::Fatal;
                body.extend_from_slice(
                    b"its rows may be mixed with those of a record that is already in the sink",
                );
            }
            Some((Fate::Failed, entry)) => body.extend_from_slice(&entry.rows[1]),
        }
        judged.push(Outcome { end: body.len() as u64, status, ..*outcome });
    }
    let head = ReportHead { all_done: false, ..head };
    Frame { head: SlaveToMaster::Report(head), table: Outcome::table(judged), body: body.into() }
}

fn cut(message: &str) -> &str {
    let bytes = message.len().min(crate::limits::MESSAGE_BYTES_MAX);
    let end = (0..=bytes).rev().find(|end| message.is_char_boundary(*end));
    &message[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests;
