//! What a slave and its worker processes say to each other, over the socketpair. An *item* is a batch or a
//! flush at a worker; it keeps the number that its master gave it, so that it can be followed through logs.

use serde::{Deserialize, Serialize};

use super::message::LossKind;
use crate::build::Build;
use crate::ids::BatchId;
use crate::plugin::{LibraryId, RowFormat};
use crate::record::Format;

/// From the slave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostToWorker {
    /// The first message: what to load.
    Start(Box<WorkerStart>),
    /// Calls the task's `prepare`: the first of a node's workers is asked, before any other starts.
    Prepare,
    /// Creates the task. Items can come from now on.
    Create,
    /// A new run begins.
    Begin {
        /// How its records end.
        format: Format,
        /// How its rows are written.
        rows: RowFormat,
    },
    /// Records to run; the table holds their ends, the body their bytes.
    Batch {
        /// Its number.
        item: BatchId,
        /// Where the count of the ends starts (see [`RawRecords`](crate::record::RawRecords)).
        base: u32,
        /// Whether the outcomes are wanted even if all records are done.
        with_row_ends: bool,
    },
    /// Calls the task's `flush`.
    Flush {
        /// Its number.
        item: BatchId,
        /// Whether no more input will come.
        last: bool,
    },
    /// Ends the worker, after the items before this message.
    Stop,
    /// The first message to a process that computes partition keys: what to load. Only batches follow.
    StartKeys(Box<KeyStart>),
}

/// What a process that computes partition keys must load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStart {
    /// The library, whose file comes over the socket.
    pub library: LibraryId,
    /// The partitioner in it; `None` for the only one.
    pub partitioner: Option<String>,
    /// How the records end.
    pub format: Format,
}

/// What a worker must load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStart {
    /// The library, whose file it has been passed.
    pub library: LibraryId,
    /// The task in it; empty for the only one.
    pub task: String,
    /// The task's arguments.
    pub task_args: Vec<(String, String)>,
    /// Arguments of the slave. The task gets those that it has an argument of that name for.
    pub manager_args: Vec<(String, String)>,
    /// What the process may use.
    pub limits: WorkerLimits,
    /// Whether its rows must tell an empty text from NULL: the text is then a pair of quotes, NULL is
    /// nothing.
    pub marks_null: bool,
}

/// What a worker process may use of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorkerLimits {
    /// Bytes of heap and private mappings.
    pub memory_bytes: Option<u64>,
    /// Open descriptors.
    pub open_files: Option<u64>,
    /// Whether a crash may leave a core dump.
    pub core_dumps: bool,
}

/// From a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerToHost {
    /// The library is loaded.
    Loaded {
        /// Its manifest as JSON: see `plugin::Manifest`.
        manifest: String,
        /// Which build it is.
        build: Build,
    },
    /// `prepare` has succeeded.
    Prepared,
    /// The task exists.
    Created,
    /// The library or its task refuses to start. Final.
    Unusable {
        /// One line for the user who named the library.
        message: String,
    },
    /// An item, or a part of it, is in the scoreboard.
    Done(ItemDone),
    /// The worker must be replaced: its task panicked, or its flush failed. Final.
    Leaving {
        /// Which of the two.
        kind: LossKind,
        /// What the task said.
        message: String,
    },
    /// The task says that it cannot go on. Final.
    Fatal {
        /// Why.
        message: String,
    },
}

/// What a worker has put into its scoreboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemDone {
    /// The item.
    pub item: BatchId,
    /// How many outcomes it holds.
    pub outcomes: u32,
    /// How many bytes of rows and messages it holds.
    pub rows_bytes: u64,
    /// Every record of the item is done, in order, in this one report; nothing else has happened, and no
    /// more was asked for.
    pub all_done: bool,
    /// The item is finished. Otherwise the worker waits until the slave has read this part.
    pub last: bool,
    /// Records that the task holds now.
    pub held: u32,
    /// Nanoseconds spent in the task for this report.
    pub busy_ns: u64,
}
