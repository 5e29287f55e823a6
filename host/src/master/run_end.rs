//! How a run ends, and what became of it.

use tokio::sync::oneshot;

use super::decisions::Counts;
use crate::record::ReadError;
use crate::shutdown::StopSignal;

/// What happens to slaves when the run is over.
#[derive(Debug)]
pub(crate) struct Ending {
    /// They end as well.
    pub shutdown_slaves: bool,
    /// Told as soon as the run takes leave of them.
    pub begins: Option<oneshot::Sender<()>>,
    /// Where the files of the slaves' sinks are delivered.
    pub harvest: Option<String>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum RunEnd {
    /// Everything is done or failed.
    Finished,
    /// A signal asked for the end; what was read is done or failed.
    Drained(StopSignal),
    /// A second signal, or a signal that came too late for a drain: what was in flight is not accounted for.
    Stopped(StopSignal),
    /// The reader of the output has seen enough.
    OutputClosed,
    /// The run could not go on.
    CannotGoOn(String),
    /// The input could not be read to its end; what was read before is done or failed.
    InputFailed(String),
    /// It never began: there was no node.
    NoNode(String),
    /// The journal belongs to another run.
    OtherRun(String),
}

/// What became of a run.
#[derive(Debug)]
pub(crate) struct RunReport {
    /// How it ended.
    pub end: RunEnd,
    /// Records.
    pub counts: Counts,
    /// Nodes that took part.
    pub nodes_used: usize,
    /// Nodes that were lost.
    pub nodes_lost: usize,
    /// Whether the same command would go on where this run has ended.
    pub can_be_resumed: bool,
    /// What the slaves' sinks have said at the end.
    pub sinks: SinkNews,
}

/// What the user is told about the slaves' sinks.
#[derive(Debug, Default)]
pub(crate) struct SinkNews {
    /// What was delivered where.
    pub delivered: Vec<String>,
    /// What could not be done.
    pub problems: Vec<String>,
}

impl From<ReadError> for RunEnd {
    fn from(error: ReadError) -> Self {
        Self::InputFailed(format!("failed to {}", chain(&error)))
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
