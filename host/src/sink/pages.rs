//! The ledger of a sink: which records of a run have been committed, one bit for each, in pages. Pure.

use std::cell::Cell;
use std::collections::BTreeMap;

/// Records in a page. Large enough that the pages of a million records are a thousand rows, small enough that
/// two slaves seldom want the same page.
pub(crate) const RECORDS_PER_PAGE: u64 = 1024;

/// Bytes in a page.
pub(crate) const PAGE_BYTES: usize = RECORDS_PER_PAGE as usize / 8;

/// In place of a page's number: the mark of a run. Once it is filled, the run is over, and no more of its
/// records may be committed.
pub(crate) const OVER: i64 = -1;

/// Days for which the mark of a run that is over is kept: a slave that was stopped for so long, and then goes
/// on, is as good as impossible.
pub(crate) const KEEP_MARKS_DAYS: u32 = 30;

/// Numbers from here on are not those of records, but of rows that belong to no record.
pub(crate) const TOKENS_FROM: u64 = 1 << 63;

/// The pages of the records in a group.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// By their numbers, lowest first.
    pages: Vec<(i64, Page)>,
    /// Where the page is that was asked for last: most records follow one that has the same page.
    last: Cell<usize>,
    /// Whether the run is over: then all of its records count as committed.
    pub is_over: bool,
}

#[derive(Debug)]
struct Page {
    bits: [u8; PAGE_BYTES],
    changed: bool,
}

/// The number of a record's page.
pub(crate) fn page_of(seq: u64) -> i64 {
    // At most 2^54.
    (seq / RECORDS_PER_PAGE) as i64
}

fn place(seq: u64) -> (usize, u8) {
    let bit = seq % RECORDS_PER_PAGE;
    ((bit / 8) as usize, 1 << (bit % 8))
}

impl Pages {
    /// The pages of these records, empty.
    pub(crate) fn of(seqs: impl Iterator<Item = u64>) -> Self {
        let mut pages = BTreeMap::new();
        let mut last = None;
        for page in seqs.map(page_of) {
            // Most records follow one that has the same page.
            if last.replace(page) != Some(page) {
                pages.entry(page).or_insert(Page { bits: [0; PAGE_BYTES], changed: false });
            }
        }
        Self { pages: pages.into_iter().collect(), ..Self::default() }
    }

    /// Their numbers, lowest first: the order in which they are locked.
    pub(crate) fn numbers(&self) -> Vec<i64> {
        self.pages.iter().map(|(number, _)| *number).collect()
    }

    /// Fills a page with the ledger's bits. In a page that is shorter than ours, the missing bits are zero.
    pub(crate) fn load(&mut self, number: i64, bits: &[u8]) {
        if number == OVER {
            // The row exists from a run's first commit on, and is filled at the end of the run.
            self.is_over = !bits.is_empty();
        } else if let Some(page) = self.page_mut(number) {
            page.bits.iter_mut().zip(bits).for_each(|(ours, theirs)| *ours = *theirs);
        }
    }

    /// Whether a record was committed.
    pub(crate) fn has(&self, seq: u64) -> bool {
        let (byte, bit) = place(seq);
        self.is_over || self.find(page_of(seq)).is_some_and(|index| self.pages[index].1.bits[byte] & bit != 0)
    }

    fn find(&self, number: i64) -> Option<usize> {
        if self.pages.get(self.last.get()).is_some_and(|(last, _)| *last == number) {
            return Some(self.last.get());
        }
        let index = self.pages.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.last.set(index);
        Some(index)
    }

    fn page_mut(&mut self, number: i64) -> Option<&mut Page> {
        self.find(number).map(|index| &mut self.pages[index].1)
    }

    /// Notes that a record is committed.
    pub(crate) fn add(&mut self, seq: u64) {
        let (byte, bit) = place(seq);
        if let Some(page) = self.page_mut(page_of(seq)) {
            page.bits[byte] |= bit;
            page.changed = true;
        }
    }

    /// Takes that note back.
    pub(crate) fn remove(&mut self, seq: u64) {
        let (byte, bit) = place(seq);
        if let Some(page) = self.page_mut(page_of(seq)) {
            page.bits[byte] &= !bit;
        }
    }

    /// The pages that changed after they were loaded.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (i64, &[u8])> {
        self.pages.iter().filter(|(_, page)| page.changed).map(|(number, page)| (*number, &page.bits[..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_a_bit_for_each_of_its_records() {
        let seqs = [0, 1023, 1024, TOKENS_FROM + 5, u64::MAX];
        let mut pages = Pages::of(seqs.into_iter());
        assert_eq!(pages.numbers(), [0, 1, 1 << 53, (1 << 54) - 1]);
        for seq in seqs {
            assert!(!pages.has(seq));
            pages.add(seq);
            assert!(pages.has(seq));
        }
        assert!(!pages.has(1) && !pages.has(1025));
        let stored: Vec<_> = pages.changed().map(|(number, bits)| (number, bits.to_vec())).collect();
        let mut again = Pages::of(seqs.into_iter().chain([1, 1025]));
        for (number, bits) in &stored {
            again.load(*number, bits);
        }
        assert!(seqs.into_iter().all(|seq| again.has(seq)) && !again.has(1) && !again.has(1025));
        assert_eq!(again.changed().count(), 0);
    }

    #[test]
    fn when_a_run_is_over_all_its_records_count_as_committed() {
        let mut pages = Pages::of([7].into_iter());
        pages.load(OVER, b"");
        assert!(!pages.has(7));
        pages.load(OVER, b"\x01");
        assert!(pages.has(7) && pages.has(1 << 40));
    }
}
