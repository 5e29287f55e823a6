//! The rows of a batch whose records do not follow each other in the input, as one report brings them: most
//! reports of a partitioned run are such. Pure. It hands rows out run by run and allocates nothing per
//! record.

use std::ops::Range;

use bytes::Bytes;

use crate::ids::{BatchId, Seq};
use crate::scoreboard::{Outcome, Status};

/// A batch of which every record is done, and whose rows are not all handed out.
#[derive(Debug)]
pub(super) struct Strand {
    /// The records' numbers, in ascending order.
    seqs: Vec<Seq>,
    /// Where each record's rows end, as [`Outcome`]s.
    table: Bytes,
    rows: Bytes,
    /// The record whose rows come next.
    at: usize,
}

impl Strand {
    /// Whether a report on a batch says that all of its records are done, in their order, and says so of
    /// nothing else. Their numbers must rise.
    pub(super) fn fits(batch: BatchId, seqs: &[Seq], table: &[u8], rows: &[u8]) -> bool {
        let mut end = 0;
        let mut is_next = |(index, outcome): (usize, Option<Outcome>)| {
            let Some(outcome) = outcome else { return false };
            let starts_at = std::mem::replace(&mut end, outcome.end);
            outcome.is_of(batch)
                && usize::from(outcome.index) == index
                && outcome.status == Status::Done
                && starts_at <= outcome.end
        };
        !seqs.is_empty()
            && Outcome::is_table_of(table, seqs.len())
            && seqs.is_sorted_by(|a, b| a < b)
            && Outcome::all(table).enumerate().all(&mut is_next)
            && end == rows.len() as u64
    }

    /// Records with such a report: see [`fits`](Self::fits).
    pub(super) fn new(seqs: Vec<Seq>, table: Bytes, rows: Bytes) -> Self {
        Self { seqs, table, rows, at: 0 }
    }

    /// The number of the record whose rows come next; `None` if all are handed out.
    pub(super) fn next(&self) -> Option<Seq> {
        self.seqs.get(self.at).copied()
    }

    /// Hands out the rows of the next record, and of those that follow it without a gap: how many records
    /// these are, and their rows.
    pub(super) fn take_run(&mut self) -> (u64, &[u8]) {
        let first = self.at;
        let follows = |pair: &&[Seq]| pair[1] == pair[0].plus(1);
        let more = self.seqs[first..].windows(2).take_while(follows).count();
        self.at = first + 1 + more;
        (self.at as u64 - first as u64, &self.rows[self.span(first..self.at)])
    }

    /// The memory that its rows and tables take.
    pub(super) fn cost(&self) -> usize {
        self.rows.len() + self.table.len() + size_of_val(&self.seqs[..])
    }

    fn span(&self, records: Range<usize>) -> Range<usize> {
        let end_of = |before: usize| before.checked_sub(1).map_or(0, |index| self.end(index));
        end_of(records.start)..end_of(records.end)
    }

    fn end(&self, index: usize) -> usize {
        Outcome::nth(&self.table, index).expect("the table was found to fit").end as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: BatchId = BatchId(7);

    fn table(ends: &[u64], status: Status) -> Bytes {
        let outcome =
            |(index, end): (usize, &u64)| Outcome { end: *end, batch_low: 7, index: index as u16, status };
        Outcome::table(ends.iter().enumerate().map(outcome))
    }

    #[test]
    fn rows_come_run_by_run() {
        let seqs = [3, 4, 9].map(Seq);
        let (ends, rows) = (table(&[2, 2, 5], Status::Done), Bytes::from_static(b"a\ni-\n"));
        assert!(Strand::fits(BATCH, &seqs, &ends, &rows));
        let mut strand = Strand::new(seqs.to_vec(), ends, rows);
        assert_eq!((strand.next(), strand.take_run()), (Some(Seq(3)), (2, &b"a\n"[..])));
        assert_eq!((strand.next(), strand.take_run()), (Some(Seq(9)), (1, &b"i-\n"[..])));
        assert_eq!(strand.next(), None);
    }

    #[test]
    fn a_report_that_says_anything_else_does_not_fit() {
        let seqs = [3, 9].map(Seq);
        let fits = |seqs: &[Seq], ends: &[u64], status, rows: &[u8]| {
            Strand::fits(BATCH, seqs, &table(ends, status), rows)
        };
        assert!(fits(&seqs, &[2, 4], Status::Done, b"a\nb\n"));
        assert!(!fits(&seqs, &[2, 4], Status::Held, b"a\nb\n"), "a record is not done");
        assert!(!fits(&seqs, &[2], Status::Done, b"a\n"), "a record is missing");
        assert!(!fits(&seqs, &[4, 2], Status::Done, b"a\nb\n"), "an end lies before its start");
        assert!(!fits(&seqs, &[2, 3], Status::Done, b"a\nb\n"), "rows are left that are no record's");
        assert!(!fits(&seqs, &[2, 5], Status::Done, b"a\nb\n"), "an end lies after the rows");
        assert!(!fits(&[Seq(9), Seq(3)], &[2, 4], Status::Done, b"a\nb\n"), "the numbers do not rise");
        assert!(
            !Strand::fits(BatchId(8), &seqs, &table(&[2, 4], Status::Done), b"a\nb\n"),
            "another batch's"
        );
    }
}
