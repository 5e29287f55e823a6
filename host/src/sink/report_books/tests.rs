//! Reports in, entries and what is left for the master out.

use super::*;
use crate::ids::Seq;
use crate::wire::{Blame, LossKind, SeqRanges};

const SLOT: SlotIndex = SlotIndex(3);

fn books(batches: &[(u64, &[u64])]) -> ReportBooks {
    let mut books = ReportBooks::new(RunId([1; 16]));
    let up = SlaveToMaster::SlotUp { slot: SLOT, epoch: Epoch(0) };
    books.on_frame(up.into(), &mut Group::default());
    for (batch, seqs) in batches {
        give(&mut books, *batch, seqs).unwrap();
    }
    books
}

fn give(books: &mut ReportBooks, batch: u64, seqs: &[u64]) -> Result<(), &'static str> {
    let head = BatchHead {
        batch: BatchId(batch),
        slot: SLOT,
        epoch: Epoch(0),
        base: 0,
        with_row_ends: false,
        seqs: seqs.iter().copied().map(Seq).collect(),
    };
    books.on_batch(&head, seqs.len())
}

/// A report of (batch, index, status, span), and rows behind all spans.
fn said(batch: u64, last: bool, said: &[(u32, u16, Status, &str)], loose: &str) -> Frame<SlaveToMaster> {
    let mut body = String::new();
    let outcomes = said.iter().map(|(batch_low, index, status, span)| {
        body.push_str(span);
        Outcome { end: body.len() as u64, batch_low: *batch_low, index: *index, status: *status }
    });
    let table = Outcome::table(outcomes);
    body.push_str(loose);
    let batch = BatchId(batch);
    let head = ReportHead { slot: SLOT, epoch: Epoch(0), batch, all_done: false, last, busy_ns: 5 };
    Frame { head: SlaveToMaster::Report(head), table, body: body.into() }
}

/// The entries as (number, rows), and what belongs together.
fn entries(group: &Group) -> Vec<(u64, String)> {
    let text = |entry: &GroupEntry| String::from_utf8(entry.rows.concat()).unwrap();
    group.entries.iter().map(|entry| (entry.seq, text(entry))).collect()
}

/// A report as (all done, outcomes with their spans).
fn shown(frame: &Frame<SlaveToMaster>) -> (bool, Vec<(u16, Status, String)>) {
    let SlaveToMaster::Report(head) = &frame.head else { panic!("{frame:?}") };
    let mut start = 0;
    let outcomes = Outcome::all(&frame.table).map(|outcome| {
        let outcome = outcome.unwrap();
        let span = &frame.body[start..outcome.end as usize];
        start = outcome.end as usize;
        (outcome.index, outcome.status, String::from_utf8(span.to_vec()).unwrap())
    });
    (head.all_done, outcomes.collect())
}

use Status::{Done, Fatal, Held, Rejected, Retry};

#[test]
fn rows_are_committed_under_the_numbers_of_their_records_and_leave_the_report() {
    let mut books = books(&[(7, &[4, 5, 99])]);
    let mut group = Group::default();
    let parcel = books.on_frame(
        said(7, true, &[(7, 0, Done, "a\n"), (7, 1, Done, ""), (7, 2, Done, "c\n")], ""),
        &mut group,
    );
    assert_eq!(entries(&group), [(4, "a\n".into()), (5, String::new()), (99, "c\n".into())]);
    assert!(group.units.is_empty() && books.batches.is_empty());
    let fates = vec![Fate::Committed, Fate::AlreadyThere, Fate::Committed];
    let frames = settled(parcel, &group, &fates);
    assert_eq!(shown(&frames[0]), (true, vec![]));
}

#[test]
fn what_the_sink_refuses_is_rejected_and_what_is_there_is_done() {
    let mut books = books(&[(7, &[0, 1, 2, 3])]);
    let mut group = Group::default();
    let all = [(7, 0, Done, "a\n"), (7, 1, Done, "b\n"), (7, 2, Retry, "busy"), (7, 3, Rejected, "bad")];
    let parcel = books.on_frame(said(7, true, &all, ""), &mut group);
    let fates = vec![Fate::Refused("too long".into()), Fate::Again, Fate::AlreadyThere, Fate::Failed];
    assert_eq!(parcel.ended(&fates), EndedRecords { done: 1, rejected: 2 });
    let (all_done, outcomes) = shown(&settled(parcel, &group, &fates)[0]);
    assert!(!all_done);
    assert_eq!(outcomes[0], (0, Rejected, "too long".into()));
    assert_eq!((outcomes[1].0, outcomes[1].1), (1, Fatal));
    assert_eq!(outcomes[2..], [(2, Done, String::new()), (3, Rejected, "bad".into())]);
}

#[test]
fn rows_of_held_records_wait_for_their_end_and_a_flush_is_one_unit() {
    let mut books = books(&[(7, &[10, 11, 12])]);
    let mut group = Group::default();
    let held = [(7, 0, Done, "x\n"), (7, 1, Held, "early\n"), (7, 2, Held, "")];
    let parcel = books.on_frame(said(7, true, &held, ""), &mut group);
    assert_eq!(entries(&group), [(10, "x\n".into())]);
    let (_, outcomes) = shown(&settled(parcel, &group, &[Fate::Committed])[0]);
    assert_eq!(outcomes, [(0, Done, String::new()), (1, Held, String::new()), (2, Held, String::new())]);
    assert_eq!(books.batches.len(), 1);
    let mut group = Group::default();
    let flush = said(u64::MAX, true, &[(7, 1, Done, "sum\n"), (7, 2, Done, "")], "rest\n");
    books.on_frame(flush, &mut group);
    let token = group.entries[2].seq;
    assert!(token >= TOKENS_FROM);
    assert_eq!(entries(&group), [(11, "early\nsum\n".into()), (12, String::new()), (token, "rest\n".into())]);
    assert_eq!(group.units, vec![0..3]);
    assert!(books.batches.is_empty());
}

#[test]
fn records_that_a_call_finishes_belong_to_the_record_of_that_call() {
    let mut books = books(&[(1, &[0, 1]), (2, &[2, 3, 4])]);
    let mut group = Group::default();
    books.on_frame(said(1, true, &[(1, 0, Held, ""), (1, 1, Held, "")], ""), &mut group);
    let outcomes = [
        (2, 0, Done, "p\n"),
        (1, 0, Done, "s\n"),
        (2, 1, Done, "q\n"),
        (1, 1, Done, "t\n"),
        (2, 2, Held, ""),
    ];
    books.on_frame(said(2, true, &outcomes, ""), &mut group);
    assert_eq!(group.units, vec![1..3], "the last one stands alone");
    assert_eq!(group.pieces().collect::<Vec<_>>(), [0..1, 1..3, 3..4]);
}

#[test]
fn parts_of_a_batch_are_reported_record_by_record() {
    let mut books = books(&[(7, &[0, 1])]);
    let mut group = Group::default();
    let first = books.on_frame(said(7, false, &[(7, 0, Done, "a\n")], ""), &mut group);
    let second = books.on_frame(said(7, true, &[(7, 1, Done, "b\n")], ""), &mut group);
    let fates = [Fate::Committed, Fate::Committed];
    assert_eq!(shown(&settled(first, &group, &fates)[0]), (false, vec![(0, Done, String::new())]));
    assert_eq!(shown(&settled(second, &group, &fates)[0]), (false, vec![(1, Done, String::new())]));
    assert!(books.batches.is_empty());
}

#[test]
fn nothing_is_said_of_records_that_are_not_there() {
    let mut books = books(&[(7, &[0])]);
    let mut group = Group::default();
    let report = said(7, true, &[(8, 0, Done, "x\n"), (7, 3, Done, "y\n"), (7, 0, Done, "z\n")], "");
    let parcel = books.on_frame(report, &mut group);
    assert_eq!(entries(&group), [(0, "z\n".into())]);
    assert_eq!(shown(&settled(parcel, &group, &[Fate::Committed])[0]), (true, vec![]));
}

#[test]
fn a_record_that_kills_its_worker_is_done_if_it_was_committed_before() {
    let mut books = books(&[(7, &[40, 41]), (8, &[42])]);
    let mut group = Group::default();
    let blame = Some(Blame { batch: BatchId(7), index: 1, records: 1 });
    let lost = SlotLost { slot: SLOT, epoch: Epoch(0), blame, kind: LossKind::Crash, message: String::new() };
    let parcel = books.on_frame(SlaveToMaster::SlotLost(lost.clone()).into(), &mut group);
    assert_eq!((group.entries[0].seq, group.entries[0].task), (41, EntryTask::LookUp));
    assert!(books.batches.is_empty());
    assert_eq!(parcel.ended(&[Fate::AlreadyThere]), EndedRecords { done: 1, rejected: 0 });
    assert_eq!(parcel.ended(&[Fate::Failed]), EndedRecords::default());
    let frames = settled(parcel, &group, &[Fate::AlreadyThere]);
    assert_eq!(shown(&frames[0]), (false, vec![(1, Done, String::new())]));
    assert_eq!(frames[1].head, SlaveToMaster::SlotLost(lost));
    give(&mut books, 9, &[1]).unwrap();
    assert!(books.batches.is_empty(), "what was on its way to the lost worker is void");
}

#[test]
fn a_master_must_say_which_numbers_records_have() {
    let mut books = books(&[(7, &[0])]);
    assert!(give(&mut books, 7, &[1]).is_err());
    let head = BatchHead {
        batch: BatchId(9),
        slot: SLOT,
        epoch: Epoch(0),
        base: 0,
        with_row_ends: false,
        seqs: SeqRanges::default(),
    };
    assert!(books.on_batch(&head, 2).is_err());
}

#[test]
fn a_report_that_is_cut_short_loses_nothing() {
    let mut books = books(&[(7, &[0, 1])]);
    let mut group = Group::default();
    let mut frame = said(7, true, &[(7, 0, Done, "a\n"), (7, 1, Done, "b\n")], "");
    frame.body = frame.body.slice(..2);
    let parcel = books.on_frame(frame, &mut group);
    assert_eq!(entries(&group), [(0, "a\n".into())]);
    let (all_done, outcomes) = shown(&settled(parcel, &group, &[Fate::Committed])[0]);
    assert_eq!((all_done, outcomes.len()), (false, 1), "the master sees that one is missing");
}
