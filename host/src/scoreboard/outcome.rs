//! What became of one record, as workers write it and masters read it: 16 bytes.
//!
//! ```text
//! | end: u64 | batch, low 32 bits: u32 | index: u16 | status: u8 | 0 |       little-endian
//! ```
//! `end` is where the record's span ends among the rows of the same report; it starts where the one before
//! ends. A done record's span is its rows, a failed one's is its message.

use bytes::Bytes;

use crate::ids::BatchId;

/// Bytes of an outcome.
pub(super) const OUTCOME_BYTES: usize = 16;

/// How a call for a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Done: its rows count.
    Done = 0,
    /// The task keeps it open.
    Held = 1,
    /// It is a bad record.
    Rejected = 2,
    /// The task asks for another try.
    Retry = 3,
    /// The task panicked on it.
    Panicked = 4,
    /// The task cannot go on, through no fault of the record.
    Fatal = 5,
}

impl Status {
    fn from_byte(byte: u8) -> Option<Self> {
        const ALL: [Status; 6] =
            [Status::Done, Status::Held, Status::Rejected, Status::Retry, Status::Panicked, Status::Fatal];
        ALL.get(usize::from(byte)).copied()
    }
}

/// One record's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Where its span ends among the rows of the report.
    pub end: u64,
    /// The low 32 bits of its batch's number: unique among the batches of one slot.
    pub batch_low: u32,
    /// Its place in the batch.
    pub index: u16,
    /// How it ended.
    pub status: Status,
}

impl Outcome {
    /// As a worker writes it into its scoreboard.
    #[inline]
    pub(super) fn to_words(self) -> [u64; 2] {
        let record = u64::from(self.batch_low) | u64::from(self.index) << 32 | (self.status as u64) << 48;
        [self.end, record]
    }

    /// As a peer sent it; `None` if the status is unknown.
    pub(super) fn from_bytes(bytes: [u8; OUTCOME_BYTES]) -> Option<Self> {
        let number = u128::from_le_bytes(bytes);
        Some(Self {
            end: number as u64,
            batch_low: (number >> 64) as u32,
            index: (number >> 96) as u16,
            status: Status::from_byte((number >> 112) as u8)?,
        })
    }

    /// A report's table.
    pub fn table(outcomes: impl IntoIterator<Item = Self>) -> Bytes {
        let outcomes = outcomes.into_iter();
        let mut table = Vec::with_capacity(outcomes.size_hint().0 * OUTCOME_BYTES);
        for [end, record] in outcomes.map(Self::to_words) {
            table.extend_from_slice(&end.to_le_bytes());
            table.extend_from_slice(&record.to_le_bytes());
        }
        table.into()
    }

    /// Whether a report's table has that many outcomes.
    pub(crate) fn is_table_of(table: &[u8], outcomes: usize) -> bool {
        table.len() == outcomes * OUTCOME_BYTES
    }

    /// One outcome of a report's table; `None` if it is invalid, or the table has not so many.
    pub(crate) fn nth(table: &[u8], index: usize) -> Option<Self> {
        let bytes = table.get(index * OUTCOME_BYTES..)?.first_chunk()?;
        Self::from_bytes(*bytes)
    }

    /// All outcomes of a report's table; `None` in place of an invalid one.
    pub fn all(table: &[u8]) -> impl Iterator<Item = Option<Self>> + '_ {
        let (outcomes, rest) = table.as_chunks::<OUTCOME_BYTES>();
        let rest = if rest.is_empty() { None } else { Some(None) };
        outcomes.iter().map(|bytes| Self::from_bytes(*bytes)).chain(rest)
    }

    /// Whether it is an outcome of a record of that batch.
    pub fn is_of(&self, batch: BatchId) -> bool {
        self.batch_low == batch.0 as u32
    }
}

/// Cuts the rows of a report into the spans of its outcomes, one after the other.
#[derive(Debug)]
pub(crate) struct Spans {
    rows: Bytes,
    start: usize,
}

impl Spans {
    /// The rows and messages of a report.
    pub(crate) fn of(rows: Bytes) -> Self {
        Self { rows, start: 0 }
    }

    /// The span of the next outcome, in the same memory; `None` if it ends before it starts, or after the
    /// rows.
    pub(crate) fn next(&mut self, outcome: &Outcome) -> Option<Bytes> {
        let end =
            usize::try_from(outcome.end).ok().filter(|end| (self.start..=self.rows.len()).contains(end))?;
        let start = std::mem::replace(&mut self.start, end);
        Some(self.rows.slice(start..end))
    }

    /// What comes after the last span: rows that belong to no record.
    pub(crate) fn rest(self) -> Bytes {
        self.rows.slice(self.start..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_as_it_was_written() {
        let outcome = Outcome { end: 1 << 40, batch_low: 0xfedc_ba98, index: 65_535, status: Status::Fatal };
        let bytes = Outcome::table([outcome]);
        assert_eq!(Outcome::nth(&bytes, 0), Some(outcome));
        assert_eq!(Outcome::nth(&bytes, 1), None);
        assert_eq!(Outcome::all(&bytes).collect::<Vec<_>>(), [Some(outcome)]);
        assert_eq!(Outcome::all(&bytes[..15]).collect::<Vec<_>>(), [None]);
        assert_eq!(Outcome::from_bytes([0xff; OUTCOME_BYTES]), None);
    }

    #[test]
    fn spans_follow_each_other_and_stay_within_the_rows() {
        let outcome = |end| Outcome { end, batch_low: 0, index: 0, status: Status::Done };
        let mut spans = Spans::of(Bytes::from_static(b"aabbb!"));
        assert_eq!(spans.next(&outcome(2)).unwrap(), "aa");
        for wrong in [1, 7, u64::MAX] {
            assert_eq!(spans.next(&outcome(wrong)), None);
        }
        assert_eq!(spans.next(&outcome(5)).unwrap(), "bbb");
        assert_eq!(spans.next(&outcome(5)).unwrap(), "");
        assert_eq!(spans.rest(), "!");
    }
}
