//! The frozen table of C functions between the host and a plugin. It contains no code that runs.
//!
//! A Rust plugin's `abi_stable` root module and a C plugin's `simplegrid_plugin_v1` are both this one table.
//! `include/simplegrid.h` says the same in C and changes in the same commit.
//!
//! **Invariant:** no field is ever moved, removed or given another meaning. New abilities come as named
//! extensions (`Host::extension`, `Plugin::extension`), so [`ABI`] stays 1.
#![allow(unsafe_code)]

use std::ffi::c_void;

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;

/// The number in [`Plugin::abi`]. A host loads no other.
pub const ABI: u32 = 1;

/// The version of this crate. abi_stable compares it with the other side's, and accepts any version with the
/// same major number.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The record, or the whole call, is done.
pub const OK: i32 = 0;
/// `handle` keeps the record open; [`Host::done`] finishes it later.
pub const HELD: i32 = 1;
/// The record is bad: it fails and is not tried again.
pub const REJECT: i32 = -1;
/// The record may be tried again, a bounded number of times.
pub const RETRY: i32 = -2;
/// The task cannot continue.
pub const FATAL: i32 = -3;
/// The task panicked and is gone; any further call returns [`FATAL`].
pub const PANIC: i32 = -4;

/// The symbol of a C plugin's table, a static [`Plugin`].
pub const C_SYMBOL: &str = "simplegrid_plugin_v1";
/// The symbol that says which version of this crate a Rust plugin was built with, as a [`VersionText`].
pub const VERSION_SYMBOL: &str = "SIMPLEGRID_PLUGIN_API_VERSION";
/// The extension of a plugin that has partitioners: a [`PartitionV1`].
pub const PARTITION_V1: &[u8] = b"partition/1";
/// The extension of a plugin whose tasks can take many records in one call: a [`BatchV1`].
pub const BATCH_V1: &[u8] = b"batch/1";
/// The extension of a host that splits any record into fields, not only the one in hand: a
/// [`RecordFieldsV1`]. A host that knows [`BATCH_V1`] has it.
pub const RECORD_FIELDS_V1: &[u8] = b"record-fields/1";
/// The extension of a host that says how much it logs: a `u32`, the highest level that it keeps.
pub const LOG_LEVEL_V1: &[u8] = b"log-level/1";

/// Borrowed bytes. A null `ptr` is NULL: no value, which is not the same as no bytes.
///
/// Bytes that a callback or an entry point is given are valid until it returns, unless its documentation says
/// otherwise.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy)]
pub struct Bytes {
    /// The first byte; null means NULL.
    pub ptr: *const u8,
    /// The number of bytes.
    pub len: usize,
}

impl Bytes {
    /// No value.
    pub const NULL: Self = Self { ptr: std::ptr::null(), len: 0 };

    /// Points to `bytes`. The caller must use the result only while `bytes` lives.
    #[inline]
    pub const fn of(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// The bytes, or `None` for NULL.
    ///
    /// # Safety
    /// Unless `ptr` is null, it must point to `len` initialised bytes that are neither changed nor freed
    /// during `'a`.
    #[inline]
    pub const unsafe fn get<'a>(self) -> Option<&'a [u8]> {
        if self.ptr.is_null() {
            return None;
        }
        // SAFETY: the caller promises `len` initialised bytes that stay as they are during `'a`; `ptr` is
        // not null, and bytes have no alignment.
        Some(unsafe { std::slice::from_raw_parts(self.ptr, self.len) })
    }
}

/// One argument: `key=value` of the command line, both UTF-8.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy)]
pub struct Pair {
    /// The argument's name.
    pub key: Bytes,
    /// Its value as text.
    pub value: Bytes,
}

/// What the host does for a plugin.
///
/// The plugin copies the struct. `ctx` and all functions stay valid until `destroy` has returned; for
/// `prepare`, and for a `create` that fails, only until that call itself has returned. Unless a function is
/// marked "any thread", the plugin must call it on the thread of an entry point of the same state, and while
/// that entry point runs. No function calls back into the plugin.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy)]
pub struct Host {
    /// The host's own; passed to every function.
    pub ctx: *mut c_void,
    /// Adds an output row of `n` cells, one for each column of the manifest. The host copies them before it
    /// returns. Any result but [`OK`] means that the host refused the row because it is too large; the
    /// plugin then returns that status for the record.
    pub emit: unsafe extern "C" fn(ctx: *mut c_void, cells: *const Bytes, n: usize) -> i32,
    /// Adds a raw output line, without its terminator; otherwise like `emit`.
    pub line: unsafe extern "C" fn(ctx: *mut c_void, line: Bytes) -> i32,
    /// The fields of the record in hand, split in the host's dialect. They and the array stay valid until
    /// the `handle` or `key` that asked for them returns. In other calls there are no fields.
    pub fields: unsafe extern "C" fn(ctx: *mut c_void, fields: *mut *const Bytes) -> usize,
    /// Finishes a held record with a status and, unless the status is [`OK`], a message. For the record in
    /// hand, it supplies the message for the status that the current call is about to return, and what
    /// the call returns decides: after [`HELD`], the record is finished with the status given here;
    /// after an error, it fails with that error. In `prepare`, `create`, `key` and for `flush` itself,
    /// `record` is 0.
    pub done: unsafe extern "C" fn(ctx: *mut c_void, record: u64, status: i32, message: Bytes),
    /// Logs a message at a level: 1 error, 2 warning, 3 info, 4 debug, 5 trace. Any thread, for as long as
    /// the process lives; `ctx` may be null.
    pub log: unsafe extern "C" fn(ctx: *mut c_void, level: u32, target: Bytes, message: Bytes),
    /// Whether the grid is shutting down, so that long loops should end. Any thread.
    pub stopping: unsafe extern "C" fn(ctx: *mut c_void) -> bool,
    /// A named ability of the host that is not in this table, or null. Valid while the process lives.
    pub extension: unsafe extern "C" fn(ctx: *mut c_void, id: Bytes) -> *const c_void,
}

/// What a plugin does for the host. It is a static of the library, and its functions never unwind.
///
/// All calls for one state come from one thread, one after the other.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy)]
#[sabi(kind(Prefix(prefix_ref = PluginRef)))]
#[sabi(missing_field(panic))]
pub struct Plugin {
    /// [`ABI`].
    pub abi: u32,
    /// What the library contains, as JSON (see `docs/plugin-guide.md`); valid while the process lives.
    pub manifest: unsafe extern "C" fn() -> Bytes,
    /// A named ability of the plugin that is not in this table, such as [`PARTITION_V1`], or null. Valid
    /// while the process lives.
    pub extension: unsafe extern "C" fn(id: Bytes) -> *const c_void,
    /// Prepares a task: called once per node, in a process of its own, before any worker starts.
    pub prepare: unsafe extern "C" fn(task: Bytes, args: *const Pair, n: usize, host: *const Host) -> i32,
    /// Makes a task. Returns its state, or else null, after giving status and message to [`Host::done`]. An
    /// empty `task` means the only one.
    pub create:
        unsafe extern "C" fn(task: Bytes, args: *const Pair, n: usize, host: *const Host) -> *mut c_void,
    /// Runs the task over one record. The number `record` is opaque, and never used twice for one state.
    pub handle: unsafe extern "C" fn(state: *mut c_void, record: u64, line: Bytes) -> i32,
    /// Asks the task to finish what it holds; with `last`, no record will follow. What one flush emits and
    /// finishes counts as a whole, once it has returned [`OK`]; otherwise all held records stay unfinished.
    pub flush: unsafe extern "C" fn(state: *mut c_void, last: bool) -> i32,
    /// Frees the state. No call follows.
    #[sabi(last_prefix_field)]
    pub destroy: unsafe extern "C" fn(state: *mut c_void),
}

impl RootModule for PluginRef {
    abi_stable::declare_root_module_statics! {PluginRef}
    const BASE_NAME: &'static str = "simplegrid_plugin";
    const NAME: &'static str = "simplegrid_plugin";
    // A constant, not this crate's version: the layout decides what is compatible, so a new release of this
    // crate must not lock out plugins that were built with an older one.
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}

/// Takes one partition key, during the call of [`PartitionV1::key`].
pub type PutKey = unsafe extern "C" fn(sink: *mut c_void, key: Bytes);

/// The extension [`PARTITION_V1`]: partition keys of records, without a task.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PartitionV1 {
    /// The id of the partitioner of that name, or -1. An empty name means the only one.
    pub find: unsafe extern "C" fn(name: Bytes) -> i32,
    /// Calls `put` once with the record's key and returns [`OK`]; or gives a message to [`Host::done`], as
    /// record 0, and returns an error. `host` is valid for the call. Any thread, but only one at a time.
    pub key:
        unsafe extern "C" fn(id: i32, line: Bytes, host: *const Host, sink: *mut c_void, put: PutKey) -> i32,
}

/// The extension [`BATCH_V1`]: many records in one call.
///
/// The host uses it for a state of which `max` is more than 1, and falls back to [`Plugin::handle`] for any
/// record that it wants to run alone.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BatchV1 {
    /// The most records that the task takes in one call; with 0 or 1, it takes them one at a time. Asked
    /// once, after `create`.
    pub max: unsafe extern "C" fn(state: *mut c_void) -> u32,
    /// Runs the task over `n` records, with the numbers `first_record`, `first_record + 1` and so on. During
    /// the call, [`Host::done`] finishes each of them, or with [`HELD`] keeps it open beyond the call. A row
    /// belongs to the record that is finished next.
    ///
    /// With [`OK`], all others are done, without rows. After an error, or if rows are left that belong to no
    /// record, those rows are dropped, and the host runs the records that are not finished through
    /// [`Plugin::handle`], one after the other, so that it is known which one is to blame. After [`PANIC`],
    /// or if records of the batch are held, it does so in another process.
    pub handle:
        unsafe extern "C" fn(state: *mut c_void, first_record: u64, lines: *const Bytes, n: usize) -> i32,
}

/// The extension [`RECORD_FIELDS_V1`]: fields of any record of a batch.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RecordFieldsV1 {
    /// The fields of `line`, split in the host's dialect. They and the array stay valid until the entry
    /// point that asks for them returns. To be called as [`Host::fields`] is.
    pub fields: unsafe extern "C" fn(ctx: *mut c_void, line: Bytes, fields: *mut *const Bytes) -> usize,
}

const _: () = assert!(VERSION.len() <= 32, "the version fits into `VersionText`");

/// A version as text, padded with zero bytes: plain data that a host with any layout can read.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VersionText {
    /// UTF-8, then zeros.
    pub bytes: [u8; 32],
}

impl VersionText {
    /// The text of this crate's version.
    pub const fn ours() -> Self {
        let version = VERSION.as_bytes();
        let mut bytes = [0; 32];
        let mut at = 0;
        while at < version.len() {
            bytes[at] = version[at];
            at += 1;
        }
        Self { bytes }
    }

    /// The version, as far as it is readable.
    pub fn to_text(self) -> String {
        let end = self.bytes.iter().position(|&byte| byte == 0).unwrap_or(self.bytes.len());
        String::from_utf8_lossy(&self.bytes[..end]).into_owned()
    }
}
