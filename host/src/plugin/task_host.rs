//! What a worker does for the task that it runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use simplegrid_plugin_api::Status;
use simplegrid_plugin_api::abi::Bytes;

use super::cells::Cells;

/// The host's side of a running task. All functions are called during a call of the task, on its thread.
///
/// They must not panic: the panic would have to cross C, so it ends the process.
pub trait TaskHost {
    /// Accepts one output row: its cells, which are valid during the call. Any status but [`Status::Ok`]
    /// refuses the row, and becomes the status of the record unless the task returns another.
    fn emit(&mut self, cells: Cells<'_>) -> Status;

    /// Accepts one raw output line.
    fn line(&mut self, line: &[u8]) -> Status;

    /// The fields of the current record. They stay unchanged until the call that asks for them returns. A
    /// task asks at most once per record, unless it is written in another language.
    fn fields(&mut self, record: &[u8]) -> &[Bytes];

    /// The fields of any record of the current call, which can have brought several. They stay unchanged
    /// until that call returns. Only a host that runs batches is asked.
    fn fields_of(&mut self, _record: &[u8]) -> &[Bytes] {
        &[]
    }

    /// Finishes a held record, or one of several in hand (or keeps it, with [`Status::Held`]), or gives the
    /// message for the status that the current call is about to return
    /// (see [`Host::done`](simplegrid_plugin_api::abi::Host::done)). The plugin may name any number: a
    /// number that is not held must be ignored.
    fn done(&mut self, record: u64, status: Status, message: &[u8]);

    /// The flag that says whether the grid is shutting down. The host is asked for it once, when the task is
    /// created; the task's threads may read it at any time, so it is not behind `&mut self`.
    fn stopping(&self) -> Arc<AtomicBool>;
}
