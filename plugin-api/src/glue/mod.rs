//! The layer between the table of C functions and the safe traits: all of this crate's unsafe code that runs.
//!
//! Entry points take what the host passes, check what can be checked, and call the author's code behind
//! `guard`; `HostCalls` is the way back. No code outside this folder dereferences a pointer.
//!
//! This module is public only for the [`export!`](crate::export!) macro, and may change in any release.
#![allow(unsafe_code)]

mod dropped;
mod entry_points;
mod guard;
mod host_calls;
mod host_text;
mod library;
mod live_task;
mod partition;
mod task_entry;
pub(crate) mod test_host;

pub use entry_points::root;
pub use library::{Library, PartitionerEntry};
pub use task_entry::TaskEntry;

pub(crate) use dropped::DroppedRecords;
pub(crate) use host_calls::{BytesList, HostCalls, HostLog};
