//! What the entries of a ledger say together: which records are in the files, and how far each part counts.
//! Pure.
//!
//! **Invariant:** every reader of the same entries comes to the same answer, so their order decides which of
//! two slaves was first, and nothing else does.

use std::collections::{BTreeMap, HashMap};

use super::ledger_entry::LedgerEntry;
use crate::sink::pages::{PAGE_BYTES, Pages, page_of, place_in_page};
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
        if self.is_over || seqs.each().any(|seq| self.has(seq)) {
            return false;
        }
        let Some(part) = self.parts.get_mut(&part) else { return false };
        (part.bytes, part.hash) = (bytes, hash);
        for seq in seqs.each() {
            let (byte, bit) = place_in_page(seq);
            self.pages.entry(page_of(seq)).or_insert([0; PAGE_BYTES])[byte] |= bit;
        }
        true
    }

    fn has(&self, seq: u64) -> bool {
        let (byte, bit) = place_in_page(seq);
        self.pages.get(&page_of(seq)).is_some_and(|page| page[byte] & bit != 0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Seq;

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
