//! A set of records as ranges of their numbers: small as long as records finish nearly in order. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::ids::Seq;

/// Records by their numbers. Ranges that touch are one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// The end of each range (the number after its last one) by its start.
    ranges: BTreeMap<u64, u64>,
    records: u64,
}

impl RangeSet {
    /// Adds records from `first` on. Those that are there already stay.
    ///
    /// # Panics
    /// If a record's number would not fit 64 bits; see [`RangeSet::checked_insert`].
    pub fn insert(&mut self, first: Seq, records: u64) {
        self.checked_insert(first, records).expect("a run has fewer records than 64 bits can count");
    }

    /// Adds records from `first` on; `None`, and no change, if a number would not fit 64 bits.
    pub fn checked_insert(&mut self, first: Seq, records: u64) -> Option<()> {
        let (mut start, mut end) = (first.0, first.0.checked_add(records)?);
        if records == 0 {
            return Some(());
        }
        if let Some((before, before_end)) =
            self.last_up_to(start).filter(|(_, before_end)| *before_end >= start)
        {
            if before_end >= end {
                return Some(());
            }
            start = before;
            self.remove(before);
        }
        while let Some((after, after_end)) = self.first_from(start).filter(|(after, _)| *after <= end) {
            end = end.max(after_end);
            self.remove(after);
        }
        self.records += end - start;
        self.ranges.insert(start, end);
        Some(())
    }

    /// Adds all records of another set.
    pub fn extend(&mut self, other: &Self) {
        for (first, records) in other.iter() {
            self.insert(first, records);
        }
    }

    /// How many records there are.
    pub fn len(&self) -> u64 {
        self.records
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The number after the last record; zero if there is none.
    pub fn end(&self) -> Seq {
        Seq(self.ranges.last_key_value().map_or(0, |(_, end)| *end))
    }

    /// The ranges in order: the first record of each, and how many there are.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Seq, u64)> {
        self.ranges.iter().map(|(start, end)| (Seq(*start), end - start))
    }

    /// What is missing of the `records` records from `first` on: places counted from `first`, in order.
    pub fn gaps(&self, first: Seq, records: usize) -> Vec<Range<usize>> {
        let (mut at, end) = (first.0, first.0 + records as u64);
        let mut gaps = Vec::new();
        if records == 0 {
            return gaps;
        }
        let mut gap = |from: u64, to: u64| {
            if from < to {
                gaps.push((from - first.0) as usize..(to - first.0) as usize);
            }
        };
        let before = self.last_up_to(at);
        let later = self.ranges.range((std::ops::Bound::Excluded(at), std::ops::Bound::Excluded(end)));
        for (start, range_end) in before.into_iter().chain(later.map(|(start, end)| (*start, *end))) {
            gap(at, start);
            at = at.max(range_end);
        }
        gap(at, end);
        gaps
    }

    fn last_up_to(&self, number: u64) -> Option<(u64, u64)> {
        self.ranges.range(..=number).next_back().map(|(start, end)| (*start, *end))
    }

    fn first_from(&self, number: u64) -> Option<(u64, u64)> {
        self.ranges.range(number..).next().map(|(start, end)| (*start, *end))
    }

    fn remove(&mut self, start: u64) {
        if let Some(end) = self.ranges.remove(&start) {
            self.records -= end - start;
        }
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
            prop_assert!(set.ranges.iter().zip(set.ranges.keys().skip(1)).all(|((_, end), next)| end < next));
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
