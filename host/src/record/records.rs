//! Many records in one buffer, shared without a copy: bytes, and where each record ends.
//!
//! A record here includes its terminator, if it had one; `Format::content` takes it off. The ends are kept as
//! they travel, so a batch is sent without being encoded again.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::ends::{Ends, EndsBuilder};

/// A run of records in one shared buffer.
///
/// The ends are counted from a start that lies `base` bytes before the first byte of `data`, so a slice
/// shares its parent's table.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Records {
    data: Bytes,
    ends: Ends,
    base: u32,
}

/// Records in the three parts in which they travel: the first in the head of a frame, the others as its table
/// and its body.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Where the count of the ends starts, in bytes before the first byte of the records.
    pub base: u32,
    /// The table of ends.
    pub table: Bytes,
    /// The records, terminators included.
    pub data: Bytes,
}

impl Records {
    /// Records whose ends are counted from the first byte of `data`.
    ///
    /// # Panics
    /// If the last end is not the length of `data`.
    pub(super) fn new(data: Bytes, ends: Ends) -> Self {
        Self::with_base(data, ends, 0)
    }

    /// Records that were taken apart before.
    ///
    /// # Panics
    /// If the last end is not the length of the data: this is for parts of this program's own making. What a
    /// peer sends is read as [`RawRecords`](super::RawRecords).
    pub(crate) fn of_parts(Parts { base, table, data }: Parts) -> Self {
        Self::with_base(data, Ends::of_bytes(table), base)
    }

    /// The records as they travel, without a copy.
    pub(crate) fn into_parts(self) -> Parts {
        Parts { base: self.base, table: self.ends.into_bytes(), data: self.data }
    }

    fn with_base(data: Bytes, ends: Ends, base: u32) -> Self {
        let records = Self { data, ends, base };
        assert!(records.is_consistent_at_the_end(), "the last end is the length of the data");
        records
    }

    fn is_consistent_at_the_end(&self) -> bool {
        let end = self.len().checked_sub(1).map_or(self.base, |last| self.ends.get(last));
        end.checked_sub(self.base) == u32::try_from(self.data.len()).ok()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all records, terminators included.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// One record, terminator included.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn get(&self, index: usize) -> &[u8] {
        &self.data[self.range(index..index + 1)]
    }

    /// One record, terminator included, that keeps the shared buffer alive.
    pub fn get_shared(&self, index: usize) -> Bytes {
        self.data.slice(self.range(index..index + 1))
    }

    /// All records in order, terminators included.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Some of the records, sharing this buffer.
    ///
    /// # Panics
    /// If the range reaches past the last record.
    pub fn slice(&self, records: Range<usize>) -> Self {
        let bytes = self.range(records.clone());
        Self {
            base: self.base + bytes.start as u32,
            data: self.data.slice(bytes),
            ends: self.ends.slice(records),
        }
    }

    /// Takes the first records off: as many as fit in `bytes_max` and `records_max`, and at least one.
    pub fn split_off_front(&mut self, records_max: usize, bytes_max: usize) -> Self {
        let within = |index: usize| (self.ends.get(index) - self.base) as usize <= bytes_max;
        let (mut low, mut high) = (0, self.len().min(records_max));
        while low < high {
            let middle = low + (high - low) / 2;
            if within(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let taken = low.max(1).min(self.len());
        let front = self.slice(0..taken);
        *self = self.slice(taken..self.len());
        front
    }

    /// Where records lie in `data`.
    fn range(&self, records: Range<usize>) -> Range<usize> {
        let start = records.start.checked_sub(1).map_or(self.base, |before| self.ends.get(before));
        let end = records.end.checked_sub(1).map_or(self.base, |last| self.ends.get(last));
        (start - self.base) as usize..(end - self.base) as usize
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Records({} records, {} bytes)", self.len(), self.data.len())
    }
}

/// Puts records into one buffer, one after the other.
#[derive(Debug, Default)]
pub(crate) struct RecordsBuilder {
    data: BytesMut,
    ends: EndsBuilder,
}

impl RecordsBuilder {
    /// Adds one record, terminator included.
    pub(crate) fn push(&mut self, record: &[u8]) {
        self.data.put_slice(record);
        self.ends.push(self.data.len());
    }

    /// Whether there is no record.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All records so far; the builder starts anew.
    pub(crate) fn take(&mut self) -> Records {
        Records::new(self.data.split().freeze(), self.ends.take())
    }
}

impl<R: AsRef<[u8]>> FromIterator<R> for Records {
    fn from_iter<I: IntoIterator<Item = R>>(records: I) -> Self {
        let mut builder = RecordsBuilder::default();
        for record in records {
            builder.push(record.as_ref());
        }
        builder.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_shares_the_buffer_and_keeps_each_record() {
        let records = Records::from_iter(["a\n", "\n", "ccc\n", "dd"]);
        let slice = records.slice(1..4).slice(1..3);
        assert_eq!(slice.iter().collect::<Vec<_>>(), [&b"ccc\n"[..], b"dd"]);
        assert_eq!(slice.data().as_ptr(), records.data()[3..].as_ptr());
        assert_eq!((slice.len(), slice.into_parts().base), (2, 3));
    }

    #[test]
    fn the_front_fits_the_limits_and_is_never_empty() {
        let mut records = Records::from_iter(["aaaa", "b", "c", "d"]);
        assert_eq!(records.split_off_front(10, 2).len(), 1);
        assert_eq!(records.split_off_front(10, 2).len(), 2);
        assert_eq!(records.split_off_front(10, 2).len(), 1);
        assert!(records.is_empty());
    }
}
