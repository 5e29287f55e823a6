//! A task that runs, with its output, and the state that remains after a panic.

use std::cell::Cell;

use super::HostCalls;
use super::guard::{PanicMessage, guard};
use crate::{Error, Output, Record, Result, Status, Task};

/// A task of any type.
pub(crate) trait ErasedTask {
    /// Runs the task over a record.
    fn handle(&mut self, record: Record<'_>) -> Result;
    /// Lets the task finish what it holds.
    fn flush(&mut self, last: bool) -> Result;
}

/// A task of a known type, and its output.
pub(crate) struct LiveTask<T: Task> {
    task: T,
    output: Output<T::Row>,
}

/// What the host holds as the opaque state.
pub(crate) struct State {
    /// `None` after a panic: the task's work is half done, so it is never called again.
    task: Option<Box<dyn ErasedTask>>,
    /// A task that has panicked. It is dropped at the end: its destructor can hang, and what it was working
    /// on must be reported first.
    spoiled: Option<Box<dyn ErasedTask>>,
    host: HostCalls,
}

impl<T: Task> LiveTask<T> {
    pub(crate) fn new(task: T, output: Output<T::Row>) -> Self {
        Self { task, output }
    }
}

impl<T: Task> ErasedTask for LiveTask<T> {
    fn handle(&mut self, record: Record<'_>) -> Result {
        self.task.handle(record, &mut self.output)
    }

    fn flush(&mut self, last: bool) -> Result {
        self.task.flush(&mut self.output, last)
    }
}

impl State {
    pub(crate) fn new(task: Box<dyn ErasedTask>, host: HostCalls) -> Self {
        Self { task: Some(task), spoiled: None, host }
    }

    /// Runs the task over a record and says how it ended; the host has the message.
    #[inline]
    pub(crate) fn handle(&mut self, record: u64, line: &[u8]) -> Status {
        let Some(task) = &mut self.task else { return gone(&self.host, record) };
        let held = Cell::new(false);
        let host = &self.host;
        match guard(|| task.handle(Record::new(record, line, host, &held))) {
            Ok(Ok(())) if held.get() => Status::Held,
            Ok(Ok(())) => Status::Ok,
            failed => self.failed(record, failed),
        }
    }

    /// Lets the task finish what it holds.
    pub(crate) fn flush(&mut self, last: bool) -> Status {
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
