//! Where a task puts its results.

use std::any::TypeId;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::glue::HostCalls;
use crate::text::RowCells;
use crate::{Error, Held, Record, Result, Status};

/// The way out of a task: it takes rows, and finishes records that the task has held.
///
/// A row belongs to the record that finishes next: to a held one if [`done`](Self::done) follows, otherwise
/// to the record in hand. It reaches the output only if that record is done.
///
/// It belongs to one call, and its lifetime sees to that: a task cannot keep it, nor swap it for that of
/// another task, because it would then outlive what it writes to. In signatures the lifetime can be left out.
///
/// ```compile_fail
/// # use simplegrid_plugin_api::{Line, NoArgs, Output, Record, Result, Task};
/// struct Thief(Option<Output<'static, Line>>);
///
/// impl Task for Thief {
/// #   type Args = NoArgs;
/// #   type Row = Line;
/// #   fn new(_: NoArgs) -> Result<Self> {
/// #       Ok(Self(None))
/// #   }
///     fn handle(&mut self, _record: Record<'_>, output: &mut Output<Line>) -> Result {
///         if let Some(kept) = &mut self.0 {
///             std::mem::swap(kept, output); // borrowed data escapes outside of method
///         }
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Output<'a, R> {
    host: HostCalls,
    row: &'a mut RowCells,
    columns: usize,
    rows: PhantomData<fn(&R)>,
    /// Exactly this lifetime, neither a longer nor a shorter one.
    call: PhantomData<fn(&'a ()) -> &'a ()>,
}

/// The `Row` of a task whose output is raw lines. It has one column, `line`, which [`Output::line`] writes
/// directly as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// One line of output, without its terminator.
    pub line: String,
}

impl<'a, R: Serialize + 'static> Output<'a, R> {
    /// For one call of a task of `host`. `row` is used again for each call.
    pub(crate) fn new(host: HostCalls, row: &'a mut RowCells, columns: usize) -> Self {
        Self { host, row, columns, rows: PhantomData, call: PhantomData }
    }

    /// Adds one output row. After the first few rows, this allocates nothing.
    ///
    /// # Errors
    /// Fatal if the row is not flat (numbers, booleans, text, options and unit enums) or has other columns
    /// than its type. Rejects the record if the host refuses the row because it is too large. Pass the
    /// error on with `?`.
    pub fn emit(&mut self, row: &R) -> Result {
        let cells = self.row.encode(row).map_err(Error::fatal)?;
        if cells.len() != self.columns {
            return Err(other_columns(cells.len(), self.columns));
        }
        if is_raw::<R>() {
            return accepted(self.host.line(cells[0]));
        }
        accepted(self.host.emit(cells))
    }
}

impl Output<'_, Line> {
    /// Adds one raw output line, in a single call. It should contain no line break, because the output would
    /// then have two lines.
    ///
    /// # Errors
    /// Rejects the record if the host refuses the line because it is too large. Pass the error on with `?`.
    #[inline]
    pub fn line(&mut self, line: &[u8]) -> Result {
        accepted(self.host.line(crate::abi::Bytes::of(line)))
    }
}

impl<R> Output<'_, R> {
    /// Finishes a held record as done, with the rows emitted for it.
    pub fn done(&mut self, held: Held) {
        self.host.done(held.into_record(), Status::Ok, "");
    }

    /// Finishes a record that the task has been given by the current call, with the rows emitted for it: the
    /// cheap way in [`handle_batch`](crate::Task::handle_batch). After `handle`, a record is finished anyway.
    #[inline]
    pub fn finish(&mut self, record: Record<'_>) {
        record.finish();
    }

    /// The same, for a record that the task was given itself.
    pub(crate) fn done_in_batch(&mut self, record: u64) {
        self.host.done(record, Status::Ok, "");
    }

    /// Finishes a held record as failed; `error` says whether it is tried again.
    pub fn fail(&mut self, held: Held, error: Error) {
        self.host.done(held.into_record(), error.status(), &error.message());
    }

    /// Whether the grid is shutting down. If `handle` takes long, check this now and then, and once it is
    /// true, return a [`retry`](Error::retry) soon.
    pub fn stopping(&self) -> bool {
        self.host.stopping()
    }
}

/// Whether rows of this type are raw lines.
pub(crate) fn is_raw<R: 'static>() -> bool {
    TypeId::of::<R>() == TypeId::of::<Line>()
}

#[inline]
fn accepted(status: Status) -> Result {
    match status {
        Status::Ok => Ok(()),
        status => Err(refused(status)),
    }
}

#[cold]
fn refused(status: Status) -> Error {
    const MESSAGE: &str = "SimpleGrid refused an output row (is it too large?)";
    match status {
        Status::Retry => Error::retry(MESSAGE),
        Status::Fatal | Status::Panic => Error::fatal(MESSAGE),
        Status::Ok | Status::Held | Status::Reject => Error::reject(MESSAGE),
    }
}

#[cold]
fn other_columns(cells: usize, columns: usize) -> Error {
    Error::fatal(format_args!(
        "a row of {cells} cells, but its type has {columns} columns: \
         does it serialise other fields than it deserialises?"
    ))
}
