//! The numbers of a batch's records in few bytes: as ranges, each counted from the end of the one before.

use serde::{Deserialize, Serialize};

use crate::ids::Seq;

/// The numbers of records, in the order of the records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SeqRanges(Vec<(i64, u64)>);

impl SeqRanges {
    /// Records that follow each other.
    pub fn from_first(first: Seq, records: usize) -> Self {
        let mut ranges = Self::default();
        ranges.push(first, records as u64, 0);
        ranges
    }

    /// Each record's number; `None` if these are the numbers of more or fewer records.
    pub fn expand(&self, records: usize) -> Option<BatchSeqs> {
        let mut total = 0_u64;
        for (_, length) in &self.0 {
            total = total.checked_add(*length)?;
        }
        if total != records as u64 {
            return None;
        }
        match self.0[..] {
            [] => Some(BatchSeqs::From(0)),
            [(first, _)] => Some(BatchSeqs::From(first as u64)),
            _ => Some(BatchSeqs::Each(self.each().collect())),
        }
    }

    /// The first record of each range, and how many there are.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut end = 0_u64;
        self.0.iter().map(move |(gap, length)| {
            let first = end.wrapping_add_signed(*gap);
            end = first.wrapping_add(*length);
            (first, *length)
        })
    }

    /// Each record's number, one after the other.
    fn each(&self) -> impl Iterator<Item = u64> {
        self.ranges().flat_map(|(first, length)| (0..length).map(move |number| first.wrapping_add(number)))
    }

    fn push(&mut self, first: Seq, records: u64, end: u64) {
        if records > 0 {
            self.0.push((first.0.wrapping_sub(end) as i64, records));
        }
    }
}

impl FromIterator<Seq> for SeqRanges {
    fn from_iter<I: IntoIterator<Item = Seq>>(seqs: I) -> Self {
        let mut ranges = Self::default();
        let (mut first, mut records, mut before) = (0, 0, 0);
        for seq in seqs {
            if records > 0 && seq.0 == first + records {
                records += 1;
                continue;
            }
            ranges.push(Seq(first), records, before);
            before = first + records;
            (first, records) = (seq.0, 1);
        }
        ranges.push(Seq(first), records, before);
        ranges
    }
}

/// The numbers of a batch's records, to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchSeqs {
    /// One after the other, from this one.
    From(u64),
    /// Each its own.
    Each(Vec<u64>),
}

impl BatchSeqs {
    /// The number of a record; `None` if it is not known.
    pub fn get(&self, index: u16) -> Option<u64> {
        match self {
            Self::From(first) => first.checked_add(index.into()),
            Self::Each(seqs) => seqs.get(usize::from(index)).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(seqs in prop::collection::vec(0..40_u64, 0..30)) {
            let ranges: SeqRanges = seqs.iter().copied().map(Seq).collect();
            let bytes = postcard::to_stdvec(&ranges).unwrap();
            let read: SeqRanges = postcard::from_bytes(&bytes).unwrap();
            let batch = read.expand(seqs.len()).unwrap();
            let out: Vec<_> = (0..seqs.len()).map(|index| batch.get(index as u16).unwrap()).collect();
            prop_assert_eq!(out, seqs);
        }

        #[test]
        fn no_ranges_make_it_panic(ranges in prop::collection::vec((any::<i64>(), any::<u64>()), 0..5), records in 0..99_usize) {
            let _ = SeqRanges(ranges).expand(records);
        }
    }

    #[test]
    fn records_that_follow_each_other_are_one_range() {
        let ranges = SeqRanges::from_first(Seq(7), 3);
        assert_eq!(ranges, [Seq(7), Seq(8), Seq(9)].into_iter().collect());
        assert_eq!(ranges.expand(3), Some(BatchSeqs::From(7)));
        assert_eq!(ranges.expand(2), None);
        assert_eq!(postcard::to_stdvec(&SeqRanges::default()).unwrap(), [0], "nothing costs one byte");
    }
}
