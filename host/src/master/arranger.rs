//! Puts rows into the order of the input, if the run keeps order; otherwise lets them pass. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::ids::Seq;

/// Bytes of rows that may wait for an older record before no more input is read: a slow record must not fill
/// the memory with its successors' rows.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rows that may be written now, and those that must wait.
#[derive(Debug)]
pub struct Arranger {
    keep_order: bool,
    /// The record whose rows come next.
    next: Seq,
    waiting: BTreeMap<Seq, Piece>,
    waiting_bytes: usize,
    /// Rows that belong to no record: they come last.
    loose: Vec<Bytes>,
    ready: Vec<Bytes>,
}

/// The rows of some records that follow each other.
#[derive(Debug)]
struct Piece {
    records: u64,
    rows: Vec<Bytes>,
}

impl Arranger {
    /// Keeps order, or does not.
    pub fn new(keep_order: bool) -> Self {
        Self {
            keep_order,
            next: Seq(0),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            loose: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// Records from `first` on are finished, with these rows.
    pub fn finish(&mut self, first: Seq, records: usize, rows: impl IntoIterator<Item = Bytes>) {
        let rows = rows.into_iter().filter(|rows| !rows.is_empty());
        if !self.keep_order {
            self.ready.extend(rows);
        } else if first == self.next {
            self.ready.extend(rows);
            self.next = first.plus(records);
            self.release();
        } else {
            let rows: Vec<_> = rows.collect();
            self.waiting_bytes += rows.iter().map(Bytes::len).sum::<usize>();
            self.waiting.insert(first, Piece { records: records as u64, rows });
        }
    }

    /// Rows that a task emitted for the run as a whole.
    pub fn add_loose(&mut self, rows: Bytes) {
        if self.keep_order {
            self.loose.push(rows);
        } else {
            self.ready.push(rows);
        }
    }

    /// Whether so much waits that no more should be read.
    pub fn is_full(&self) -> bool {
        self.waiting_bytes >= WAITING_BYTES_MAX
    }

    /// The rows that may be written now.
    pub fn take_ready(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.ready)
    }

    /// At the end of a run: what is left.
    ///
    /// # Panics
    /// If rows still wait for a record: then the run is not at its end.
    pub fn take_last(&mut self) -> Vec<Bytes> {
        assert!(self.waiting.is_empty(), "at the end no rows wait for a record");
        self.ready.append(&mut self.loose);
        self.take_ready()
    }

    fn release(&mut self) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() == self.next) {
            let piece = entry.remove();
            self.next = Seq(self.next.0 + piece.records);
            self.waiting_bytes -= piece.rows.iter().map(Bytes::len).sum::<usize>();
            self.ready.extend(piece.rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(arranger: &mut Arranger) -> String {
        arranger.take_ready().iter().map(|rows| String::from_utf8_lossy(rows).into_owned()).collect()
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
        assert_eq!(arranger.take_last(), ["!"]);
    }

    #[test]
    fn without_order_rows_pass_at_once() {
        let mut arranger = Arranger::new(false);
        arranger.finish(Seq(9), 1, [Bytes::from_static(b"x")]);
        assert_eq!(rows(&mut arranger), "x");
    }
}
