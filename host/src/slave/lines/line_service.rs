//! What a slave has for clients that send lines: a queue to wait in, and something that runs their records.
//! How lines are run is not known here: that takes a master, which a slave does not know.

use std::pin::Pin;

use tokio::sync::mpsc;

use crate::record::Input;
use crate::shutdown::Shutdown;
use crate::slave::door::LineQueue;
use crate::slave::pool::PoolHandle;
use crate::wire::{LineScheduler, Welcome};

/// Blocks of lines between the connection and the run: one to work on, and one that is ready when the first
/// is done.
pub(crate) const BLOCKS_AHEAD_MAX: usize = 2;

/// Something that runs lines, and does all for them that a master of ours does for its records.
pub(crate) trait LineRunner: std::fmt::Debug + Send + Sync {
    /// Runs lines until there are no more, and all are done or failed.
    fn run(&self, run: LineRun) -> Pin<Box<dyn Future<Output = LineRunEnd> + Send>>;
}

/// Lines to run.
#[derive(Debug)]
pub(crate) struct LineRun {
    /// The lines, and then an end.
    pub lines: mpsc::Receiver<Input>,
    /// Which worker gets which line. If partitioned, each line begins with its hash.
    pub scheduler: LineScheduler,
    /// Commands that came before the first record, for the session.
    pub commands: Vec<(String, String)>,
    /// The workers that run them.
    pub pool: PoolHandle,
    /// What masters are told about those workers.
    pub welcome: Welcome,
    /// What makes the run end early.
    pub shutdown: Shutdown,
}

/// How such a run ended.
#[derive(Debug)]
pub(crate) enum LineRunEnd {
    /// Every line is done or failed. How many, for the log.
    Finished(String),
    /// It could not go on: why, and how far it got.
    Broken(String),
    /// Its rows have nowhere to go any more.
    OutputGone(String),
}

/// What all clients share.
#[derive(Debug)]
pub(crate) struct LineService {
    /// Where they wait.
    pub queue: LineQueue,
    /// Runs their lines.
    pub runner: Box<dyn LineRunner>,
    /// Makes runs end early.
    pub shutdown: Shutdown,
}

impl LineService {
    /// No client is there yet.
    pub(crate) fn new(runner: Box<dyn LineRunner>, shutdown: Shutdown) -> Self {
        Self { queue: LineQueue::new(), runner, shutdown }
    }
}
