//! Why the registry did not do what it was asked. It owns the words of refusals, and knows no database.

use super::backend_error::BackendError;
use super::moves::Move;
use super::node::{Node, NodeKey, NodeState};

/// Why an operation on the registry could not be done.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A slave that is still alive has this row.
    #[error(
        "node {key} is in use: {} was last seen {seen_seconds_ago} s ago and the node is {state}; shut it down \
         with `simplegrid node-manager --hostname {} --port {} shutdown`, or choose another port",
        process(*.pid), .key.hostname, .key.port
    )]
    Live {
        /// The node.
        key: NodeKey,
        /// The process that has it, on the machine `key.hostname`.
        pid: Option<u32>,
        /// How long ago its last sign of life was.
        seen_seconds_ago: i64,
        /// The node's state.
        state: NodeState,
    },

    /// There is no such row.
    #[error("there is no node {key}; `simplegrid node-manager list` shows all")]
    NoSuchNode {
        /// The node.
        key: NodeKey,
    },

    /// The slave of that row has ended, so masters must not be sent there.
    #[error("the slave of node {key} has ended; start it again, which enables the node")]
    Ended {
        /// The node.
        key: NodeKey,
    },

    /// The row is in a state in which this move cannot start.
    #[error("node {key} is {state}{} and cannot become {wanted}{advice}", holder(.reserved_by.as_deref()))]
    NotAllowed {
        /// The node.
        key: NodeKey,
        /// Its state.
        state: NodeState,
        /// The reservation that holds it, if there is one.
        reserved_by: Option<String>,
        /// The state to which the move leads.
        wanted: NodeState,
        /// What you can do instead.
        advice: &'static str,
    },

    /// The database does not do what is asked of it.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl RegistryError {
    pub(super) fn not_allowed(node: Node, verb: Move) -> Self {
        Self::NotAllowed {
            advice: verb.advice(node.state),
            wanted: verb.to(),
            key: node.key,
            state: node.state,
            reserved_by: node.reserved_by,
        }
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "its process".to_owned(), |pid| format!("process {pid}"))
}

fn holder(reserved_by: Option<&str>) -> String {
    reserved_by.map_or_else(String::new, |reservation| format!(" (by {reservation})"))
}
