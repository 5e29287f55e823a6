//! The host's callbacks as safe functions.

use crate::Status;
use crate::abi::{Bytes, Host, LOG_LEVEL_V1, RECORD_FIELDS_V1, RecordFieldsV1};

/// The callbacks of the host that a call or a task belongs to.
///
/// **Invariant:** it exists only as long as its host is valid, as the caller of [`new`](Self::new) promises.
/// It is neither `Send` nor `Sync` (it holds a raw pointer), so the callbacks stay on the thread of the
/// calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostCalls {
    host: Host,
}

/// Byte strings that the host has given, such as the fields of a record, as long as the call that they belong
/// to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BytesList<'a> {
    items: &'a [Bytes],
}

impl HostCalls {
    /// Wraps the callbacks of `host`.
    ///
    /// # Safety
    /// Its functions must be callable with its `ctx`, as [`Host`] says, for as long as the result or a copy
    /// of it is used.
    pub(crate) unsafe fn new(host: Host) -> Self {
        Self { host }
    }

    /// Hands over one row.
    #[inline]
    pub(crate) fn emit(&self, cells: &[Bytes]) -> Status {
        // SAFETY: by the invariant the function and `ctx` are valid; `cells` are `len` cells, and they and
        // what they point to live during the call.
        Status::from_code(unsafe { (self.host.emit)(self.host.ctx, cells.as_ptr(), cells.len()) })
    }

    /// Hands over one raw line.
    #[inline]
    pub(crate) fn line(&self, line: Bytes) -> Status {
        // SAFETY: by the invariant the function and `ctx` are valid; `line` lives during the call.
        Status::from_code(unsafe { (self.host.line)(self.host.ctx, line) })
    }

    /// The fields of the record in hand. Only a [`Record`](crate::Record) asks for them, and it borrows
    /// `self` no longer than the call that brought the record.
    pub(crate) fn fields(&self) -> BytesList<'_> {
        let mut fields: *const Bytes = std::ptr::null();
        // SAFETY: by the invariant the function and `ctx` are valid; `fields` is a place for one pointer.
        let len = unsafe { (self.host.fields)(self.host.ctx, &raw mut fields) };
        // SAFETY: the host promises an array of `len` fields that stays as it is until the current call
        // returns, and the record's borrow of `self` ends by then.
        unsafe { BytesList::new(fields, len) }
    }

    /// The fields of a record of a batch. None if the host has no batches.
    pub(crate) fn fields_of<'a>(&'a self, line: &'a [u8]) -> BytesList<'a> {
        // SAFETY: by the invariant the function and `ctx` are valid; the name lives during the call.
        let extension = unsafe { (self.host.extension)(self.host.ctx, Bytes::of(RECORD_FIELDS_V1)) };
        if extension.is_null() {
            return BytesList { items: &[] };
        }
        // SAFETY: the extension of this name is such a table, which is valid while the process lives.
        let table = unsafe { *extension.cast::<RecordFieldsV1>() };
        let mut fields: *const Bytes = std::ptr::null();
        // SAFETY: by the invariant `ctx` is valid; the line lives during the call; `fields` is a place for
        // one pointer.
        let len = unsafe { (table.fields)(self.host.ctx, Bytes::of(line), &raw mut fields) };
        // SAFETY: the host promises an array of `len` fields that stays as it is until the current call
        // returns, and the record's borrow of `self` ends by then.
        unsafe { BytesList::new(fields, len) }
    }

    /// Finishes a record, or gives the message of the status that is about to be returned.
    pub(crate) fn done(&self, record: u64, status: Status, message: &str) {
        let message = if message.is_empty() { Bytes::NULL } else { Bytes::of(message.as_bytes()) };
        // SAFETY: by the invariant the function and `ctx` are valid; `message` lives during the call.
        unsafe { (self.host.done)(self.host.ctx, record, status.code(), message) };
    }

    /// Whether the grid is shutting down.
    pub(crate) fn stopping(&self) -> bool {
        // SAFETY: by the invariant the function and `ctx` are valid.
        unsafe { (self.host.stopping)(self.host.ctx) }
    }
}

impl<'a> BytesList<'a> {
    /// What the host has given.
    ///
    /// # Safety
    /// Unless `items` is null, it must point to `len` byte strings. They and their bytes must stay as they
    /// are during `'a`.
    pub(super) unsafe fn new(items: *const Bytes, len: usize) -> Self {
        if items.is_null() || len == 0 {
            return Self { items: &[] };
        }
        // SAFETY: the caller promises it.
        Self { items: unsafe { std::slice::from_raw_parts(items, len) } }
    }

    /// How many there are.
    pub(crate) fn len(self) -> usize {
        self.items.len()
    }

    /// Number `index`. NULL, which no host should give, counts as empty.
    pub(crate) fn get(self, index: usize) -> Option<&'a [u8]> {
        let item = self.items.get(index)?;
        // SAFETY: the caller of `new` has promised that the bytes stay as they are during `'a`.
        Some(unsafe { item.get::<'a>() }.unwrap_or_default())
    }

    /// All in their order.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.len()).map_while(move |index| self.get(index))
    }
}

/// The host's log, which any thread can use for as long as the process lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostLog {
    log: unsafe extern "C" fn(ctx: *mut std::ffi::c_void, level: u32, target: Bytes, message: Bytes),
}

impl HostLog {
    /// Writes one message.
    pub(crate) fn write(self, level: u32, target: &str, message: &str) {
        let (target, message) = (Bytes::of(target.as_bytes()), Bytes::of(message.as_bytes()));
        // SAFETY: `Host::log` may be called from any thread, while the process lives, with a null `ctx`;
        // the texts live during the call.
        unsafe { (self.log)(std::ptr::null_mut(), level, target, message) };
    }
}

impl HostCalls {
    /// The log, without the context, because the context does not live as long.
    pub(crate) fn log(&self) -> HostLog {
        HostLog { log: self.host.log }
    }

    /// The highest level that the host keeps; info (3) if it does not say.
    pub(crate) fn log_level(&self) -> u32 {
        // SAFETY: by the invariant the function and `ctx` are valid; the name lives during the call.
        let level = unsafe { (self.host.extension)(self.host.ctx, Bytes::of(LOG_LEVEL_V1)) };
        if level.is_null() {
            return 3;
        }
        // SAFETY: the extension of this name is a `u32` that is valid, and stays as it is, while the process
        // lives.
        unsafe { *level.cast::<u32>() }
    }
}
