//! A task of a plugin, while it lives.

use std::ffi::c_void;
use std::ptr::NonNull;

use simplegrid_plugin_api::Status;
use simplegrid_plugin_api::abi::{BATCH_V1, BatchV1, Bytes, Pair, Plugin};

use super::context::Context;
use crate::plugin::call_error::CallError;
use crate::plugin::task_host::TaskHost;

/// A task and its host. It stays on the thread that created it (it is neither `Send` nor `Sync`), as the
/// table demands.
#[derive(Debug)]
pub struct LoadedTask<H> {
    state: NonNull<c_void>,
    handle: unsafe extern "C" fn(state: *mut c_void, record: u64, line: Bytes) -> i32,
    flush: unsafe extern "C" fn(state: *mut c_void, last: bool) -> i32,
    destroy: unsafe extern "C" fn(state: *mut c_void),
    /// How it takes several records in one call, and how many at most; `None` if it does not.
    batch: Option<(BatchV1, usize)>,
    /// The records of such a call, while they are put together.
    lines: Vec<Bytes>,
    /// From a box, but as a raw pointer: a box claims to be the only one with its address, and the plugin
    /// has it too.
    context: NonNull<Context<H>>,
}

impl<H: TaskHost> LoadedTask<H> {
    /// Creates the task. The name and the arguments must point to data that lives during this call.
    pub(super) fn create(table: &Plugin, name: Bytes, args: &[Pair], host: H) -> Result<Self, CallError> {
        let context = NonNull::from(Box::leak(Box::new(Context::new(host))));
        // SAFETY: it was leaked just now and nothing frees it before `drop`, unless `create` fails.
        let host = unsafe { context.as_ref() }.host_table();
        // SAFETY: the name, the arguments and `host` live during the call, and the context until `drop` has
        // destroyed the state.
        let state = unsafe { (table.create)(name, args.as_ptr(), args.len(), &raw const host) };
        let Some(state) = NonNull::new(state) else {
            // SAFETY: it was leaked above, and a plugin whose `create` failed no longer uses its host.
            let context = unsafe { Box::from_raw(context.as_ptr()) };
            return Err(context.failure(None));
        };
        // SAFETY: it was leaked above and nothing frees it before `drop`; the plugin is not running.
        unsafe { context.as_ref() }.set_alive();
        let mut task = Self {
            state,
            handle: table.handle,
            flush: table.flush,
            destroy: table.destroy,
            batch: None,
            lines: Vec::new(),
            context,
        };
        task.batch = task.find_batch(table);
        Ok(task)
    }

    fn find_batch(&mut self, table: &Plugin) -> Option<(BatchV1, usize)> {
        // SAFETY: the table is a plugin's, and the name lives during the call.
        let extension = unsafe { (table.extension)(Bytes::of(BATCH_V1)) };
        // SAFETY: a plugin returns null for this extension, or a pointer to the table of that name, which
        // lives as long as the process.
        let batch = unsafe { extension.cast::<BatchV1>().as_ref() }?;
        // SAFETY: the state is alive, and `&mut self` keeps other calls out.
        let max = unsafe { (batch.max)(self.state.as_ptr()) };
        (max > 1).then_some((*batch, max as usize))
    }

    /// The most records that the task takes in one call.
    #[inline]
    pub fn batch_max(&self) -> usize {
        self.batch.map_or(1, |(_, max)| max)
    }

    /// Runs the task over many records; those after the first have the numbers that follow `record`.
    ///
    /// # Panics
    /// If the task takes only one at a time.
    pub fn handle_batch<'r>(&mut self, record: u64, lines: impl Iterator<Item = &'r [u8]>) -> Status {
        let (batch, _) = self.batch.expect("only a task of which `batch_max` is more than 1 is asked");
        self.lines.clear();
        self.lines.extend(lines.map(Bytes::of));
        self.context().set_record(Bytes::NULL);
        // SAFETY: the state is alive, `&mut self` keeps other calls out, and the lines live during the call.
        Status::from_code(unsafe {
            (batch.handle)(self.state.as_ptr(), record, self.lines.as_ptr(), self.lines.len())
        })
    }

    /// Runs the task over one record. `record` is any number that was not used for this task before.
    /// Meanwhile, the rows and messages of the task go to the host.
    #[inline]
    pub fn handle(&mut self, record: u64, line: &[u8]) -> Status {
        self.context().set_record(Bytes::of(line));
        // SAFETY: the state is alive, `&mut self` keeps other calls out, and `line` lives during the call.
        Status::from_code(unsafe { (self.handle)(self.state.as_ptr(), record, Bytes::of(line)) })
    }

    /// Asks the task to finish what it holds; with `last`, no record follows.
    pub fn flush(&mut self, last: bool) -> Status {
        self.context().set_record(Bytes::NULL);
        // SAFETY: the state is alive, and `&mut self` keeps other calls out.
        Status::from_code(unsafe { (self.flush)(self.state.as_ptr(), last) })
    }

    /// The host, between calls.
    #[inline]
    pub fn host(&mut self) -> &mut H {
        // SAFETY: the context lives until `drop`. `&mut self` means that no call is running, so no callback
        // is either, and other threads of the plugin touch only what may be shared (`stopping`), of which
        // this makes no unique reference.
        unsafe { &mut *Context::host_ptr(self.context.as_ptr()) }
    }

    #[inline]
    fn context(&self) -> &Context<H> {
        // SAFETY: the context lives until `drop`, and all that is unique is behind cells.
        unsafe { self.context.as_ref() }
    }
}

impl<H> Drop for LoadedTask<H> {
    fn drop(&mut self) {
        // SAFETY: the state is alive, no call is running (we own the task), and this is its last use.
        unsafe { (self.destroy)(self.state.as_ptr()) };
        // SAFETY: it is from a box, and with the task gone, nothing else has its address.
        drop(unsafe { Box::from_raw(self.context.as_ptr()) });
    }
}
