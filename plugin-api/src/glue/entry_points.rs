//! The functions of the table, for one library.

use std::ffi::c_void;

use abi_stable::prefix_type::PrefixTypeTrait;

use super::guard::guard;
use super::host_text::utf8;
use super::library::find_task;
use super::live_task::{ErasedTask, State, report};
use super::task_entry::TaskEntry;
use super::{BytesList, HostCalls, Library, partition};
use crate::abi::{ABI, BATCH_V1, BatchV1, Bytes, Host, PARTITION_V1, Pair, Plugin, PluginRef};
use crate::{Result, bridge, manifest};

/// The table of a library, for its root module.
pub fn root<L: Library>() -> PluginRef {
    let plugin = Plugin {
        abi: ABI,
        manifest: manifest_json::<L>,
        extension: extension::<L>,
        prepare: prepare::<L>,
        create: create::<L>,
        handle,
        flush,
        destroy,
    };
    plugin.leak_into_prefix()
}

unsafe extern "C" fn manifest_json<L: Library>() -> Bytes {
    // It must live as long as the process, and the host asks once, so leaking it is the simplest way.
    let json = guard(|| manifest::json::<L>().leak());
    json.map_or(Bytes::NULL, |json| Bytes::of(json.as_bytes()))
}

unsafe extern "C" fn extension<L: Library>(id: Bytes) -> *const c_void {
    // SAFETY: the host passes a name that lives during the call.
    match unsafe { id.get() } {
        Some(BATCH_V1) => {
            static BATCH: BatchV1 = BatchV1 { max: batch_max, handle: handle_batch };
            std::ptr::from_ref(&BATCH).cast()
        }
        Some(PARTITION_V1) if !L::partitioners().is_empty() => partition::table::<L>().cast(),
        _ => std::ptr::null(),
    }
}

unsafe extern "C" fn prepare<L: Library>(task: Bytes, args: *const Pair, n: usize, host: *const Host) -> i32 {
    // SAFETY: the host passes a valid `Host` that works until this call returns; only this call uses it.
    let host = unsafe { HostCalls::new(*host) };
    bridge::install(&host);
    // SAFETY: the host passes a name and `n` arguments that live during the call.
    let result = guard(|| unsafe { (named::<L>(task)?.prepare)(&pairs(args, n)?) });
    report(&host, 0, result).code()
}

unsafe extern "C" fn create<L: Library>(
    task: Bytes,
    args: *const Pair,
    n: usize,
    host: *const Host,
) -> *mut c_void {
    // SAFETY: the host passes a valid `Host` that works until `destroy` has returned, which frees all copies.
    let host = unsafe { HostCalls::new(*host) };
    // SAFETY: the host passes a name and `n` arguments that live during the call.
    start(host, || unsafe { (named::<L>(task)?.create)(&pairs(args, n)?, host) })
}

/// Makes the state of a task whose type is known. Tests start tasks this way.
pub(super) fn create_from_entry(entry: &TaskEntry, args: &[(&str, &str)], host: HostCalls) -> *mut c_void {
    start(host, || (entry.create)(args, host))
}

fn start(host: HostCalls, create: impl FnOnce() -> Result<Box<dyn ErasedTask>>) -> *mut c_void {
    bridge::install(&host);
    let failed = match guard(create) {
        Ok(Ok(task)) => return Box::into_raw(Box::new(State::new(task, host))).cast(),
        Ok(Err(error)) => Ok(Err(error)),
        Err(panic) => Err(panic),
    };
    report(&host, 0, failed);
    std::ptr::null_mut()
}

/// `Plugin::handle`.
///
/// # Safety
/// `state` must come from `create` and not have been destroyed; no other call with it may be running. `line`
/// must live until this returns.
pub(super) unsafe extern "C" fn handle(state: *mut c_void, record: u64, line: Bytes) -> i32 {
    // SAFETY: the host passes a state that `create` made and that no other call is using, and callbacks do
    // not call back into the plugin, so this is the only reference.
    let state = unsafe { &mut *state.cast::<State>() };
    // SAFETY: the host passes a line that lives during the call.
    let line = unsafe { line.get() }.unwrap_or_default();
    state.handle(record, line).code()
}

/// `BatchV1::max`.
///
/// # Safety
/// As for [`handle`].
pub(super) unsafe extern "C" fn batch_max(state: *mut c_void) -> u32 {
    // SAFETY: as in `handle`.
    let state = unsafe { &mut *state.cast::<State>() };
    state.batch_max()
}

/// `BatchV1::handle`.
///
/// # Safety
/// As for [`handle`]; `lines` must point to `n` lines that live until this returns.
pub(super) unsafe extern "C" fn handle_batch(
    state: *mut c_void,
    first_record: u64,
    lines: *const Bytes,
    n: usize,
) -> i32 {
    // SAFETY: as in `handle`.
    let state = unsafe { &mut *state.cast::<State>() };
    // SAFETY: the host passes `n` lines that live during the call.
    let lines = unsafe { BytesList::new(lines, n) };
    state.handle_batch(first_record, lines).code()
}

/// `Plugin::flush`.
///
/// # Safety
/// As for [`handle`].
pub(super) unsafe extern "C" fn flush(state: *mut c_void, last: bool) -> i32 {
    // SAFETY: as in `handle`.
    let state = unsafe { &mut *state.cast::<State>() };
    state.flush(last).code()
}

/// `Plugin::destroy`.
///
/// # Safety
/// `state` must come from `create` and not have been destroyed. No call with it may be running or follow.
pub(super) unsafe extern "C" fn destroy(state: *mut c_void) {
    // SAFETY: `create` made this box, and the host calls `destroy` once, after all other calls.
    let mut state = unsafe { Box::from_raw(state.cast::<State>()) };
    state.drop_task();
}

/// The task that the host names.
///
/// # Safety
/// The name must live during the call.
unsafe fn named<L: Library>(task: Bytes) -> Result<&'static TaskEntry> {
    // SAFETY: the caller promises it.
    find_task::<L>(unsafe { utf8(task, "a task's name") }?)
}

/// The arguments that the host passes.
///
/// # Safety
/// `args` must point to `n` pairs (or may be anything if `n` is 0), which live during `'a`.
unsafe fn pairs<'a>(args: *const Pair, n: usize) -> Result<Vec<(&'a str, &'a str)>> {
    if n == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the caller promises `n` pairs that live during `'a`.
    let pairs = unsafe { std::slice::from_raw_parts(args, n) };
    pairs
        .iter()
        .map(|pair| {
            // SAFETY: the caller promises it of each pair's bytes too.
            unsafe { Ok((utf8(pair.key, "an argument's name")?, utf8(pair.value, "an argument")?)) }
        })
        .collect()
}
