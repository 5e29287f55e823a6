//! What became of one record, as workers write it and masters read it: 16 bytes.
//!
//! ```text
//! | end: u64 | batch, low 32 bits: u32 | index: u16 | status: u8 | 0 |       little-endian
//! ```
//! `end` is where the record's span ends among the rows of the same report; it starts where the one before
//! ends. A done record's span is its rows, a failed one's is its message.

use crate::ids::BatchId;

/// Bytes of an outcome.
pub(crate) const OUTCOME_BYTES: usize = 16;

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
    /// As it is written.
    #[inline]
    pub fn to_words(self) -> [u64; 2] {
        let record = u64::from(self.batch_low) | u64::from(self.index) << 32 | (self.status as u64) << 48;
        [self.end, record]
    }

    /// As a peer sent it.
    ///
    /// # Errors
    /// `None` if the status is unknown.
    pub fn from_bytes(bytes: [u8; OUTCOME_BYTES]) -> Option<Self> {
        let number = u128::from_le_bytes(bytes);
        Some(Self {
            end: number as u64,
            batch_low: (number >> 64) as u32,
            index: (number >> 96) as u16,
            status: Status::from_byte((number >> 112) as u8)?,
        })
    }

    /// All outcomes of a report's table.
    ///
    /// # Errors
    /// `None` in place of an outcome that is none.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_as_it_was_written() {
        let outcome = Outcome { end: 1 << 40, batch_low: 0xfedc_ba98, index: 65_535, status: Status::Fatal };
        let bytes: Vec<u8> = outcome.to_words().iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(Outcome::all(&bytes).collect::<Vec<_>>(), [Some(outcome)]);
        assert_eq!(Outcome::all(&bytes[..15]).collect::<Vec<_>>(), [None]);
        assert_eq!(Outcome::from_bytes([0xff; OUTCOME_BYTES]), None);
    }
}
