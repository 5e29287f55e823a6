//! The callbacks of the table, and what is behind their context pointer.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use simplegrid_plugin_api::Status;
use simplegrid_plugin_api::abi::{self, Bytes, Host, RecordFieldsV1};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::plugin::call_error::CallError;
use crate::plugin::cells::Cells;
use crate::plugin::task_host::TaskHost;

/// What the callbacks of one task work on. It must not move while the plugin has its address.
///
/// The callbacks make a `&mut H` out of a shared `Context`. That is sound because only one can exist at a
/// time. They run on the thread of the task's owner and during a call that the owner has started, which it
/// cannot do while it lends out the host itself. They do not nest, because an `H` has no way to call its
/// task. And `H` is behind an `UnsafeCell`, so the compiler assumes nothing about it meanwhile. `stopping`
/// and `log`, which other threads may call, never touch `H`.
#[derive(Debug)]
pub(super) struct Context<H> {
    host: UnsafeCell<H>,
    /// The current record, during the call that brought it; NULL otherwise.
    record: Cell<Bytes>,
    /// What the plugin said while no task was alive.
    said: RefCell<Option<CallError>>,
    /// Whether the task is alive, so that its messages concern its records.
    alive: Cell<bool>,
    stopping: Arc<AtomicBool>,
}

impl<H: TaskHost> Context<H> {
    const RECORD_FIELDS: &'static RecordFieldsV1 = &RecordFieldsV1 { fields: fields_of::<H> };

    pub(super) fn new(host: H) -> Self {
        let stopping = host.stopping();
        Self {
            host: UnsafeCell::new(host),
            record: Cell::new(Bytes::NULL),
            said: RefCell::new(None),
            alive: Cell::new(false),
            stopping,
        }
    }

    /// The callbacks with the address of this context. They may be called while the context lives and does
    /// not move.
    pub(super) fn host_table(&self) -> Host {
        Host {
            ctx: std::ptr::from_ref(self).cast_mut().cast(),
            emit: emit::<H>,
            line: line::<H>,
            fields: fields::<H>,
            done: done::<H>,
            log,
            stopping: stopping::<H>,
            extension: extension::<H>,
        }
    }

    /// Sets the record of the next call; NULL for a call without a record.
    #[inline]
    pub(super) fn set_record(&self, record: Bytes) {
        self.record.set(record);
    }

    /// From now on, the messages of the task go to the host.
    pub(super) fn set_alive(&self) {
        self.alive.set(true);
    }

    /// The address of the host, without a reference to the context.
    ///
    /// # Safety
    /// `context` must point to a living context.
    #[inline]
    pub(super) unsafe fn host_ptr(context: *mut Self) -> *mut H {
        // SAFETY: the caller promises that the context lives; this only computes an address.
        unsafe { UnsafeCell::raw_get(&raw const (*context).host) }
    }

    /// The error of a call that failed, in the plugin's words. If the call returned a status, that decides
    /// what to do; `create` only returns null.
    pub(super) fn failure(&self, returned: Option<Status>) -> CallError {
        let silent = || CallError::fatal("the plugin failed without saying why");
        let CallError { status, message } = self.said.take().unwrap_or_else(silent);
        match returned.unwrap_or(status) {
            // The call failed, so a status that says otherwise breaks the rules.
            Status::Ok | Status::Held => CallError::fatal(message),
            status => CallError { status, message },
        }
    }

    /// # Safety
    /// As for the callbacks: see [`Context`].
    #[inline]
    #[allow(clippy::mut_from_ref)]
    unsafe fn host_mut(&self) -> &mut H {
        // SAFETY: the caller is a callback, so this is the only reference (see `Context`).
        unsafe { &mut *self.host.get() }
    }
}

/// The context of a callback.
///
/// # Safety
/// `ctx` must come from [`Context::host_table`] of a context of the same `H` that still lives.
#[inline]
unsafe fn context<'a, H>(ctx: *mut c_void) -> &'a Context<H> {
    // SAFETY: the caller promises it.
    unsafe { &*ctx.cast::<Context<H>>() }
}

unsafe extern "C" fn emit<H: TaskHost>(ctx: *mut c_void, cells: *const Bytes, n: usize) -> i32 {
    // SAFETY: the plugin passes our context back, on the thread and during the run of a call.
    let host = unsafe { context::<H>(ctx).host_mut() };
    // SAFETY: the plugin passes `n` cells that live during this call (if there are none, the pointer may be
    // anything).
    let cells = if n == 0 { &[] } else { unsafe { std::slice::from_raw_parts(cells, n) } };
    // SAFETY: what the cells point to lives during this call as well.
    host.emit(unsafe { Cells::new(cells) }).code()
}

unsafe extern "C" fn line<H: TaskHost>(ctx: *mut c_void, line: Bytes) -> i32 {
    // SAFETY: the plugin passes our context back, on the thread and during the run of a call, and a line that
    // lives during this one.
    let (host, line) = unsafe { (context::<H>(ctx).host_mut(), line.get()) };
    host.line(line.unwrap_or_default()).code()
}

unsafe extern "C" fn fields<H: TaskHost>(ctx: *mut c_void, fields: *mut *const Bytes) -> usize {
    // SAFETY: the plugin passes our context back, on the thread and during the run of a call.
    let context = unsafe { context::<H>(ctx) };
    // SAFETY: the record is that of the current call and lives until it returns; `host_mut` as above.
    let (record, host) = unsafe { (context.record.get().get(), context.host_mut()) };
    let found = record.map(|record| host.fields(record)).unwrap_or_default();
    // SAFETY: the plugin passes a place for one pointer.
    unsafe { *fields = found.as_ptr() };
    found.len()
}

unsafe extern "C" fn fields_of<H: TaskHost>(
    ctx: *mut c_void,
    line: Bytes,
    fields: *mut *const Bytes,
) -> usize {
    // SAFETY: the plugin passes our context back, on the thread and during the run of a call, and a line that
    // lives until that call returns.
    let (host, line) = unsafe { (context::<H>(ctx).host_mut(), line.get()) };
    let found = host.fields_of(line.unwrap_or_default());
    // SAFETY: the plugin passes a place for one pointer.
    unsafe { *fields = found.as_ptr() };
    found.len()
}

unsafe extern "C" fn done<H: TaskHost>(ctx: *mut c_void, record: u64, status: i32, message: Bytes) {
    // SAFETY: the plugin passes our context back, on the thread and during the run of a call, and a message
    // that lives during this one.
    let (context, message) = unsafe { (context::<H>(ctx), message.get().unwrap_or_default()) };
    if !context.alive.get() {
        let message = String::from_utf8_lossy(message).into_owned();
        context.said.replace(Some(CallError { status: Status::from_code(status), message }));
        return;
    }
    // SAFETY: as above; no other reference to the host lives here.
    unsafe { context.host_mut() }.done(record, Status::from_code(status), message);
}

/// Does not touch the context: any thread may log, even after its task is gone.
unsafe extern "C" fn log(_ctx: *mut c_void, level: u32, target: Bytes, message: Bytes) {
    // SAFETY: the plugin passes texts that live during this call.
    let (target, message) = unsafe { (target.get().unwrap_or_default(), message.get().unwrap_or_default()) };
    let (target, message) = (String::from_utf8_lossy(target), String::from_utf8_lossy(message));
    match level {
        1 => tracing::event!(target: "plugin", Level::ERROR, module = %target, "{message}"),
        2 => tracing::event!(target: "plugin", Level::WARN, module = %target, "{message}"),
        3 => tracing::event!(target: "plugin", Level::INFO, module = %target, "{message}"),
        4 => tracing::event!(target: "plugin", Level::DEBUG, module = %target, "{message}"),
        _ => tracing::event!(target: "plugin", Level::TRACE, module = %target, "{message}"),
    }
}

unsafe extern "C" fn stopping<H>(ctx: *mut c_void) -> bool {
    let context = ctx.cast::<Context<H>>();
    // SAFETY: the plugin passes our context back while its task lives. Any thread may be here, so nothing but
    // this field is referenced, and an `Arc<AtomicBool>` may be shared.
    let stopping = unsafe { &(*context).stopping };
    stopping.load(Ordering::Relaxed)
}

unsafe extern "C" fn extension<H: TaskHost>(_ctx: *mut c_void, id: Bytes) -> *const c_void {
    // SAFETY: the plugin passes a name that lives during this call.
    match unsafe { id.get() } {
        Some(abi::LOG_LEVEL_V1) => std::ptr::from_ref(log_level()).cast(),
        Some(abi::RECORD_FIELDS_V1) => std::ptr::from_ref(Context::<H>::RECORD_FIELDS).cast(),
        _ => std::ptr::null(),
    }
}

/// The highest level that our log keeps, so that a plugin does not format messages that are not shown.
fn log_level() -> &'static u32 {
    static LEVEL: OnceLock<u32> = OnceLock::new();
    LEVEL.get_or_init(|| match LevelFilter::current().into_level() {
        None => 0,
        Some(Level::ERROR) => 1,
        Some(Level::WARN) => 2,
        Some(Level::INFO) => 3,
        Some(Level::DEBUG) => 4,
        Some(_) => 5,
    })
}

/// The host of calls without a record: nothing can be written, and there are no fields.
#[derive(Debug, Default)]
pub(super) struct NoTask {
    stopping: Arc<AtomicBool>,
}

impl TaskHost for NoTask {
    fn emit(&mut self, _cells: Cells<'_>) -> Status {
        Status::Fatal
    }

    fn line(&mut self, _line: &[u8]) -> Status {
        Status::Fatal
    }

    fn fields(&mut self, _record: &[u8]) -> &[Bytes] {
        &[]
    }

    fn done(&mut self, _record: u64, _status: Status, _message: &[u8]) {}

    fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopping)
    }
}
