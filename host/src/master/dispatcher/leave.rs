//! How a run takes leave of its slaves: a slave with a sink first puts away the rows that it has of the run,
//! and says whether that went well; then every slave is told goodbye.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::Dispatcher;
use super::hearing::shorten;
use super::peer::Peer;
use crate::ids::NodeId;
use crate::limits::SILENCE_MAX;
use crate::master::nodes::{Joined, LinkEvent};
use crate::shutdown::Shutdown;
use crate::wire::{MasterToSlave, SinkPlace, SlaveToMaster};

/// How long slaves may take to answer the goodbye: as long as a silent peer is waited for, since a slave that
/// is alive answers at once.
const GOODBYE_MAX: Duration = SILENCE_MAX;

impl Dispatcher {
    /// Lets a node go that drains; its link ends with its answer.
    pub(super) fn let_go(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get(&node) else { return };
        if peer.has_sink {
            self.conclude(node, false);
        } else {
            self.send(node, MasterToSlave::Bye.into());
            self.peers.remove(&node);
        }
    }

    /// The first node takes part. If it has a sink, the rows of this run do not come to the master.
    pub(super) fn on_first_sink(&self, sink: Option<&SinkPlace>) {
        if let Some(sink) = sink {
            tracing::info!("rows go to {}, not to the output", sink.name);
        }
        if self.plan.ending.harvest.is_some() && !sink.is_some_and(|sink| sink.has_files) {
            let place = sink.map_or("the output", |sink| &sink.name);
            tracing::warn!("there is nothing to harvest: the rows go to {place}");
        }
    }

    fn conclude(&mut self, node: NodeId, run_is_over: bool) {
        let harvest = self.plan.ending.harvest.clone();
        self.farewell.concluding.insert(node);
        self.tell_given_up(node);
        self.send(node, MasterToSlave::Conclude { run_is_over, harvest }.into());
    }

    /// A slave is gone that may have rows in files.
    pub(super) fn note_loss(&mut self, node: NodeId, peer: &Peer) {
        self.farewell.on_lost(node, peer, self.plan.ending.harvest.is_some());
    }

    /// Whether a node has been asked to put its rows away: no record of this run is with it any more.
    pub(super) fn is_concluding(&self, node: NodeId) -> bool {
        self.farewell.concluding.contains(&node)
    }

    /// A slave has put its rows away.
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
            shorten(&mut text);
            format!("{}: {text}", peer.name)
        };
        self.farewell.news.delivered.extend(delivered.map(said));
        self.farewell.news.problems.extend(problem.map(said));
        // It has answered: if it is lost from now on, no rows are lost with it.
        (peer.has_sink, peer.has_files) = (false, false);
        self.say_last(node, goodbye);
    }

    fn tell_given_up(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.tell_given_up();
        }
    }

    /// Says goodbye to a node: its link ends with its answer.
    fn say_last(&mut self, node: NodeId, goodbye: MasterToSlave) {
        self.tell_given_up(node);
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
        if let Some(begins) = self.plan.ending.begins.take() {
            // The keeper of the nodes may have ended already.
            let _ = begins.send(());
        }
        let shuts_down = self.plan.ending.shutdown_slaves;
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
            biased;
            _ = shutdown.second() => {}
            () = self.wait_for_goodbyes(events, &goodbye) => {}
        }
    }

    async fn wait_for_goodbyes(&mut self, events: &mut mpsc::Receiver<LinkEvent>, goodbye: &MasterToSlave) {
        let mut deadline = None;
        while !self.peers.is_empty() {
            // A delivery takes its time; the link notices if the slave dies meanwhile.
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
                        self.note_loss(node, &peer);
                    }
                }
                Some(LinkEvent::Said(node, frame)) => {
                    if let SlaveToMaster::Concluded { delivered, problem } = frame.head {
                        self.on_concluded(node, delivered, problem, goodbye.clone());
                    }
                }
                // It came too late to be of use, and has no rows. Without a goodbye it would count as lost.
                Some(LinkEvent::Joined(Joined { node, name, out, hang_up, .. })) => {
                    self.peers.insert(node, Peer::new(name, out, hang_up, None));
                    self.say_last(node, goodbye.clone());
                }
                Some(_) => {}
                None => return,
            }
        }
    }
}
