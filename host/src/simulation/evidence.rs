//! What a simulation leaves behind, to be judged.

use std::time::Duration;

use serde_json::Value;

use super::trace::TraceLine;
use crate::registry::Node;

/// What is left of one simulation.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// How the run has ended and its summary, if it has ended in time.
    pub end: Option<(String, Value)>,
    /// Why it could not begin, if it could not.
    pub refusal: Option<String>,
    /// The output.
    pub output: String,
    /// The lines of the failed-records file.
    pub failed: Vec<Value>,
    /// The records that were begun, by the numbers of their executions.
    pub executions: Vec<usize>,
    /// How long it took.
    pub took: Duration,
    /// The rows of the registry, a while after the end.
    pub nodes: Vec<Node>,
    /// All that has happened.
    pub trace: Vec<TraceLine>,
    /// All turns as one number, and how many there were.
    pub fingerprint: (u64, u64),
    /// How many workers were born.
    pub births: usize,
}

impl Evidence {
    /// A number of the summary.
    pub(crate) fn count(&self, name: &str) -> usize {
        let number = self.end.as_ref().and_then(|(_, summary)| summary[name].as_u64());
        number.unwrap_or_default() as usize
    }

    /// Lines of the trace that contain a text.
    pub(crate) fn said(&self, text: &str) -> usize {
        self.trace.iter().filter(|line| line.text.contains(text)).count()
    }
}
