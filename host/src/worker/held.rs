//! The records that a task has kept open, as its worker counts them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Records that were held and not yet finished.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// For each batch (low 32 bits of its number): one bit a record, and how many are set.
    batches: HashMap<u32, Open>,
    records: u32,
    /// Batches that were entered so far: the oldest of those that are left has the lowest place.
    entered: u64,
    /// Records that the task has finished so far.
    finished: u64,
}

#[derive(Debug, Default)]
struct Open {
    bits: Vec<u64>,
    records: u32,
    place: u64,
    /// How many records were finished when the batch was entered.
    finished_before: u64,
}

/// The records of one batch: the low 32 bits of its number, and their places in it.
pub(super) type HeldBatch = (u32, Vec<u16>);

impl Held {
    /// How many there are.
    pub(super) fn records(&self) -> u32 {
        self.records
    }

    /// In how many batches.
    pub(super) fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Adds a record.
    pub(super) fn add(&mut self, batch_low: u32, index: u16) {
        let open = self.batches.entry(batch_low).or_insert_with(|| {
            self.entered += 1;
            Open { place: self.entered, finished_before: self.finished, ..Open::default() }
        });
        let (word, bit) = place(index);
        if open.bits.len() <= word {
            open.bits.resize(word + 1, 0);
        }
        open.bits[word] |= bit;
        open.records += 1;
        self.records += 1;
    }

    /// Takes a record off; `false` if it is not held (a task must not finish a record twice).
    pub(super) fn remove(&mut self, batch_low: u32, index: u16) -> bool {
        let Entry::Occupied(mut entry) = self.batches.entry(batch_low) else { return false };
        let (word, bit) = place(index);
        let open = entry.get_mut();
        match open.bits.get_mut(word) {
            Some(bits) if *bits & bit != 0 => *bits &= !bit,
            _ => return false,
        }
        open.records -= 1;
        self.records -= 1;
        self.finished += 1;
        if open.records == 0 {
            entry.remove();
        }
        true
    }

    /// Takes off what is left of the oldest batch, if the task has finished any record since that batch was
    /// entered: then it does finish what it holds, and has forgotten these. `None` if it has finished none.
    pub(super) fn take_forgotten(&mut self) -> Option<HeldBatch> {
        let (batch_low, open) = self.batches.iter().min_by_key(|(_, open)| open.place)?;
        if open.finished_before == self.finished {
            return None;
        }
        let batch_low = *batch_low;
        self.take(batch_low)
    }

    /// Takes everything off, oldest first.
    pub(super) fn take_all(&mut self) -> Vec<HeldBatch> {
        let mut batches: Vec<_> = self.batches.iter().map(|(low, open)| (open.place, *low)).collect();
        batches.sort_unstable();
        batches.into_iter().filter_map(|(_, batch_low)| self.take(batch_low)).collect()
    }

    fn take(&mut self, batch_low: u32) -> Option<HeldBatch> {
        let open = self.batches.remove(&batch_low)?;
        self.records -= open.records;
        let is_set = |index: &u16| {
            let (word, bit) = place(*index);
            open.bits.get(word).is_some_and(|bits| bits & bit != 0)
        };
        Some((batch_low, (0..=u16::MAX).filter(is_set).collect()))
    }
}

fn place(index: u16) -> (usize, u64) {
    (usize::from(index) / 64, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_held_until_it_is_finished_once() {
        let mut held = Held::default();
        for index in [0, 63, 64, 65_535] {
            held.add(1, index);
        }
        held.add(2, 0);
        assert_eq!((held.records(), held.batches()), (5, 2));
        assert!(held.remove(1, 64));
        assert!(!held.remove(1, 64));
        assert!(!held.remove(1, 1));
        assert!(!held.remove(3, 0));
        assert!(held.remove(2, 0));
        assert_eq!((held.records(), held.batches()), (3, 1));
        assert_eq!(held.take_all(), [(1, vec![0, 63, 65_535])]);
        assert_eq!((held.records(), held.batches()), (0, 0));
    }

    #[test]
    fn the_oldest_records_are_forgotten_only_by_a_task_that_finishes_others() {
        let mut held = Held::default();
        (5..8).for_each(|batch| (0..3).for_each(|index| held.add(batch, index)));
        assert_eq!(held.take_forgotten(), None, "it has finished nothing");
        assert!(held.remove(6, 1) && held.remove(5, 0));
        assert_eq!(held.take_forgotten(), Some((5, vec![1, 2])));
        assert_eq!(held.take_all(), [(6, vec![0, 2]), (7, vec![0, 1, 2])]);
    }
}
