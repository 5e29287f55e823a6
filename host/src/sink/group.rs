//! What is committed together: records that have ended, with their rows, from several reports of several
//! workers. Pure.

use std::ops::Range;

use bytes::Bytes;

use crate::ids::RunId;

/// Bytes of rows at which a group is full. Enough that the cost of a commit vanishes, and few enough that the
/// rows waiting for it stay small in memory.
pub(crate) const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Entries at which a group is full, for the same reasons: entries without rows have a cost, too.
pub(crate) const GROUP_ENTRIES_MAX: usize = 128 * 1024;

/// A record that has ended, or rows that belong to no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupEntry {
    /// The record's number in the run's input; a number of its own for rows that belong to no record.
    pub seq: u64,
    /// What to do with it.
    pub task: EntryTask,
    /// The rows of a record that is done, in two pieces: first those that it wrote until it was held, then
    /// the others.
    pub rows: [Bytes; 2],
}

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryTask {
    /// It is done: insert its rows, unless they are there already.
    Commit,
    /// It has failed: only look up whether an earlier attempt was committed.
    LookUp,
}

impl GroupEntry {
    /// Whether it has rows to insert.
    pub(crate) fn has_rows(&self) -> bool {
        self.rows.iter().any(|rows| !rows.is_empty())
    }

    /// The bytes of its rows.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.iter().map(Bytes::len).sum()
    }
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its rows are now in the sink.
    Committed,
    /// Its rows were there already, from an earlier attempt.
    AlreadyThere,
    /// The sink refuses its rows, with this message.
    Refused(String),
    /// Its rows may be mixed with those of a record that was there already: it must run again without that
    /// record.
    Again,
    /// It has failed, and no earlier attempt was committed.
    Failed,
}

/// Entries that are committed together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// The run.
    pub run: RunId,
    /// The entries.
    pub entries: Vec<GroupEntry>,
    /// Ranges of entries that a task finished in one call. Which rows came from which of these records is
    /// not known: a sum over several records is among the rows of the first. An entry in no range stands
    /// alone.
    pub units: Vec<Range<usize>>,
    /// Bytes of all rows.
    pub bytes: usize,
}

impl Group {
    /// An empty group.
    pub(crate) fn new(run: RunId) -> Self {
        Self { run, ..Self::default() }
    }

    /// Adds an entry, and returns its place.
    pub(crate) fn push(&mut self, entry: GroupEntry) -> usize {
        self.bytes += entry.bytes();
        self.entries.push(entry);
        self.entries.len() - 1
    }

    /// All entries, as ranges that belong together: a unit, or an entry that stands alone.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        let mut at = 0;
        let mut units = self.units.iter().cloned().peekable();
        std::iter::from_fn(move || {
            let piece = match units.next_if(|unit| unit.start == at) {
                Some(unit) => unit,
                None if at < self.entries.len() => at..at + 1,
                None => return None,
            };
            at = piece.end;
            Some(piece)
        })
    }
}
