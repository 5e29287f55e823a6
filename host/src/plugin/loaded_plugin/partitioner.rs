//! A partitioner of a plugin.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use simplegrid_plugin_api::Status;
use simplegrid_plugin_api::abi::{Bytes, PartitionV1};
use simplegrid_plugin_api::fields::Splitter;

use super::context::Context;
use crate::plugin::call_error::CallError;
use crate::plugin::cells::Cells;
use crate::plugin::task_host::TaskHost;

/// Computes partition keys. Records are split into fields at commas if the partitioner asks for fields.
#[derive(Debug)]
pub struct LoadedPartitioner {
    table: PartitionV1,
    id: i32,
    context: Box<Context<KeyHost>>,
}

impl LoadedPartitioner {
    /// The partitioner of that name.
    ///
    /// # Safety
    /// `table` must be null or point to a plugin's table.
    pub(super) unsafe fn find(table: *const PartitionV1, name: &str) -> Option<Self> {
        if table.is_null() {
            return None;
        }
        // SAFETY: the caller promises that it points to a table.
        let table = unsafe { *table };
        // SAFETY: the table is a plugin's, and the name lives during the call.
        let id = unsafe { (table.find)(Bytes::of(name.as_bytes())) };
        (id >= 0).then(|| Self { table, id, context: Box::new(Context::new(KeyHost::default())) })
    }

    /// Replaces what is in `key` with the key of a record.
    ///
    /// # Errors
    /// What the partitioner said; `key` is empty then.
    pub fn key(&mut self, line: &[u8], key: &mut Vec<u8>) -> Result<(), CallError> {
        key.clear();
        self.context.set_record(Bytes::of(line));
        let host = self.context.host_table();
        let sink = std::ptr::from_mut(key).cast();
        // SAFETY: the id is the table's own; the line, the host and `key`, which `put` writes to, live during
        // the call, and nothing else touches `key` meanwhile.
        let code = unsafe { (self.table.key)(self.id, Bytes::of(line), &raw const host, sink, put) };
        match Status::from_code(code) {
            Status::Ok => Ok(()),
            status => {
                key.clear();
                Err(self.context.failure(Some(status)))
            }
        }
    }
}

// SAFETY: a partitioner may be called by any one thread at a time, which `&mut self` ensures. The context
// points to nothing between calls: `record` is set anew by each, and not read in between.
unsafe impl Send for LoadedPartitioner {}

/// Receives the key, during `LoadedPartitioner::key`.
unsafe extern "C" fn put(sink: *mut c_void, key: Bytes) {
    // SAFETY: the plugin passes our sink back during the call that it was passed to, so it is the `key` of
    // that call; the bytes live during this one.
    let (sink, key) = unsafe { (&mut *sink.cast::<Vec<u8>>(), key.get()) };
    sink.extend_from_slice(key.unwrap_or_default());
}

/// The host of a partitioner, which only has fields.
#[derive(Debug, Default)]
struct KeyHost {
    splitter: Splitter,
    stopping: Arc<AtomicBool>,
}

impl TaskHost for KeyHost {
    fn emit(&mut self, _cells: Cells<'_>) -> Status {
        Status::Fatal
    }

    fn line(&mut self, _line: &[u8]) -> Status {
        Status::Fatal
    }

    fn fields(&mut self, record: &[u8]) -> &[Bytes] {
        self.splitter.split(record)
    }

    fn done(&mut self, _record: u64, _status: Status, _message: &[u8]) {}

    fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopping)
    }
}
