//! The table of ends, which travels beside the bytes of records: for each record the offset just past it, as
//! a little-endian `u32`. No other file knows this layout.
//!
//! Ends are counted from a start that lies some bytes, the *base*, before the first byte of the records. So a
//! part of a buffer shares the table of the whole.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of one end.
const END_BYTES: usize = 4;

/// A table that this program has made itself.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Ends(Bytes);

/// A table that is being made.
#[derive(Debug, Default)]
pub(super) struct EndsBuilder(BytesMut);

/// The ends in a table of any origin. Bytes after the last whole end are ignored.
#[inline]
pub(super) fn iter(table: &[u8]) -> impl ExactSizeIterator<Item = u32> + '_ {
    table.as_chunks::<END_BYTES>().0.iter().map(|end| u32::from_le_bytes(*end))
}

impl Ends {
    /// The table in these bytes.
    pub(super) fn of_bytes(table: Bytes) -> Self {
        Self(table)
    }

    /// The table as it travels.
    pub(super) fn into_bytes(self) -> Bytes {
        self.0
    }

    /// How many ends there are.
    pub(super) fn len(&self) -> usize {
        self.0.len() / END_BYTES
    }

    /// Whether there is no end.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One end.
    ///
    /// # Panics
    /// If there are not so many.
    pub(super) fn get(&self, index: usize) -> u32 {
        let at = index * END_BYTES;
        u32::from_le_bytes(self.0[at..at + END_BYTES].try_into().expect("an end has four bytes"))
    }

    /// Some of the ends, in the same memory.
    ///
    /// # Panics
    /// If there are not so many.
    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        Self(self.0.slice(range.start * END_BYTES..range.end * END_BYTES))
    }
}

impl EndsBuilder {
    /// Adds an end. It must be below 4 GiB.
    #[inline]
    pub(super) fn push(&mut self, end: usize) {
        self.0.put_u32_le(end as u32);
    }

    /// Whether there is no end yet.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ends so far; the builder starts anew.
    pub(super) fn take(&mut self) -> Ends {
        Ends(self.0.split().freeze())
    }
}
