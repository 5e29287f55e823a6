//! Records that a task gets in one call.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use crate::glue::{BytesList, DroppedRecords, HostCalls};
use crate::{Output, Record, Result};

/// Records that came together, in the order of the input. Iterate over it to get them.
///
/// ```
/// # use simplegrid_plugin_api::{Batch, Line, NoArgs, Output, Record, Result, Status, Task};
/// # use simplegrid_plugin_api::testing::TestGrid;
/// struct Lengths;
///
/// impl Task for Lengths {
///     type Args = NoArgs;
///     type Row = Line;
///
///     fn new(_: NoArgs) -> Result<Self> {
///         Ok(Self)
///     }
///
///     fn handle(&mut self, record: Record<'_>, output: &mut Output<Line>) -> Result {
///         output.line(record.line().len().to_string().as_bytes())
///     }
///
///     fn batch_max(&self) -> usize {
///         1000
///     }
///
///     fn handle_batch(&mut self, batch: Batch<'_>, output: &mut Output<Line>) -> Result {
///         // One call of a model, one request to a database, …
///         let lengths: Vec<_> = batch.lines().map(|line| line.len().to_string()).collect();
///         for (record, length) in batch.into_iter().zip(lengths) {
///             output.line(length.as_bytes())?;
///             output.finish(record);
///         }
///         Ok(())
///     }
/// }
///
/// let mut grid = TestGrid::start::<Lengths>(&[]).expect("it takes no arguments");
/// assert_eq!(grid.handle_batch(&["one", "three"]), Status::Ok);
/// assert_eq!(grid.lines(), [b"3", b"5"]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    first: u64,
    lines: BytesList<'a>,
    host: &'a HostCalls,
    /// Whether the task has held the record that it got last.
    held: &'a Cell<bool>,
    dropped: &'a Arc<DroppedRecords>,
}

/// The records of a [`Batch`], one after the other.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    batch: Batch<'a>,
    left: Range<usize>,
}

impl<'a> Batch<'a> {
    /// The records that came with a call; the first one has the number `first`.
    pub(crate) fn new(
        first: u64,
        lines: BytesList<'a>,
        host: &'a HostCalls,
        held: &'a Cell<bool>,
        dropped: &'a Arc<DroppedRecords>,
    ) -> Self {
        Self { first, lines, host, held, dropped }
    }

    /// Runs a function over each record, and finishes those that it does not hold.
    pub(crate) fn run_each<R>(
        self,
        output: &mut Output<'_, R>,
        mut run: impl FnMut(Record<'a>, &mut Output<'_, R>) -> Result,
    ) -> Result {
        for record in self {
            let id = record.id();
            self.held.set(false);
            run(record, output)?;
            if !self.held.get() {
                output.done_in_batch(id);
            }
        }
        Ok(())
    }

    /// How many records there are, at most what [`Task::batch_max`](crate::Task::batch_max) said.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none, which no host sends.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records as they were read, without their terminators.
    pub fn lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.lines.iter()
    }
}

impl<'a> IntoIterator for Batch<'a> {
    type Item = Record<'a>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Records<'a> {
        Records { left: 0..self.len(), batch: self }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let index = self.left.next()?;
        let Batch { first, lines, host, held, dropped } = self.batch;
        Some(Record::of_batch(first + index as u64, lines.get(index)?, host, held, dropped))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl ExactSizeIterator for Records<'_> {}
