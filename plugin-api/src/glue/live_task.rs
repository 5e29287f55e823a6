//! A task that runs, with its output, and the state that remains after a panic.

use std::cell::Cell;
use std::sync::Arc;

use super::guard::{PanicMessage, guard};
use super::{BytesList, DroppedRecords, HostCalls};
use crate::text::RowCells;
use crate::{Batch, Error, Output, Record, Result, Status, Task};

/// What the host is told of a record that the task held and dropped; it says the same of records that are
/// forgotten in another way.
const DROPPED: &str = "the task held it and never finished it";

/// A task of any type.
pub(crate) trait ErasedTask {
    /// Runs the task over a record.
    fn handle(&mut self, record: Record<'_>) -> Result;
    /// The most records that it takes in one call.
    fn batch_max(&self) -> usize;
    /// Runs the task over many records.
    fn handle_batch(&mut self, batch: Batch<'_>) -> Result;
    /// Lets the task finish what it holds.
    fn flush(&mut self, last: bool) -> Result;
}

/// A task of a known type, and what its outputs are made of.
pub(crate) struct LiveTask<T: Task> {
    task: T,
    host: HostCalls,
    row: RowCells,
    columns: usize,
}

/// What the host holds as the opaque state.
pub(crate) struct State {
    /// `None` after a panic: the task's work is half done, so it is never called again.
    task: Option<Box<dyn ErasedTask>>,
    /// A task that has panicked. It is dropped at the end: its destructor can hang, and what it was working
    /// on must be reported first.
    spoiled: Option<Box<dyn ErasedTask>>,
    host: HostCalls,
    dropped: Arc<DroppedRecords>,
}

impl<T: Task> LiveTask<T> {
    /// `columns` is how many cells a row of the task has.
    pub(crate) fn new(task: T, host: HostCalls, columns: usize) -> Self {
        Self { task, host, row: RowCells::default(), columns }
    }
}

impl<T: Task> ErasedTask for LiveTask<T> {
    fn handle(&mut self, record: Record<'_>) -> Result {
        self.task.handle(record, &mut Output::new(self.host, &mut self.row, self.columns))
    }

    fn batch_max(&self) -> usize {
        self.task.batch_max()
    }

    fn handle_batch(&mut self, batch: Batch<'_>) -> Result {
        self.task.handle_batch(batch, &mut Output::new(self.host, &mut self.row, self.columns))
    }

    fn flush(&mut self, last: bool) -> Result {
        self.task.flush(&mut Output::new(self.host, &mut self.row, self.columns), last)
    }
}

impl State {
    pub(crate) fn new(task: Box<dyn ErasedTask>, host: HostCalls) -> Self {
        Self { task: Some(task), spoiled: None, host, dropped: Arc::default() }
    }

    /// Runs the task over a record and says how it ended; the host has the message.
    #[inline]
    pub(crate) fn handle(&mut self, record: u64, line: &[u8]) -> Status {
        self.tell_of_dropped();
        let Some(task) = &mut self.task else { return gone(&self.host, record) };
        let held = Cell::new(false);
        let (host, dropped) = (&self.host, &self.dropped);
        match guard(|| task.handle(Record::new(record, line, host, &held, Some(dropped)))) {
            Ok(Ok(())) if held.get() => Status::Held,
            Ok(Ok(())) => Status::Ok,
            failed => {
                self.dropped.forget(record);
                self.failed(record, failed)
            }
        }
    }

    /// The most records that the task takes in one call.
    pub(crate) fn batch_max(&self) -> u32 {
        let max = self.task.as_ref().map(|task| guard(|| task.batch_max()));
        let max = max.and_then(Result::ok).unwrap_or_default();
        max.try_into().unwrap_or(u32::MAX)
    }

    /// Runs the task over many records, the first of which has the number `first`, and says how that ended;
    /// the host has the message.
    pub(crate) fn handle_batch(&mut self, first: u64, lines: BytesList<'_>) -> Status {
        self.tell_of_dropped();
        let Some(task) = &mut self.task else { return gone(&self.host, 0) };
        let held = Cell::new(false);
        let batch = Batch::new(first, lines, &self.host, &held, &self.dropped);
        match guard(|| task.handle_batch(batch)) {
            Ok(Ok(())) => Status::Ok,
            failed => self.failed(0, failed),
        }
    }

    /// Fails the records that the task has dropped. To be called before the task is: no rows are there then
    /// that could be taken for theirs.
    #[inline]
    fn tell_of_dropped(&self) {
        for record in self.dropped.take() {
            self.host.done(record, Status::Reject, DROPPED);
        }
    }

    /// Lets the task finish what it holds.
    pub(crate) fn flush(&mut self, last: bool) -> Status {
        self.tell_of_dropped();
        let Some(task) = &mut self.task else { return gone(&self.host, 0) };
        match guard(|| task.flush(last)) {
            Ok(Ok(())) => Status::Ok,
            failed => self.failed(0, failed),
        }
    }

    /// Drops the task behind a guard, because its destructor is the author's code, too, and must not unwind
    /// into the host.
    pub(crate) fn drop_task(&mut self) {
        for task in [self.task.take(), self.spoiled.take()].into_iter().flatten() {
            let _ = guard(move || drop(task));
        }
    }

    #[cold]
    fn failed(&mut self, record: u64, result: Result<Result, PanicMessage>) -> Status {
        let panicked = result.is_err();
        let status = report(&self.host, record, result);
        if panicked {
            self.spoiled = self.task.take();
        }
        status
    }
}

/// The status of a result; its message goes to the host first.
pub(crate) fn report(host: &HostCalls, record: u64, result: Result<Result, PanicMessage>) -> Status {
    let (status, message) = match result {
        Ok(Ok(())) => return Status::Ok,
        Ok(Err(error)) => (error.status(), error.message()),
        Err(PanicMessage(message)) => (Status::Panic, message),
    };
    host.done(record, status, &message);
    status
}

#[cold]
fn gone(host: &HostCalls, record: u64) -> Status {
    report(host, record, Ok(Err(Error::fatal("this task has panicked before"))))
}
