//! A set of records as ranges of their numbers: small as long as records finish nearly in order. Pure.

use std::ops::Range;

use crate::ids::Seq;

/// Records by their numbers. Ranges that touch are one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: rangemap::RangeSet<u64>,
    records: u64,
}

impl RangeSet {
    /// Adds records from `first` on. Records that are already in the set stay.
    ///
    /// # Panics
    /// If a record's number would not fit in 64 bits; see [`RangeSet::checked_insert`].
    pub fn insert(&mut self, first: Seq, records: u64) {
        self.checked_insert(first, records).expect("a run has fewer records than 64 bits can count");
    }

    /// Adds records from `first` on; `None`, and no change, if a number would not fit in 64 bits.
    pub fn checked_insert(&mut self, first: Seq, records: u64) -> Option<()> {
        let added = first.0..first.0.checked_add(records)?;
        if records > 0 {
            self.records += self.ranges.gaps(&added).map(|gap| gap.end - gap.start).sum::<u64>();
            self.ranges.insert(added);
        }
        Some(())
    }

    /// Adds all records of another set.
    pub fn extend(&mut self, other: &Self) {
        for (first, records) in other.iter() {
            self.insert(first, records);
        }
    }

    /// How many records the set has.
    pub fn len(&self) -> u64 {
        self.records
    }

    /// Whether the set has no record.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The number after the last record; zero if the set is empty.
    pub fn end(&self) -> Seq {
        Seq(self.ranges.last().map_or(0, |range| range.end))
    }

    /// The ranges in order: the first record of each, and how many records it has.
    pub fn iter(&self) -> impl Iterator<Item = (Seq, u64)> {
        self.ranges.iter().map(|range| (Seq(range.start), range.end - range.start))
    }

    /// Which of the `records` records from `first` on are missing: places counted from `first`, in order.
    pub fn gaps(&self, first: Seq, records: usize) -> Vec<Range<usize>> {
        let place = |number: u64| (number - first.0) as usize;
        let asked = first.0..first.0 + records as u64;
        self.ranges.gaps(&asked).map(|gap| place(gap.start)..place(gap.end)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers(
            inserts in prop::collection::vec((0..60_u64, 0..8_u64), 0..40),
            asked in (0..70_u64, 0..40_usize),
        ) {
            let (mut set, mut model) = (RangeSet::default(), BTreeSet::new());
            for (first, records) in inserts {
                set.insert(Seq(first), records);
                model.extend(first..first + records);
                prop_assert_eq!(set.len(), model.len() as u64);
            }
            let numbers: Vec<u64> = set.iter().flat_map(|(first, records)| first.0..first.0 + records).collect();
            prop_assert_eq!(&numbers, &model.iter().copied().collect::<Vec<_>>());
            let ranges: Vec<_> = set.iter().collect();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].0.0 + pair[0].1 < pair[1].0.0), "they do not touch");
            prop_assert_eq!(set.end().0, model.last().map_or(0, |last| last + 1));
            let (first, records) = asked;
            let missing: Vec<usize> = set.gaps(Seq(first), records).into_iter().flatten().collect();
            let expected = (0..records).filter(|place| !model.contains(&(first + *place as u64)));
            prop_assert_eq!(missing, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn numbers_that_do_not_exist_are_refused() {
        let mut set = RangeSet::default();
        assert_eq!(set.checked_insert(Seq(u64::MAX), 1), None);
        assert!(set.is_empty());
    }
}
