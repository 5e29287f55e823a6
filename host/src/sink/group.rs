//! What is committed together: records that have ended, with their rows, of several reports of several
//! workers. Pure.

use std::ops::Range;

use bytes::Bytes;

use crate::ids::RunId;

/// Bytes of rows that are committed together: once there are so many, no more is gathered. Enough that the
/// cost of a commit vanishes, and few enough that what waits for it stays small.
pub(crate) const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Entries that are committed together, for the same reasons: those without rows have a price, too.
pub(crate) const GROUP_ENTRIES_MAX: usize = 128 * 1024;

/// A record that has ended, or rows that belong to none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupEntry {
    /// The record's number in the run's input; a number of its own for rows that belong to no record.
    pub seq: u64,
    /// What is to be done with it.
    pub task: EntryTask,
    /// The rows of a record that is done, in two pieces: those from when it was held, and the others.
    pub rows: [Bytes; 2],
}

/// What is to be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryTask {
    /// It is done: its rows are inserted, unless they are there already.
    Commit,
    /// It has failed: it is only looked up whether an earlier attempt was committed.
    LookUp,
}

impl GroupEntry {
    /// Whether there is something to insert.
    pub(crate) fn has_rows(&self) -> bool {
        self.rows.iter().any(|rows| !rows.is_empty())
    }

    /// Bytes of its rows.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.iter().map(Bytes::len).sum()
    }
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its rows are in the sink from now on.
    Committed,
    /// They were there already, from an earlier attempt.
    AlreadyThere,
    /// The sink refuses them.
    Refused(String),
    /// Its rows may be mixed with those of a record that was there already: it must be run again, without
    /// that one.
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
    /// Entries that a task has finished in one call. Which rows came from which of their records is not
    /// known: a sum over several is among the rows of the first. Those in no range stand alone.
    pub units: Vec<Range<usize>>,
    /// Bytes of rows.
    pub bytes: usize,
}

impl Group {
    /// An empty one.
    pub(crate) fn new(run: RunId) -> Self {
        Self { run, ..Self::default() }
    }

    /// Adds an entry, and says where it is.
    pub(crate) fn push(&mut self, entry: GroupEntry) -> usize {
        self.bytes += entry.bytes();
        self.entries.push(entry);
        self.entries.len() - 1
    }

    /// The entries in the pieces that belong together.
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
