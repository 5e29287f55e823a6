//! What the end of a run has brought so far: which slaves still put their rows away, and what became of those
//! rows.

use std::collections::BTreeSet;

use super::peer::Peer;
use crate::ids::NodeId;
use crate::master::run_end::SinkNews;

/// What is known of the slaves' sinks.
#[derive(Debug, Default)]
pub(super) struct Farewell {
    /// Slaves that were asked to put their rows away, and have not answered.
    pub concluding: BTreeSet<NodeId>,
    /// What the user will be told.
    pub news: SinkNews,
}

impl Farewell {
    /// A slave is gone. If its files are harvested, it may have taken rows with it.
    pub(super) fn on_lost(&mut self, node: NodeId, peer: &Peer, is_harvested: bool) {
        let owes = self.concluding.remove(&node) || peer.has_files;
        if is_harvested && owes {
            let name = &peer.name;
            self.news
                .problems
                .push(format!("{name} was lost: the rows that it wrote are not among those delivered"));
        }
    }
}
