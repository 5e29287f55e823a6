//! What masters and slaves say to each other. `docs/protocol.md` says when.

use serde::{Deserialize, Serialize};

use super::seq_ranges::SeqRanges;
use crate::build::Build;
use crate::ids::{BatchId, Epoch, RunId, SlotIndex};
use crate::plugin::{RowFormat, TaskOutput};
use crate::record::Format;

/// From a master or an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MasterToSlave {
    /// The first message.
    Hello(Hello),
    /// An administrative command, as `-i NAME=VALUE` gives it.
    Command {
        /// What to set or do.
        name: String,
        /// Its value.
        value: String,
    },
    /// Records for a slot; the table holds their ends, the body their bytes.
    Batch(BatchHead),
    /// Asks a slot's task to finish what it holds, because the run is about to end.
    Flush {
        /// A number from the same sequence as the batches'.
        batch: BatchId,
        /// Whose task.
        slot: SlotIndex,
        /// Which worker of that slot.
        epoch: Epoch,
    },
    /// A sign of life, to be answered with the same number.
    Ping(u64),
    /// The answer to a ping.
    Pong(u64),
    /// The run is over: the slave is free.
    Bye,
    /// The slave must end, after a drain.
    Shutdown,
    /// The run asks nothing more of this slave: its sink must put away what it has. Only for slaves with a
    /// sink.
    Conclude {
        /// Nothing of this run will ever be run again, anywhere.
        run_is_over: bool,
        /// Where the files of the run are to be delivered, if the sink has files.
        harvest: Option<String>,
    },
    /// So many records have failed for good with an attempt at this slave, beside those that were rejected.
    /// Said at the end, for the slave's figures.
    GaveUp(u64),
}

/// What a peer says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What it wants.
    pub role: Role,
    /// The version of its program, for the log.
    pub program: String,
}

/// What a peer wants of a slave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// To run records: takes the slave until `Bye`.
    Master {
        /// The name under which the node was reserved.
        reservation: String,
        /// How the input is cut: tells workers what a record's terminator is.
        format: Format,
        /// Milliseconds that one record may take; overrides the slave's own limit.
        record_timeout_ms: Option<u64>,
        /// The run, by a name that it keeps when it is resumed after a crash.
        run: RunId,
        /// How workers write rows, unless they go to a sink of the slave.
        rows: RowFormat,
    },
    /// To give a command. Always let in.
    Administrator,
}

/// The head of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHead {
    /// Its number in this run.
    pub batch: BatchId,
    /// Where it goes.
    pub slot: SlotIndex,
    /// The worker it is meant for; if that worker is gone, the batch is void.
    pub epoch: Epoch,
    /// Where the count of its ends starts (see [`RawRecords`](crate::record::RawRecords)).
    pub base: u32,
    /// Whether its report must say where each record's rows end, even if all are done.
    pub with_row_ends: bool,
    /// The numbers of its records in the run's input, if the slave has a sink; else nothing.
    pub seqs: SeqRanges,
}

/// From a slave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlaveToMaster {
    /// The answer to a hello.
    Welcome(Welcome),
    /// The answer to a hello that is not granted.
    Refused(Refusal),
    /// A worker is ready: its slot's credit is whole.
    SlotUp {
        /// Which slot.
        slot: SlotIndex,
        /// Its new worker.
        epoch: Epoch,
    },
    /// What became of records; the table holds outcomes, the body rows and messages.
    Report(ReportHead),
    /// A worker is gone. What its slot had in flight and no report has mentioned was not finished.
    SlotLost(SlotLost),
    /// The slave was asked to end: it finishes what it has, and takes no new batches.
    Draining,
    /// This slave cannot go on.
    Failed {
        /// Why.
        message: String,
    },
    /// A sign of life, to be answered with the same number.
    Ping(u64),
    /// The answer to a ping.
    Pong(u64),
    /// The answer to `Bye`: the slave is free. The last message.
    Bye,
    /// The answer to `Conclude`.
    Concluded {
        /// Where the files of the run were delivered, if they were.
        delivered: Option<String>,
        /// What could not be done.
        problem: Option<String>,
    },
}

/// What a slave says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The task it runs.
    pub task: String,
    /// The version of the library that holds the task.
    pub task_version: String,
    /// What the task writes: those of all slaves of a run must be equal.
    pub output: TaskOutput,
    /// The build of the library that all its workers have loaded.
    pub build: Build,
    /// How many slots it has.
    pub slots: u16,
    /// The version of its program, for the log.
    pub program: String,
    /// Where it puts rows; `None` if they go to the master.
    pub sink: Option<SinkPlace>,
}

/// Where a slave puts rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkPlace {
    /// Its name, for people. Two slaves of one run must have the same, unless both have files.
    pub name: String,
    /// Whether it has files, which can be harvested.
    pub has_files: bool,
}

/// Why a hello was not granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Another master holds the slave.
    #[error("it is serving {reservation}")]
    Busy {
        /// The other's reservation.
        reservation: String,
    },
    /// It is about to end.
    #[error("it is shutting down")]
    Draining,
    /// The first message was not a hello.
    #[error("the first message was not a hello")]
    NoHello,
}

/// The head of a report. Outcomes are [`Outcome`](crate::scoreboard::Outcome)s of 16 bytes each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportHead {
    /// The slot that reports.
    pub slot: SlotIndex,
    /// Its worker.
    pub epoch: Epoch,
    /// The batch (or flush) that was in hand.
    pub batch: BatchId,
    /// Every record of the batch is done, in order, and there is nothing else to say: the table is empty.
    pub all_done: bool,
    /// The batch is finished, and its credit returns. Otherwise more reports of it follow.
    pub last: bool,
    /// Nanoseconds that the worker spent in the task for this report.
    pub busy_ns: u64,
}

/// The loss of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotLost {
    /// The slot.
    pub slot: SlotIndex,
    /// Its worker.
    pub epoch: Epoch,
    /// The records it died on, if it died on any.
    pub blame: Option<Blame>,
    /// How it ended.
    pub kind: LossKind,
    /// For people: the signal, the limit, the exit status.
    pub message: String,
}

/// The records that a worker died on: one, unless its task had got several in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blame {
    /// Their batch.
    pub batch: BatchId,
    /// The place of the first one in the batch.
    pub index: u16,
    /// How many there are.
    pub records: u16,
}

impl Blame {
    /// Whether a record is one of them.
    pub(crate) fn covers(&self, batch: BatchId, index: usize) -> bool {
        self.batch == batch && self.indexes().contains(&index)
    }

    /// Their places in the batch.
    pub(crate) fn indexes(&self) -> std::ops::Range<usize> {
        let first = usize::from(self.index);
        first..first + usize::from(self.records)
    }
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossKind {
    /// It crashed or exited by itself.
    Crash,
    /// It was killed because a record took too long.
    Timeout,
    /// It was replaced because its task panicked; the outcome of the guilty record is in a report, unless
    /// the task had several in hand.
    Panic,
    /// It crashed in its task's flush; no single record is to blame.
    Flush,
}
