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
    /// Takes one output row: its cells, which are valid during the call. Anything but [`Status::Ok`] refuses
    /// it, and becomes the status of the record unless the task makes something else of it.
    fn emit(&mut self, cells: Cells<'_>) -> Status;

    /// Takes one raw output line.
    fn line(&mut self, line: &[u8]) -> Status;

    /// The fields of the record in hand. They stay as they are until the call that asks returns, so it is
    /// called at most once per record, unless a task in another language asks again.
    fn fields(&mut self, record: &[u8]) -> &[Bytes];

    /// Finishes a held record, or gives the message of the status that the current call is about to return
    /// (see [`Host::done`](simplegrid_plugin_api::abi::Host::done)). The plugin may name any number: one that
    /// is not held is to be ignored.
    fn done(&mut self, record: u64, status: Status, message: &[u8]);

    /// What says that the grid is shutting down. Asked once, when the task is made; the task's threads may
    /// read it at any time, so it is not behind `&mut self`.
    fn stopping(&self) -> Arc<AtomicBool>;
}
