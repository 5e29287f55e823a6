//! Runs a task or a partitioner in `cargo test`, without a grid.
//!
//! Everything passes through the same C functions as in a grid, so what works here works there: arguments are
//! text, rows become cells, and panics become a status.
//!
//! ```
//! use simplegrid_plugin_api::{Line, NoArgs, Output, Record, Result, Status, Task, testing::TestGrid};
//!
//! struct Echo;
//!
//! impl Task for Echo {
//!     type Args = NoArgs;
//!     type Row = Line;
//!
//!     fn new(_: NoArgs) -> Result<Self> {
//!         Ok(Self)
//!     }
//!
//!     fn handle(&mut self, record: Record<'_>, output: &mut Output<Line>) -> Result {
//!         output.line(record.line())
//!     }
//! }
//!
//! let mut grid = TestGrid::start::<Echo>(&[]).expect("it takes no arguments");
//! assert_eq!(grid.handle("hello"), Status::Ok);
//! assert_eq!(grid.finish(), Status::Ok);
//! assert_eq!(grid.lines(), [b"hello"]);
//! ```

pub(crate) mod heard;

pub use heard::{Finished, Logged};

use crate::glue::TaskEntry;
use crate::glue::test_host::{TestTask, take_logs, test_key};
use crate::{Partitioner, Status, Task};

/// One task, as a worker would run it. Records are numbered from 1; their fields are separated by commas.
#[derive(Debug)]
pub struct TestGrid {
    task: TestTask,
    records: u64,
    last: Status,
}

impl TestGrid {
    /// Makes a task with `--task-arg name=value` for each pair.
    ///
    /// # Errors
    /// What the task said, or what is wrong with its arguments.
    pub fn start<T: Task>(args: &[(&str, &str)]) -> Result<Self, Finished> {
        let task = TestTask::create(&TaskEntry::of::<T>("task"), args)?;
        Ok(Self { task, records: 0, last: Status::Ok })
    }

    /// Runs the task over the next record.
    pub fn handle(&mut self, line: impl AsRef<[u8]>) -> Status {
        self.records += 1;
        self.last = self.task.handle(self.records, line.as_ref());
        self.last
    }

    /// Runs the task over the next records in one call. What it leaves unfinished is not run again, as
    /// SimpleGrid would do; that a record is held is in [`finished`](Self::finished).
    pub fn handle_batch(&mut self, lines: &[impl AsRef<[u8]>]) -> Status {
        let lines: Vec<_> = lines.iter().map(AsRef::as_ref).collect();
        self.last = self.task.handle_batch(self.records + 1, &lines);
        self.records += lines.len() as u64;
        self.last
    }

    /// Asks the task to finish what it holds, as SimpleGrid does when the input pauses.
    pub fn flush(&mut self) -> Status {
        self.last = self.task.flush(false);
        self.last
    }

    /// Ends the run: `flush` with `last`.
    pub fn finish(&mut self) -> Status {
        self.last = self.task.flush(true);
        self.last
    }

    /// The rows so far; `None` is NULL.
    pub fn rows(&self) -> Vec<Vec<Option<String>>> {
        self.task.seen().rows.clone()
    }

    /// The raw lines so far.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.task.seen().lines.clone()
    }

    /// Everything that the task has said so far about records that it held or that failed, in order.
    pub fn finished(&self) -> Vec<Finished> {
        self.task.seen().done.clone()
    }

    /// How the last call ended.
    pub fn last_status(&self) -> Status {
        self.last
    }

    /// The message of the last failure, if there was one.
    pub fn last_message(&self) -> String {
        let seen = self.task.seen();
        let failure = seen.done.iter().rev().find(|finished| finished.status != Status::Ok);
        failure.map(|finished| finished.message.clone()).unwrap_or_default()
    }

    /// What was logged on this thread since the last call of this function, at every level. Messages from
    /// other threads are not kept.
    pub fn take_logs(&mut self) -> Vec<Logged> {
        take_logs()
    }

    /// From now on, the task sees that the grid is shutting down.
    pub fn stop(&mut self) {
        self.task.seen_mut().stopping = true;
    }
}

/// The key of a record.
///
/// # Errors
/// What the partitioner said.
pub fn key_of(partitioner: &impl Partitioner, line: impl AsRef<[u8]>) -> Result<Vec<u8>, Finished> {
    test_key(partitioner, line.as_ref())
}
