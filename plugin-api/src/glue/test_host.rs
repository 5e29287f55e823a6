//! The host's side of the table, for tests: callbacks that record what they are told.

use std::cell::RefCell;
use std::ffi::c_void;

use super::entry_points::{create_from_entry, destroy, flush, handle, handle_batch};
use super::partition::key_of;
use super::{HostCalls, TaskEntry};
use crate::abi::{self, Bytes, Host, RecordFieldsV1};
use crate::fields::Splitter;
use crate::testing::heard::{Finished, Logged};
use crate::{Partitioner, Status};

/// What the callbacks were told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The rows.
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// The raw lines.
    pub(crate) lines: Vec<Vec<u8>>,
    /// Every `done`, in order.
    pub(crate) done: Vec<Finished>,
    /// What `stopping` answers.
    pub(crate) stopping: bool,
    /// The record in hand.
    line: Vec<u8>,
    splitter: Splitter,
    /// The fields of the record in hand, as the task sees them.
    fields: Vec<Bytes>,
    /// One for each record of a batch that was asked for its fields.
    splitters: Vec<Splitter>,
}

thread_local! {
    /// What this thread logged. A plugin's log has no context, and a test is one thread.
    static LOGS: RefCell<Vec<Logged>> = const { RefCell::new(Vec::new()) };
}

/// What the task's code logged on this thread since the last call.
pub(crate) fn take_logs() -> Vec<Logged> {
    LOGS.take()
}

/// A copy of the bytes that the other side points to.
///
/// # Safety
/// They must live during the call.
unsafe fn bytes_of(bytes: &Bytes) -> Vec<u8> {
    // SAFETY: the caller promises it.
    unsafe { bytes.get() }.unwrap_or_default().to_vec()
}

/// The same as text; `None` for NULL.
///
/// # Safety
/// As for [`bytes_of`].
unsafe fn text_of(bytes: &Bytes) -> Option<String> {
    // SAFETY: the caller promises it.
    let text = |bytes| String::from_utf8_lossy(&unsafe { bytes_of(bytes) }).into_owned();
    (!bytes.ptr.is_null()).then(|| text(bytes))
}

/// The fields of a record as texts, to look at what a splitter does.
#[cfg(test)]
pub(crate) fn split_texts(splitter: &mut Splitter, record: &str) -> Vec<String> {
    let fields = splitter.split(record.as_bytes());
    // SAFETY: the fields point into the record and the splitter, and both are borrowed here.
    fields.iter().map(|field| unsafe { text_of(field) }.unwrap_or_default()).collect()
}

/// A task that runs under test, and its host.
#[derive(Debug)]
pub(crate) struct TestTask {
    state: *mut c_void,
    /// In a box of its own, because the callbacks have its address. It is not borrowed while the task is
    /// being called.
    seen: Box<RefCell<Seen>>,
}

impl TestTask {
    /// Makes a task, or returns what it said instead.
    pub(crate) fn create(entry: &TaskEntry, args: &[(&str, &str)]) -> Result<Self, Finished> {
        let seen = Box::<RefCell<Seen>>::default();
        // SAFETY: the callbacks take the address of `seen`, which outlives the task (`drop` destroys it
        // first).
        let host = unsafe { HostCalls::new(host_of(&seen)) };
        let state = create_from_entry(entry, args, host);
        if state.is_null() {
            let said = seen.borrow_mut().done.pop();
            return Err(said.expect("a `create` that fails says why"));
        }
        Ok(Self { state, seen })
    }

    /// `Plugin::handle`.
    pub(crate) fn handle(&mut self, record: u64, line: &[u8]) -> Status {
        {
            let seen = &mut *self.seen.borrow_mut();
            seen.line.clear();
            seen.line.extend_from_slice(line);
        }
        // SAFETY: `state` is from `create` and not destroyed, `&mut self` keeps other calls out, and `line`
        // lives during the call.
        Status::from_code(unsafe { handle(self.state, record, Bytes::of(line)) })
    }

    /// `BatchV1::handle`.
    pub(crate) fn handle_batch(&mut self, first: u64, lines: &[&[u8]]) -> Status {
        self.seen.borrow_mut().splitters.clear();
        let lines: Vec<_> = lines.iter().map(|line| Bytes::of(line)).collect();
        // SAFETY: `state` is from `create` and not destroyed, `&mut self` keeps other calls out, and the
        // lines live during the call.
        Status::from_code(unsafe { handle_batch(self.state, first, lines.as_ptr(), lines.len()) })
    }

    /// `Plugin::flush`.
    pub(crate) fn flush(&mut self, last: bool) -> Status {
        // SAFETY: `state` is from `create` and not destroyed, and `&mut self` keeps other calls out.
        Status::from_code(unsafe { flush(self.state, last) })
    }

    /// What the callbacks were told.
    pub(crate) fn seen(&self) -> std::cell::Ref<'_, Seen> {
        self.seen.borrow()
    }

    /// The same, to change it.
    pub(crate) fn seen_mut(&mut self) -> &mut Seen {
        self.seen.get_mut()
    }
}

impl Drop for TestTask {
    fn drop(&mut self) {
        // SAFETY: `state` is from `create`, and this is the only and last use of it.
        unsafe { destroy(self.state) };
    }
}

/// The key of a record, or what the partitioner said.
pub(crate) fn test_key(partitioner: &dyn Partitioner, line: &[u8]) -> Result<Vec<u8>, Finished> {
    let seen = RefCell::new(Seen { line: line.to_vec(), ..Seen::default() });
    // SAFETY: the callbacks take the address of `seen`, which outlives the call.
    let host = unsafe { HostCalls::new(host_of(&seen)) };
    let mut key = Vec::new();
    match key_of(partitioner, line, &host, |bytes| key.extend_from_slice(bytes)) {
        Status::Ok => Ok(key),
        _ => Err(seen.borrow_mut().done.pop().expect("a `key` that fails says why")),
    }
}

fn host_of(seen: &RefCell<Seen>) -> Host {
    let ctx = std::ptr::from_ref(seen).cast_mut().cast();
    Host { ctx, emit, line, fields, done, log, stopping, extension }
}

/// The context of a callback.
///
/// # Safety
/// `ctx` must be what [`host_of`] took the address of, and still be alive.
unsafe fn seen<'a>(ctx: *mut c_void) -> std::cell::RefMut<'a, Seen> {
    // SAFETY: the caller promises it; `RefCell` allows shared access, and all of it is on one thread.
    unsafe { &*ctx.cast::<RefCell<Seen>>() }.borrow_mut()
}

unsafe extern "C" fn emit(ctx: *mut c_void, cells: *const Bytes, n: usize) -> i32 {
    // SAFETY: `ctx` is ours, and `Output::emit` passes `n` cells that live during the call.
    let (mut seen, cells) = unsafe { (seen(ctx), std::slice::from_raw_parts(cells, n)) };
    // SAFETY: what the cells point to lives during the call too.
    seen.rows.push(cells.iter().map(|cell| unsafe { text_of(cell) }).collect());
    abi::OK
}

unsafe extern "C" fn line(ctx: *mut c_void, line: Bytes) -> i32 {
    // SAFETY: `ctx` is ours, and the line lives during the call.
    let (mut seen, line) = unsafe { (seen(ctx), bytes_of(&line)) };
    seen.lines.push(line);
    abi::OK
}

unsafe extern "C" fn fields(ctx: *mut c_void, fields: *mut *const Bytes) -> usize {
    // SAFETY: `ctx` is ours.
    let mut seen = unsafe { seen(ctx) };
    let seen = &mut *seen;
    seen.fields.clear();
    // Both the record's copy and the splitter's buffers stay as they are until the next record.
    seen.fields.extend_from_slice(seen.splitter.split(&seen.line));
    // SAFETY: `HostCalls::fields` passes a place for one pointer.
    unsafe { *fields = seen.fields.as_ptr() };
    seen.fields.len()
}

unsafe extern "C" fn fields_of(ctx: *mut c_void, line: Bytes, fields: *mut *const Bytes) -> usize {
    // SAFETY: `ctx` is ours, and the line lives until the call that asks returns.
    let (mut seen, line) = unsafe { (seen(ctx), line.get().unwrap_or_default()) };
    seen.splitters.push(Splitter::default());
    let found = seen.splitters.last_mut().expect("it was pushed just now").split(line);
    // SAFETY: `HostCalls::fields_of` passes a place for one pointer. The fields are on the heap, where they
    // stay when the splitter moves.
    unsafe { *fields = found.as_ptr() };
    found.len()
}

unsafe extern "C" fn done(ctx: *mut c_void, record: u64, status: i32, message: Bytes) {
    // SAFETY: `ctx` is ours, and the message lives during the call.
    let (mut seen, message) = unsafe { (seen(ctx), text_of(&message).unwrap_or_default()) };
    seen.done.push(Finished { record, status: Status::from_code(status), message });
}

unsafe extern "C" fn log(_ctx: *mut c_void, level: u32, target: Bytes, message: Bytes) {
    // SAFETY: both texts live during the call.
    let text = |bytes| unsafe { text_of(bytes) }.unwrap_or_default();
    LOGS.with_borrow_mut(|logs| logs.push(Logged { level, target: text(&target), message: text(&message) }));
}

unsafe extern "C" fn stopping(ctx: *mut c_void) -> bool {
    // SAFETY: `ctx` is ours.
    unsafe { seen(ctx) }.stopping
}

unsafe extern "C" fn extension(_ctx: *mut c_void, id: Bytes) -> *const c_void {
    /// Tests see everything.
    static TRACE: u32 = 5;
    static FIELDS: RecordFieldsV1 = RecordFieldsV1 { fields: fields_of };
    // SAFETY: the name lives during the call.
    match unsafe { bytes_of(&id) }.as_slice() {
        abi::LOG_LEVEL_V1 => std::ptr::from_ref(&TRACE).cast(),
        abi::RECORD_FIELDS_V1 => std::ptr::from_ref(&FIELDS).cast(),
        _ => std::ptr::null(),
    }
}
