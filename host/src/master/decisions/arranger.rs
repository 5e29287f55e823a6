//! Puts rows into the order of the input, if the run keeps order; otherwise lets them pass. Pure.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::action::ReadyRows;
use super::range_set::RangeSet;
use super::strand::Strand;
use crate::ids::Seq;

/// Bytes of rows that may wait for an older record before no more input is read: a slow record must not fill
/// the memory with its successors' rows.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a piece costs beside its rows, roughly: many records without rows must not fill the memory either.
const PIECE_BYTES: usize = 128;

/// Rows of fewer bytes are copied when they must wait, or when they come out of a strand.
const SHARED_BYTES_MIN: usize = 8 * 1024;

/// Rows that may be written now, and those that must wait.
#[derive(Debug)]
pub(super) struct Arranger {
    keep_order: bool,
    /// The record whose rows come next.
    next: Seq,
    /// What waits, by the record that comes first in it.
    waiting: BTreeMap<Seq, Waiting>,
    waiting_bytes: usize,
    /// When so much waits, no more should be read.
    full_at: usize,
    /// Rows that belong to no record: they come last.
    loose: Vec<Bytes>,
    ready: Vec<Bytes>,
    /// Records that are done, of whose rows none waits any more, and which were not told yet.
    records_ready: u64,
    /// Rows that were copied out of strands, and come after those that are ready.
    gathered: BytesMut,
    /// Records that were finished since they were last asked for, and have no rows that wait; `None` in a
    /// run without a journal, which never asks.
    finished: Option<RangeSet>,
}

/// What waits for an older record.
#[derive(Debug)]
enum Waiting {
    Piece(RowsPiece),
    Strand(Strand),
}

/// The rows of some records that follow each other.
#[derive(Debug)]
struct RowsPiece {
    records: u64,
    rows: Vec<Bytes>,
}

impl RowsPiece {
    /// The memory that it takes, with what it costs beside its rows.
    fn cost(&self) -> usize {
        PIECE_BYTES + self.rows.iter().map(Bytes::len).sum::<usize>()
    }
}

/// Rows that must wait do not keep a whole buffer of the network alive for a few bytes.
fn unshared(rows: Bytes) -> Bytes {
    if rows.len() < SHARED_BYTES_MIN { Bytes::copy_from_slice(&rows) } else { rows }
}

impl Arranger {
    /// One that keeps order, or does not.
    pub(super) fn new(keep_order: bool) -> Self {
        Self {
            finished: None,
            keep_order,
            next: Seq(0),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            full_at: WAITING_BYTES_MAX,
            loose: Vec::new(),
            ready: Vec::new(),
            records_ready: 0,
            gathered: BytesMut::new(),
        }
    }

    /// One that goes on after runs that have finished these records, and notes which are finished from now
    /// on.
    pub(super) fn resume(keep_order: bool, earlier: &RangeSet) -> Self {
        let mut arranger = Self::new(keep_order);
        if keep_order {
            for (first, records) in earlier.iter() {
                let piece = RowsPiece { records, rows: Vec::new() };
                arranger.wait(first, piece);
            }
            arranger.release();
            // What waits from the start must not keep the record that it waits for from being read.
            arranger.full_at += arranger.waiting_bytes;
        }
        Self { finished: Some(RangeSet::default()), ..arranger }
    }

    /// Records from `first` on are finished, with these rows.
    pub(super) fn finish(&mut self, first: Seq, records: usize, rows: impl IntoIterator<Item = Bytes>) {
        let rows = rows.into_iter().filter(|rows| !rows.is_empty());
        if !self.keep_order {
            self.ready.extend(rows);
            self.note(first, records as u64);
        } else if first == self.next {
            rows.for_each(|rows| self.hand_out(rows));
            self.note(first, records as u64);
            self.next = first.plus(records);
            self.release();
        } else {
            let rows: Vec<_> = rows.map(unshared).collect();
            if rows.is_empty() {
                // None of their rows wait, so none can be lost. This is so for every record that failed.
                self.note(first, records as u64);
            }
            self.wait(first, RowsPiece { records: records as u64, rows });
        }
    }

    /// A record has failed: it has no rows.
    pub(super) fn fail(&mut self, record: Seq) {
        self.finish(record, 1, []);
        // It was noted as finished at once, because none of its rows waits; but it is not done.
        self.records_ready -= 1;
    }

    /// The records of a strand are finished. Only a run that keeps order has any.
    pub(super) fn finish_strand(&mut self, strand: Strand) {
        let Some(first) = strand.next() else { return };
        self.waiting_bytes += PIECE_BYTES + strand.cost();
        self.waiting.insert(first, Waiting::Strand(strand));
        self.release();
    }

    /// Rows that a task emitted for the run as a whole.
    pub(super) fn add_loose(&mut self, rows: Bytes) {
        if self.keep_order {
            self.loose.push(rows);
        } else {
            self.ready.push(rows);
        }
    }

    /// The records that were finished since the last call, with all their rows handed out. None while rows
    /// wait that belong to no record: they could be the rows of finished records.
    pub(super) fn take_finished(&mut self) -> RangeSet {
        if !self.loose.is_empty() {
            return RangeSet::default();
        }
        self.finished.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether so much waits that no more should be read.
    pub(super) fn is_full(&self) -> bool {
        self.waiting_bytes >= self.full_at
    }

    /// The rows that may be written now. No record is done while rows wait that belong to none: they could be
    /// its rows.
    pub(super) fn take_ready(&mut self) -> ReadyRows {
        self.close_gathered();
        let records = if self.loose.is_empty() { std::mem::take(&mut self.records_ready) } else { 0 };
        ReadyRows { rows: std::mem::take(&mut self.ready), records }
    }

    /// At the end of a run: what is left.
    ///
    /// # Panics
    /// If rows still wait for a record: then the run is not at its end.
    pub(super) fn take_last(&mut self) -> ReadyRows {
        assert!(self.waiting.is_empty(), "at the end no rows wait for a record");
        self.ready.append(&mut self.loose);
        self.take_ready()
    }

    fn release(&mut self) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() == self.next) {
            match entry.remove() {
                Waiting::Piece(piece) => self.release_piece(piece),
                Waiting::Strand(strand) => self.release_run(strand),
            }
        }
    }

    fn release_piece(&mut self, piece: RowsPiece) {
        self.waiting_bytes -= piece.cost();
        // Without rows they were noted when they were finished.
        if !piece.rows.is_empty() {
            self.note(self.next, piece.records);
        }
        self.next = Seq(self.next.0 + piece.records);
        piece.rows.into_iter().for_each(|rows| self.hand_out(rows));
    }

    /// Hands out what a strand has now; the rest of it goes on waiting.
    fn release_run(&mut self, mut strand: Strand) {
        let (records, rows) = strand.take_run();
        self.gathered.extend_from_slice(rows);
        self.note(self.next, records);
        self.next = Seq(self.next.0 + records);
        match strand.next() {
            None => self.waiting_bytes -= PIECE_BYTES + strand.cost(),
            Some(next) => drop(self.waiting.insert(next, Waiting::Strand(strand))),
        }
    }

    fn wait(&mut self, first: Seq, piece: RowsPiece) {
        self.waiting_bytes += piece.cost();
        self.waiting.insert(first, Waiting::Piece(piece));
    }

    fn hand_out(&mut self, rows: Bytes) {
        if rows.len() < SHARED_BYTES_MIN && !self.gathered.is_empty() {
            self.gathered.extend_from_slice(&rows);
        } else {
            self.close_gathered();
            self.ready.push(rows);
        }
    }

    fn close_gathered(&mut self) {
        if !self.gathered.is_empty() {
            self.ready.push(self.gathered.split().freeze());
        }
    }

    fn note(&mut self, first: Seq, records: u64) {
        self.records_ready += records;
        if let Some(finished) = &mut self.finished {
            finished.insert(first, records);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::{Outcome, Status};

    fn rows(arranger: &mut Arranger) -> String {
        arranger.take_ready().rows.iter().map(|rows| String::from_utf8_lossy(rows).into_owned()).collect()
    }

    #[test]
    fn rows_come_out_in_the_order_of_their_records() {
        let mut arranger = Arranger::new(true);
        arranger.finish(Seq(3), 2, [Bytes::from_static(b"de")]);
        arranger.finish(Seq(1), 1, [Bytes::from_static(b"b")]);
        assert_eq!(rows(&mut arranger), "");
        arranger.finish(Seq(0), 1, [Bytes::from_static(b"a")]);
        assert_eq!(rows(&mut arranger), "ab");
        arranger.add_loose(Bytes::from_static(b"!"));
        arranger.finish(Seq(2), 1, []);
        assert_eq!(rows(&mut arranger), "de");
        assert_eq!(arranger.take_last().rows, ["!"]);
    }

    #[test]
    fn a_record_is_done_when_its_rows_come_out_and_a_failed_one_never() {
        let mut arranger = Arranger::new(true);
        arranger.finish(Seq(1), 2, [Bytes::from_static(b"bc")]);
        arranger.fail(Seq(4));
        arranger.finish(Seq(5), 1, []);
        assert_eq!(arranger.take_ready().records, 1, "the one without rows");
        arranger.finish(Seq(0), 1, [Bytes::from_static(b"a")]);
        assert_eq!(arranger.take_ready().records, 3);
        arranger.add_loose(Bytes::from_static(b"sum"));
        arranger.finish(Seq(3), 1, []);
        assert_eq!(arranger.take_ready().records, 0, "the sum could be its row");
        assert_eq!(arranger.take_last(), ReadyRows { rows: vec!["sum".into()], records: 1 });
    }

    fn finished(arranger: &mut Arranger) -> Vec<(u64, u64)> {
        arranger.take_finished().iter().map(|(first, records)| (first.0, records)).collect()
    }

    #[test]
    fn strands_are_woven_into_each_other_and_into_pieces() {
        let strand = |seqs: &[u64], rows: &'static str| {
            let outcome = |(index, end): (usize, u64)| Outcome {
                end,
                batch_low: 0,
                index: index as u16,
                status: Status::Done,
            };
            let ends = Outcome::table((1..=seqs.len() as u64).enumerate().map(outcome));
            Strand::new(seqs.iter().copied().map(Seq).collect(), ends, Bytes::from_static(rows.as_bytes()))
        };
        let mut arranger = Arranger::resume(true, &RangeSet::default());
        arranger.finish_strand(strand(&[1, 2, 5, 9], "bcfj"));
        arranger.finish(Seq(4), 1, [Bytes::from_static(b"e")]);
        assert_eq!(rows(&mut arranger), "");
        arranger.finish_strand(strand(&[0, 3], "ad"));
        assert_eq!(rows(&mut arranger), "abcdef");
        assert_eq!(finished(&mut arranger), [(0, 6)]);
        arranger.finish_strand(strand(&[7, 8], "hi"));
        arranger.finish(Seq(6), 1, []);
        assert_eq!(rows(&mut arranger), "hij");
        assert_eq!(finished(&mut arranger), [(6, 4)]);
        assert_eq!(arranger.waiting_bytes, 0);
    }

    #[test]
    fn a_record_counts_as_finished_when_none_of_its_rows_waits() {
        let mut arranger = Arranger::resume(true, &RangeSet::default());
        arranger.finish(Seq(2), 1, [Bytes::from_static(b"c")]);
        arranger.finish(Seq(4), 1, []);
        assert_eq!(finished(&mut arranger), [(4, 1)], "a record without rows has nothing that waits");
        arranger.finish(Seq(0), 2, [Bytes::from_static(b"ab")]);
        assert_eq!(finished(&mut arranger), [(0, 3)]);
        arranger.finish(Seq(3), 1, [Bytes::from_static(b"d")]);
        assert_eq!(finished(&mut arranger), [(3, 1)], "and none counts twice");
        assert_eq!(rows(&mut arranger), "abcd");
    }

    #[test]
    fn rows_of_no_record_keep_records_from_counting() {
        let mut arranger = Arranger::resume(true, &RangeSet::default());
        arranger.finish(Seq(0), 1, []);
        arranger.add_loose(Bytes::from_static(b"sum"));
        assert_eq!(finished(&mut arranger), []);
        assert_eq!(arranger.take_last().rows, ["sum"]);
        assert_eq!(finished(&mut arranger), [(0, 1)]);
    }

    #[test]
    fn what_earlier_runs_have_finished_is_passed_over() {
        let mut earlier = RangeSet::default();
        earlier.insert(Seq(0), 2);
        earlier.insert(Seq(3), 1);
        let mut arranger = Arranger::resume(true, &earlier);
        arranger.finish(Seq(4), 1, [Bytes::from_static(b"e")]);
        assert_eq!(rows(&mut arranger), "");
        arranger.finish(Seq(2), 1, [Bytes::from_static(b"c")]);
        assert_eq!(rows(&mut arranger), "ce");
        assert_eq!(finished(&mut arranger), [(2, 1), (4, 1)]);
    }

    #[test]
    fn what_waits_is_bounded_and_keeps_no_large_buffer_alive() {
        let mut arranger = Arranger::new(true);
        let buffer = Bytes::from(vec![b'x'; 1 << 20]);
        arranger.finish(Seq(1), 1, [buffer.slice(0..10)]);
        assert!(buffer.is_unique(), "a small row is copied");
        let enough = (WAITING_BYTES_MAX / PIECE_BYTES) as u64;
        for seq in 2..=enough {
            arranger.finish(Seq(seq), 1, []);
        }
        assert!(arranger.is_full(), "many records without rows fill it, too");
        arranger.finish(Seq(0), 1, []);
        assert!(!arranger.is_full());
    }

    #[test]
    fn what_earlier_runs_have_finished_never_keeps_the_next_record_from_being_read() {
        let mut earlier = RangeSet::default();
        (0..=(WAITING_BYTES_MAX / PIECE_BYTES) as u64)
            .for_each(|range| earlier.insert(Seq(1 + 2 * range), 1));
        let mut arranger = Arranger::resume(true, &earlier);
        assert!(!arranger.is_full());
        arranger.finish(Seq(2), 1, [Bytes::from(vec![0; WAITING_BYTES_MAX])]);
        assert!(arranger.is_full());
    }

    #[test]
    fn without_order_rows_pass_at_once() {
        let mut arranger = Arranger::new(false);
        arranger.finish(Seq(9), 1, [Bytes::from_static(b"x")]);
        assert_eq!(rows(&mut arranger), "x");
    }
}
