//! What the entries of a ledger say together: which records are in the files, and how far each part counts.
//! Pure.
//!
//! **Invariant:** every reader of the same entries comes to the same answer, so their order decides which of
//! two slaves was first, and nothing else does.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::ledger_entry::LedgerEntry;
use crate::sink::pages::{PAGE_BYTES, Pages, RECORDS_PER_PAGE, page_of};
use crate::wire::SeqRanges;

/// How far a part counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartState {
    /// The name of its file.
    pub name: String,
    /// Bytes that count; zero if nothing was committed with it.
    pub bytes: u64,
    /// The xxh3 of these bytes.
    pub hash: u64,
}

/// What is known of a run's records in a directory.
#[derive(Debug, Default)]
pub(super) struct LedgerState {
    pages: BTreeMap<i64, [u8; PAGE_BYTES]>,
    parts: HashMap<u64, PartState>,
    /// Whether no record may be added any more.
    pub is_over: bool,
}

impl LedgerState {
    /// Takes an entry in. Returns whether it counts: a commit does not if one of its records was there
    /// already. Its slave then writes other rows in the place of those that the entry was about.
    pub(super) fn on_entry(&mut self, entry: LedgerEntry) -> bool {
        match entry {
            LedgerEntry::Part { part, name } => {
                // A name is used again only after the file that had it is complete, or gone.
                self.parts.retain(|_, other| other.name != name);
                self.parts.insert(part, PartState { name, bytes: 0, hash: 0 });
                true
            }
            LedgerEntry::Commit { part, bytes, hash, seqs } => self.on_commit(part, bytes, hash, &seqs),
            LedgerEntry::Over => {
                self.is_over = true;
                true
            }
        }
    }

    fn on_commit(&mut self, part: u64, bytes: u64, hash: u64, seqs: &SeqRanges) -> bool {
        if self.is_over || spans(seqs).any(|(page, bits)| self.has_any(page, bits)) {
            return false;
        }
        let Some(part) = self.parts.get_mut(&part) else { return false };
        (part.bytes, part.hash) = (bytes, hash);
        for (page, bits) in spans(seqs) {
            let page = self.pages.entry(page).or_insert([0; PAGE_BYTES]);
            masks(bits).for_each(|(byte, mask)| page[byte] |= mask);
        }
        true
    }

    fn has_any(&self, page: i64, bits: Range<u64>) -> bool {
        self.pages.get(&page).is_some_and(|page| masks(bits).any(|(byte, mask)| page[byte] & mask != 0))
    }

    /// Fills the pages of a group of records.
    pub(super) fn fill(&self, pages: &mut Pages) {
        pages.is_over = self.is_over;
        for number in pages.numbers() {
            if let Some(bits) = self.pages.get(&number) {
                pages.load(number, bits);
            }
        }
    }

    /// The part whose file has that name.
    pub(super) fn part_called(&self, name: &str) -> Option<&PartState> {
        self.parts.values().find(|part| part.name == name)
    }

    /// How far a part counts.
    pub(super) fn part(&self, part: u64) -> Option<&PartState> {
        self.parts.get(&part)
    }

    /// The entries that are still needed once the run is over: the lengths of the parts for which `is_needed`
    /// is true, and that it is over.
    pub(super) fn remains(&self, is_needed: impl Fn(&str) -> bool) -> Vec<LedgerEntry> {
        let needed = self.parts.iter().filter(|(_, part)| part.bytes > 0 && is_needed(&part.name));
        let about = |(part, state): (&u64, &PartState)| {
            let (part, bytes, hash) = (*part, state.bytes, state.hash);
            let begun = LedgerEntry::Part { part, name: state.name.clone() };
            [begun, LedgerEntry::Commit { part, bytes, hash, seqs: SeqRanges::default() }]
        };
        needed.flat_map(about).chain([LedgerEntry::Over]).collect()
    }
}

/// The records page by page: which page, and which of its bits.
fn spans(seqs: &SeqRanges) -> impl Iterator<Item = (i64, Range<u64>)> {
    seqs.ranges().flat_map(|(first, length)| {
        let mut rest = length;
        std::iter::from_fn(move || {
            let seq = first.wrapping_add(length - rest);
            let start = seq % RECORDS_PER_PAGE;
            let bits = rest.min(RECORDS_PER_PAGE - start);
            rest -= bits;
            (bits > 0).then(|| (page_of(seq), start..start + bits))
        })
    })
}

/// Bits of a page byte by byte: most ranges are long, and cover whole bytes.
fn masks(bits: Range<u64>) -> impl Iterator<Item = (usize, u8)> {
    let Range { start, end } = bits;
    (start / 8..end.div_ceil(8)).map(move |byte| {
        let first = start.saturating_sub(byte * 8).min(8);
        let last = (end - byte * 8).min(8);
        // From the bit `first` to the one before `last`.
        (byte as usize, (0xff_u16 << first & 0xff_u16 >> (8 - last)) as u8)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ids::Seq;
    use proptest::prelude::*;

    fn commit(part: u64, bytes: u64, seqs: &[u64]) -> LedgerEntry {
        LedgerEntry::Commit { part, bytes, hash: bytes, seqs: seqs.iter().copied().map(Seq).collect() }
    }

    fn state() -> LedgerState {
        let mut state = LedgerState::default();
        for part in [1, 2] {
            assert!(state.on_entry(LedgerEntry::Part { part, name: format!("part {part}") }));
        }
        state
    }

    #[test]
    fn of_two_slaves_that_commit_the_same_record_the_first_counts() {
        let mut state = state();
        assert!(state.on_entry(commit(1, 10, &[1, 2])));
        assert!(!state.on_entry(commit(2, 10, &[2, 3])), "all of it or nothing");
        assert!(state.on_entry(commit(2, 5, &[3])), "it comes again without the other's record");
        assert_eq!(state.part(2).unwrap().bytes, 5);
        let mut pages = Pages::of([1, 2, 3, 4, 2000].into_iter());
        state.fill(&mut pages);
        assert_eq!([1, 2, 3, 4, 2000].map(|seq| pages.has(seq)), [true, true, true, false, false]);
    }

    proptest! {
        #[test]
        fn exactly_the_records_of_the_entries_are_there(
            ranges in prop::collection::btree_map(0..6000_u64, 1..1500_u64, 0..6),
            base in prop_oneof![Just(0), Just(1 << 63)],
        ) {
            let seqs: BTreeSet<u64> =
                ranges.iter().flat_map(|(first, length)| base + first..base + first + length).collect();
            let mut state = state();
            prop_assert!(state.on_entry(commit(1, 1, &seqs.iter().copied().collect::<Vec<_>>())));
            let asked = || base..base + 9000;
            let mut pages = Pages::of(asked());
            state.fill(&mut pages);
            prop_assert!(asked().all(|seq| pages.has(seq) == seqs.contains(&seq)));
            for seq in asked().step_by(37) {
                prop_assert_eq!(state.has_any(page_of(seq), seq % 1024..seq % 1024 + 1), seqs.contains(&seq));
            }
        }
    }

    #[test]
    fn nothing_counts_once_the_run_is_over() {
        let mut state = state();
        assert!(state.on_entry(commit(1, 10, &[1])) && state.on_entry(LedgerEntry::Over));
        assert!(!state.on_entry(commit(1, 20, &[2])));
        let mut pages = Pages::of([2].into_iter());
        state.fill(&mut pages);
        assert!(pages.has(2));
        let mut again = LedgerState::default();
        for entry in state.remains(|name| name == "part 1") {
            again.on_entry(entry);
        }
        assert!(again.is_over && again.part(2).is_none());
        assert_eq!(again.part(1), state.part(1));
    }
}
