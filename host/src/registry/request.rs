//! What the registry is asked, and what it answers. Data, so that a request can wait in a queue, be tried
//! again, and be printed.

use std::time::Duration;

use super::announcement::{Announcement, Stats};
use super::moves::Move;
use super::node::{Node, NodeKey};
use super::reservation::Reservation;
use crate::build::Digest;

/// What the registry is asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Request {
    /// All nodes.
    List,
    /// One node.
    Find(NodeKey),
    /// Let something happen to one node.
    Change { key: NodeKey, change: Change },
    /// Delete the rows of slaves that have been silent for so long.
    Prune { silent_for: Duration },
    /// Reserve nodes.
    Reserve(Wish),
    /// Renew the leases of a reservation.
    Renew { reservation: Reservation, lease: Duration },
    /// Free all nodes of a reservation.
    Release(Reservation),
}

/// What can happen to one node. [`super::transition`] says what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// Its slave announces itself.
    Announce(Box<Announcement>),
    /// It is moved, whether or not a master holds it.
    Make(Move),
    /// It is moved, if this reservation holds it.
    MakeIfHeld(Move, Reservation),
    /// It is freed, if its lease has run out.
    Expire,
    /// Its slave is alive.
    Beat(Stats),
    /// Its slave has loaded another build.
    ShowBuild(Box<Announcement>),
}

/// Which nodes a master wants.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    /// The name under which it holds them.
    pub reservation: Reservation,
    /// How many at most.
    pub max: usize,
    /// What they must be.
    pub wanted: Wanted,
    /// For how long.
    pub lease: Duration,
}

/// What a node must be to be reserved. The default is any node; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The task that it runs.
    pub task: Option<String>,
    /// The digest of what that task writes.
    pub columns: Option<Digest>,
    /// The digest of the contents of its library.
    pub manifest: Option<Digest>,
    /// The digest of its library's file.
    pub file: Option<Digest>,
    /// Nodes that are not wanted, as long as the same process has their row.
    pub except: Vec<(NodeKey, u32)>,
}

/// The answer to a request.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// The rows that were found or changed, as they are now; the rows that were deleted.
    Nodes(Vec<Node>),
    /// All rows: the answer to [`Request::List`].
    Listing(Listing),
    /// How many rows were freed: the answer to [`Request::Release`].
    Freed(usize),
}

/// Nodes that run this task, if it matters.
impl From<Option<&str>> for Wanted {
    fn from(task: Option<&str>) -> Self {
        Self { task: task.map(str::to_owned), ..Self::default() }
    }
}

/// All nodes at one moment.
#[derive(Debug, PartialEq)]
pub struct Listing {
    /// The nodes, by host name and port.
    pub nodes: Vec<Node>,
    /// When that was, in unix seconds, by the clock that all times of the registry are taken from.
    pub now: i64,
}

impl Request {
    /// Whether it changes nothing.
    pub(super) fn only_reads(&self) -> bool {
        matches!(self, Self::List | Self::Find(_))
    }
}

impl Answer {
    /// The rows.
    ///
    /// # Panics
    /// If the request was another one.
    pub(super) fn nodes(self) -> Vec<Node> {
        match self {
            Self::Nodes(nodes) => nodes,
            Self::Listing(listing) => listing.nodes,
            Self::Freed(_) => unreachable!("only a release is answered with a number"),
        }
    }

    /// All rows, and the time.
    ///
    /// # Panics
    /// If the request was another one.
    pub(super) fn listing(self) -> Listing {
        match self {
            Self::Listing(listing) => listing,
            other => unreachable!("a list is answered with all rows, not with {other:?}"),
        }
    }

    /// The row in the answer to a request that fails if there is none.
    ///
    /// # Panics
    /// If the request was another one.
    pub(super) fn node(self) -> Node {
        self.nodes().pop().expect("a node that is moved or beats is in the answer")
    }

    /// How many rows there are, or were freed.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Nodes(nodes) | Self::Listing(Listing { nodes, .. }) => nodes.len(),
            Self::Freed(count) => *count,
        }
    }
}
