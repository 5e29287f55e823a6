//! A record that the run has given up, and why. Pure.

use bytes::Bytes;

use crate::ids::{Seq, SlotIndex};
use crate::scoreboard::Status;
use crate::wire::LossKind;

/// Why a record failed. The words are part of the contract: scripts read them in the failed-records file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The task says that it is a bad record.
    Rejected,
    /// The task failed on it, each time.
    Error,
    /// The task panicked on it, each time.
    Panic,
    /// Its worker died on it, each time.
    Crash,
    /// It took longer than allowed, each time.
    Timeout,
    /// It is longer than `--max-record-bytes`; no task has seen it.
    TooLong,
    /// Its workers or nodes were lost again and again while it was unfinished.
    Lost,
}

impl Reason {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Crash => "crash",
            Self::Timeout => "timeout",
            Self::TooLong => "too-long",
            Self::Lost => "lost",
        }
    }

    /// What an unsuccessful outcome says; `None` if the outcome is not a failure of the record.
    pub fn of_status(status: Status) -> Option<Self> {
        match status {
            Status::Rejected => Some(Self::Rejected),
            Status::Retry => Some(Self::Error),
            Status::Panicked => Some(Self::Panic),
            Status::Done | Status::Held | Status::Fatal => None,
        }
    }

    /// What the loss of a worker says of the record that it died on.
    pub fn of_loss(kind: LossKind) -> Self {
        match kind {
            LossKind::Timeout => Self::Timeout,
            LossKind::Panic => Self::Panic,
            LossKind::Crash | LossKind::Flush => Self::Crash,
        }
    }

    /// Whether another attempt could end better.
    pub fn may_be_retried(self) -> bool {
        !matches!(self, Self::Rejected | Self::TooLong | Self::Lost)
    }
}

/// A record that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRecord {
    /// Its place in the input, from zero.
    pub seq: Seq,
    /// Its bytes, terminator included; only the beginning of one that is too long.
    pub record: Bytes,
    /// Why.
    pub reason: Reason,
    /// What the task, the slave or the reader said.
    pub message: String,
    /// How often it was run.
    pub attempts: u32,
    /// Where it was run last.
    pub place: Option<Place>,
}

/// Where something was run, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The node's name.
    pub node: String,
    /// The slot there.
    pub slot: SlotIndex,
}
