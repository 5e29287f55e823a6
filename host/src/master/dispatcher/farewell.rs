//! How a run takes leave of its slaves: those with a sink put away first what they have of the run, and say
//! whether that went well; then all are told goodbye.

use std::collections::HashSet;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{Dispatcher, GOODBYE_MAX, Peer};
use crate::ids::NodeId;
use crate::master::nodes::{Joined, LinkEvent};
use crate::master::run_end::{Ending, SinkNews};
use crate::shutdown::Shutdown;
use crate::wire::{MasterToSlave, SinkPlace, SlaveToMaster};

/// What is known of the slaves' sinks.
#[derive(Debug)]
pub(super) struct Farewell {
    /// What was asked for the end.
    ending: Ending,
    /// Slaves that were asked to put away what they have, and have not answered.
    concluding: HashSet<NodeId>,
    /// What is left to tell the user.
    pub(super) news: SinkNews,
}

impl Farewell {
    /// Nothing is known yet.
    pub(super) fn new(ending: Ending) -> Self {
        Self { ending, concluding: HashSet::new(), news: SinkNews::default() }
    }

    /// A slave is gone that may have rows in files.
    pub(super) fn on_lost(&mut self, node: NodeId, peer: &Peer) {
        let owes = self.concluding.remove(&node) || peer.has_files;
        if self.ending.harvest.is_some() && owes {
            let name = &peer.name;
            self.news
                .problems
                .push(format!("{name} was lost: the rows that it has written are not among those delivered"));
        }
    }
}

impl Dispatcher {
    /// Lets one node go, which drains; its link ends with its answer.
    pub(super) fn let_go(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get(&node) else { return };
        if peer.has_sink {
            self.conclude(node, false);
        } else {
            self.send(node, MasterToSlave::Bye.into());
            self.peers.remove(&node);
        }
    }

    /// The first node takes part. If it has a sink, the rows of this run do not come here.
    pub(super) fn on_first_sink(&self, sink: Option<&SinkPlace>) {
        if let Some(sink) = sink {
            tracing::info!("rows go to {}, and not to the output", sink.name);
        }
        if self.farewell.ending.harvest.is_some() && !sink.is_some_and(|sink| sink.has_files) {
            let place = sink.map_or("the output", |sink| &sink.name);
            tracing::warn!("there is nothing to harvest: the rows go to {place}");
        }
    }

    fn conclude(&mut self, node: NodeId, run_is_over: bool) {
        let harvest = self.farewell.ending.harvest.clone();
        self.farewell.concluding.insert(node);
        self.send(node, MasterToSlave::Conclude { run_is_over, harvest }.into());
    }

    /// Whether a node has been asked to put away what it has: it has nothing of this run any more.
    pub(super) fn is_concluding(&self, node: NodeId) -> bool {
        self.farewell.concluding.contains(&node)
    }

    /// A slave has put away what it had.
    pub(super) fn on_concluded(
        &mut self,
        node: NodeId,
        delivered: Option<String>,
        problem: Option<String>,
        goodbye: MasterToSlave,
    ) {
        let was_asked = self.farewell.concluding.remove(&node);
        let Some(peer) = self.peers.get_mut(&node).filter(|_| was_asked) else { return };
        let said = |mut text: String| {
            super::shorten(&mut text);
            format!("{}: {text}", peer.name)
        };
        self.farewell.news.delivered.extend(delivered.map(said));
        self.farewell.news.problems.extend(problem.map(said));
        // It has answered: what becomes of it from now on costs no rows.
        (peer.has_sink, peer.has_files) = (false, false);
        self.say_last(node, goodbye);
    }

    /// Says goodbye to a node: its link ends with its answer.
    fn say_last(&mut self, node: NodeId, goodbye: MasterToSlave) {
        self.send(node, goodbye.into());
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.close();
        }
    }

    /// Says goodbye to all nodes, and waits until they are free.
    pub(super) async fn say_goodbye(
        &mut self,
        events: &mut mpsc::Receiver<LinkEvent>,
        shutdown: &Shutdown,
        run_is_over: bool,
    ) {
        if let Some(begins) = self.farewell.ending.begins.take() {
            // Whoever waited for it may be gone.
            let _ = begins.send(());
        }
        let shuts_down = self.farewell.ending.shutdown_slaves;
        let goodbye = if shuts_down { MasterToSlave::Shutdown } else { MasterToSlave::Bye };
        let is_told = |node: &NodeId| self.farewell.concluding.contains(node);
        let nodes: Vec<_> = self.peers.keys().copied().filter(|node| !is_told(node)).collect();
        for node in nodes {
            if self.peers.get(&node).is_some_and(|peer| peer.has_sink) {
                self.conclude(node, run_is_over);
                continue;
            }
            self.say_last(node, goodbye.clone());
        }
        tokio::select! {
            () = self.wait_for_goodbyes(events, &goodbye) => {}
            _ = shutdown.second() => {}
        }
    }

    async fn wait_for_goodbyes(&mut self, events: &mut mpsc::Receiver<LinkEvent>, goodbye: &MasterToSlave) {
        let mut deadline = None;
        while !self.peers.is_empty() {
            // A delivery takes its time; that its slave is alive is the link's business.
            let event = if self.farewell.concluding.is_empty() {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + GOODBYE_MAX);
                match timeout_at(deadline, events.recv()).await {
                    Ok(event) => event,
                    Err(_) => return tracing::warn!("some nodes did not answer the goodbye"),
                }
            } else {
                events.recv().await
            };
            match event {
                Some(LinkEvent::Left(node) | LinkEvent::Lost(node, _)) => {
                    if let Some(peer) = self.peers.remove(&node) {
                        self.farewell.on_lost(node, &peer);
                    }
                }
                Some(LinkEvent::Said(node, frame)) => {
                    if let SlaveToMaster::Concluded { delivered, problem } = frame.head {
                        self.on_concluded(node, delivered, problem, goodbye.clone());
                    }
                }
                // It came too late to be of use, and has nothing. Without a goodbye it would be taken for
                // lost.
                Some(LinkEvent::Joined(Joined { node, name, out, hang_up, .. })) => {
                    let hang_up = Some(hang_up);
                    self.peers.insert(node, Peer { name, out, hang_up, has_sink: false, has_files: false });
                    self.say_last(node, goodbye.clone());
                }
                Some(_) => {}
                None => return,
            }
        }
    }
}
