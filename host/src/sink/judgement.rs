//! Which entries of a group are inserted, and what becomes of the others. Pure, and the same for every
//! database.

use std::sync::Arc;

use super::group::{EntryTask, Fate, Group};
use super::pages::Pages;

/// The judgement of one transaction.
#[derive(Debug)]
pub(super) struct Judgement {
    group: Arc<Group>,
    pages: Pages,
    fates: Vec<Option<Fate>>,
}

impl Judgement {
    /// Judges a group by the bits that the ledger has for its records.
    pub(super) fn new(group: Arc<Group>, pages: Pages) -> Self {
        let fates = vec![None; group.entries.len()];
        let mut judgement = Self { group, pages, fates };
        judgement.look_up();
        judgement
    }

    fn look_up(&mut self) {
        let group = self.group.clone();
        for piece in group.pieces() {
            let entries = &group.entries[piece.clone()];
            let is_commit = |index: usize| group.entries[index].task == EntryTask::Commit;
            // One that stands alone meets no others.
            let meets_another = entries.len() > 1
                && entries.iter().any(|entry| entry.task == EntryTask::Commit && self.pages.has(entry.seq));
            for index in piece {
                let entry = &group.entries[index];
                if self.pages.has(entry.seq) {
                    self.fates[index] = Some(Fate::AlreadyThere);
                } else if !is_commit(index) {
                    self.fates[index] = Some(Fate::Failed);
                } else if meets_another {
                    self.fates[index] = Some(Fate::Again);
                } else {
                    self.pages.add(entry.seq);
                }
            }
        }
    }

    /// The entries whose rows must be inserted, in order.
    pub(super) fn to_insert(&self) -> Vec<usize> {
        let is_open = |index: &usize| self.fates[*index].is_none() && self.group.entries[*index].has_rows();
        (0..self.fates.len()).filter(is_open).collect()
    }

    /// Notes that the database refuses the rows of an entry.
    pub(super) fn refuse(&mut self, index: usize, message: String) {
        self.fates[index] = Some(Fate::Refused(message));
    }

    /// What became of each entry, now that the rows are inserted; and the changed pages with their new bits.
    pub(super) fn settle(&mut self) -> (Vec<Fate>, Vec<(i64, Vec<u8>)>) {
        self.share_refusals();
        let refused: Vec<_> = (0..self.fates.len())
            .filter(|index| matches!(self.fates[*index], Some(Fate::Refused(_))))
            .collect();
        for index in refused {
            self.pages.remove(self.group.entries[index].seq);
        }
        let fates = self.fates.iter().map(|fate| fate.clone().unwrap_or(Fate::Committed)).collect();
        (fates, self.pages.changed().map(|(number, bits)| (number, bits.to_vec())).collect())
    }

    /// Records without rows of their own share the refusal of a record whose rows they may have contributed
    /// to.
    fn share_refusals(&mut self) {
        for unit in &self.group.units {
            let refusal = self.fates[unit.clone()].iter().find_map(|fate| match fate {
                Some(Fate::Refused(message)) => Some(message.clone()),
                _ => None,
            });
            let Some(message) = refusal else { continue };
            for index in unit.clone() {
                if self.fates[index].is_none() && !self.group.entries[index].has_rows() {
                    self.fates[index] = Some(Fate::Refused(message.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::group::GroupEntry;
    use bytes::Bytes;

    fn group(entries: &[(u64, EntryTask, &'static str)], unit: Option<std::ops::Range<usize>>) -> Arc<Group> {
        let mut group = Group::default();
        for (seq, task, rows) in entries {
            group.push(GroupEntry {
                seq: *seq,
                task: *task,
                rows: [Bytes::new(), Bytes::from_static(rows.as_bytes())],
            });
        }
        group.units.extend(unit);
        Arc::new(group)
    }

    fn judge(group: &Arc<Group>, there: &[u64]) -> Judgement {
        let mut pages = Pages::of(group.entries.iter().map(|entry| entry.seq));
        there.iter().for_each(|seq| pages.add(*seq));
        Judgement::new(group.clone(), pages)
    }

    use EntryTask::{Commit, LookUp};
    use Fate::{Again, AlreadyThere, Committed, Failed};

    #[test]
    fn a_record_that_is_there_is_not_inserted_again() {
        let group = group(
            &[(1, Commit, "a"), (2, Commit, "b"), (3, LookUp, ""), (4, LookUp, ""), (5, Commit, "")],
            None,
        );
        let mut judgement = judge(&group, &[2, 3]);
        assert_eq!(judgement.to_insert(), [0]);
        let (fates, pages) = judgement.settle();
        assert_eq!(fates, [Committed, AlreadyThere, AlreadyThere, Failed, Committed]);
        assert_eq!(pages[0].1[0], 0b0010_1110);
    }

    #[test]
    fn a_record_that_comes_twice_is_inserted_once() {
        let group = group(&[(1, Commit, "a"), (1, Commit, "b")], None);
        let mut judgement = judge(&group, &[]);
        assert_eq!(judgement.to_insert(), [0]);
        assert_eq!(judgement.settle().0, [Committed, AlreadyThere]);
    }

    #[test]
    fn records_that_share_rows_with_one_that_is_there_run_again_without_it() {
        let entries = [(1, Commit, "sum"), (2, Commit, ""), (3, LookUp, ""), (9, Commit, "x")];
        let group = group(&entries, Some(0..3));
        let mut judgement = judge(&group, &[2]);
        assert_eq!(judgement.to_insert(), [3]);
        assert_eq!(judgement.settle().0, [Again, AlreadyThere, Failed, Committed]);
        let mut judgement = judge(&group, &[1, 2]);
        assert_eq!(judgement.settle().0, [AlreadyThere, AlreadyThere, Failed, Committed]);
    }

    #[test]
    fn a_refusal_also_fails_the_records_that_may_have_contributed() {
        let entries = [(1, Commit, "sum"), (2, Commit, ""), (3, Commit, "own"), (4, Commit, "")];
        let group = group(&entries, Some(0..3));
        let mut judgement = judge(&group, &[]);
        assert_eq!(judgement.to_insert(), [0, 2]);
        judgement.refuse(0, "no".into());
        let (fates, pages) = judgement.settle();
        let refused = || Fate::Refused("no".into());
        assert_eq!(fates, [refused(), refused(), Committed, Committed]);
        assert_eq!(pages[0].1[0], 0b0001_1000);
    }

    #[test]
    fn nothing_is_inserted_when_the_run_is_over() {
        let group = group(&[(1, Commit, "a"), (2, LookUp, "")], None);
        let mut pages = Pages::of([1, 2].into_iter());
        pages.is_over = true;
        let mut judgement = Judgement::new(group, pages);
        assert!(judgement.to_insert().is_empty());
        let (fates, pages) = judgement.settle();
        assert_eq!((fates, pages.len()), (vec![AlreadyThere, AlreadyThere], 0));
    }
}
