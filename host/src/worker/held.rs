//! The records that a task has kept open, as its worker counts them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Records that were held and not yet finished.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// For each batch (low 32 bits of its number): one bit a record, and how many are set.
    batches: HashMap<u32, Open>,
    records: u32,
}

#[derive(Debug, Default)]
struct Open {
    bits: Vec<u64>,
    records: u32,
}

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
        let open = self.batches.entry(batch_low).or_default();
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
        if open.records == 0 {
            entry.remove();
        }
        true
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
    }
}
