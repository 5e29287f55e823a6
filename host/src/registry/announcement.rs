//! What a slave says about itself: once when it enters its row, and its figures with each beat. Plain data.

use super::node::NodeKey;
use crate::build::{Build, Digest};

/// What a slave says about itself before it listens.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// Where it is.
    pub key: NodeKey,
    /// How many workers it has.
    pub children: u32,
    /// The task its workers run.
    pub task: String,
    /// The version of the plugin that holds the task.
    pub task_version: Option<String>,
    /// The digest of what the task writes.
    pub columns: Digest,
    /// The build of the plugin.
    pub build: Build,
    /// The name or address that masters should connect to, if not the key's host name.
    pub advertise: Option<String>,
    /// The slave's process.
    pub pid: u32,
    /// The version of SimpleGrid that it runs.
    pub version: String,
    /// A process of this machine that the caller has found dead. Its row is taken over at once, however
    /// short its silence.
    pub dead_pid: Option<u32>,
}

/// A slave's figures since it started.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stats {
    /// Records done.
    pub done: u64,
    /// Records failed.
    pub failed: u64,
    /// Records per second over the last sample.
    pub rate: f64,
}
