//! What a task says while it runs under test.

use crate::Status;

/// What a task said about a record, or, as record 0, about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The record's number; 0 for the task itself.
    pub record: u64,
    /// How it ended.
    pub status: Status,
    /// Why, unless it is done.
    pub message: String,
}

/// One message of a task's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// 1 error, 2 warning, 3 info, 4 debug, 5 trace.
    pub level: u32,
    /// The module that wrote it.
    pub target: String,
    /// The message, with its fields.
    pub message: String,
}
