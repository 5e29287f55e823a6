//! The extension `partition/1`: partition keys of records, without a task.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;

use super::guard::guard;
use super::host_text::utf8;
use super::live_task::report;
use super::{HostCalls, Library};
use crate::abi::{Bytes, Host, PartitionV1, PutKey};
use crate::{Error, Partitioner, Record, Status};

/// Holds the table of one library as a constant, which Rust promotes to a static.
struct Table<L>(std::marker::PhantomData<L>);

impl<L: Library> Table<L> {
    const TABLE: &'static PartitionV1 = &PartitionV1 { find: find::<L>, key: key::<L> };
}

/// The table of a library.
pub(super) fn table<L: Library>() -> *const PartitionV1 {
    Table::<L>::TABLE
}

unsafe extern "C" fn find<L: Library>(name: Bytes) -> i32 {
    // SAFETY: the host passes a name that lives during the call.
    let Ok(name) = (unsafe { utf8(name, "a partitioner's name") }) else { return -1 };
    let partitioners = L::partitioners();
    if name.is_empty() && partitioners.len() == 1 {
        return 0;
    }
    let index = partitioners.iter().position(|entry| entry.name == name);
    index.and_then(|index| i32::try_from(index).ok()).unwrap_or(-1)
}

unsafe extern "C" fn key<L: Library>(
    id: i32,
    line: Bytes,
    host: *const Host,
    sink: *mut c_void,
    put: PutKey,
) -> i32 {
    // SAFETY: the host passes a valid `Host` that works until this call returns; only this call uses it.
    let host = unsafe { HostCalls::new(*host) };
    // SAFETY: the host passes a line that lives during the call.
    let line = unsafe { line.get() }.unwrap_or_default();
    let entry = usize::try_from(id).ok().and_then(|index| L::partitioners().get(index));
    let Some(entry) = entry else {
        return report(&host, 0, Ok(Err(Error::fatal("no such partitioner")))).code();
    };
    let put = |key: &[u8]| {
        // SAFETY: the host passes a function that takes `sink` and one key during this call.
        unsafe { put(sink, Bytes::of(key)) }
    };
    key_of(entry.partitioner, line, &host, put).code()
}

/// Gives the key of a record to `put`, or its error to the host.
pub(super) fn key_of(
    partitioner: &dyn Partitioner,
    line: &[u8],
    host: &HostCalls,
    put: impl FnOnce(&[u8]),
) -> Status {
    thread_local! {
        /// Kept between records, so that a key costs no allocation.
        static KEY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    let mut key = KEY.take();
    key.clear();
    // A partitioner gets the record by reference and cannot hold it, so `held` stays false.
    let held = Cell::new(false);
    let result = guard(|| partitioner.key(&Record::new(0, line, host, &held, None), &mut key));
    let status = report(host, 0, result);
    if status == Status::Ok {
        put(&key);
    }
    KEY.set(key);
    status
}
