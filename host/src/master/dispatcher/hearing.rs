//! What the dispatcher hears from its links: each event becomes an event of the run's state, whose actions
//! are then performed.

use std::time::Instant;

use super::peer::Peer;
use super::{Dispatcher, Step};
use crate::ids::{NodeId, SlotId};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::master::decisions::{Action, Reason};
use crate::master::nodes::{Joined, LinkEvent};
use crate::master::output::TaskIdentity;
use crate::master::run_end::RunEnd;
use crate::time;
use crate::wire::{Frame, MasterToSlave, SlaveToMaster};

impl Dispatcher {
    pub(super) fn on_event(&mut self, event: LinkEvent) -> Step {
        let now = time::now();
        let actions = match event {
            LinkEvent::Joined(joined) => self.on_joined(joined, now)?,
            LinkEvent::Said(node, frame) => return self.on_said(node, frame, now),
            LinkEvent::RoundTrip(node, measured) => {
                self.plan.state.on_round_trip(node, measured);
                Vec::new()
            }
            LinkEvent::Left(node) => {
                self.peers.remove(&node);
                self.plan.state.on_node_lost(node, "it said goodbye", now)
            }
            LinkEvent::Lost(node, reason) => self.on_lost(node, &reason, now),
            LinkEvent::NoNodes(message) if self.nodes_used == 0 => return Err(RunEnd::NoNode(message)),
            LinkEvent::NoNodes(message) => {
                let loss = self.last_loss.take().map_or_else(String::new, |loss| format!("{loss}; "));
                return Err(RunEnd::CannotGoOn(loss + &message));
            }
        };
        self.perform(actions)
    }

    fn on_joined(&mut self, joined: Joined, now: Instant) -> Result<Vec<Action>, RunEnd> {
        let Joined { node, name, welcome, out, hang_up } = joined;
        tracing::debug!(node = name, slots = welcome.slots, task = welcome.task, "a node takes part");
        let (is_first, slots) = (self.nodes_used == 0, welcome.slots);
        let has_sink = welcome.sink.is_some();
        // In any case it is a peer from now on, and can be told that the run is over.
        self.peers.insert(node, Peer::new(name.clone(), out, hang_up, welcome.sink.as_ref()));
        if is_first {
            self.on_first_sink(welcome.sink.as_ref());
            let has_header = self.plan.header && !has_sink;
            let first_line = has_header.then(|| welcome.output.header_line(self.plan.rows)).flatten();
            let first_line = first_line.map(Into::into);
            self.plan.results.on_task(TaskIdentity::of(&welcome), first_line)?;
        }
        self.nodes_used += 1;
        Ok(self.plan.state.on_node_joined(node, &name, slots, has_sink, now))
    }

    fn on_said(&mut self, node: NodeId, frame: Frame<SlaveToMaster>, now: Instant) -> Step {
        if !self.peers.contains_key(&node) {
            // It was given up or let go; what it says no longer counts.
            return Ok(());
        }
        let actions = match frame.head {
            SlaveToMaster::Report(report) => {
                self.plan.state.on_report(node, &report, &frame.table, &frame.body, now)
            }
            SlaveToMaster::SlotUp { slot, epoch } => {
                self.plan.state.on_slot_up(SlotId { node, index: slot }, epoch, now)
            }
            SlaveToMaster::Concluded { delivered, problem } => {
                self.on_concluded(node, delivered, problem, MasterToSlave::Bye);
                return Ok(());
            }
            // No record of this run is with it any more, and its link ends with its goodbye.
            _ if self.is_concluding(node) => return Ok(()),
            SlaveToMaster::SlotLost(mut lost) => {
                shorten(&mut lost.message);
                if self.plan.logs_workers {
                    tracing::warn!(node = self.name(node), slot = %lost.slot, "a worker was lost: {}", lost.message);
                }
                self.plan.state.on_slot_lost(node, &lost, now)
            }
            SlaveToMaster::Draining => {
                tracing::info!(
                    node = self.name(node),
                    "a node is about to end; it finishes the records that it has"
                );
                self.plan.state.on_node_draining(node, now)
            }
            SlaveToMaster::Failed { mut message } => {
                shorten(&mut message);
                self.on_lost(node, &message, now)
            }
            other => {
                let mut reason = format!("it broke the protocol with {other:?}");
                shorten(&mut reason);
                self.on_lost(node, &reason, now)
            }
        };
        self.note_given_up(node, &actions);
        self.perform(actions)
    }

    /// Counts the records that fail for good with what a node has said. It has counted the rejected ones
    /// itself.
    fn note_given_up(&mut self, node: NodeId, actions: &[Action]) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let is_given_up =
            |action: &&Action| matches!(action, Action::Fail(failed) if failed.reason != Reason::Rejected);
        peer.given_up += actions.iter().filter(is_given_up).count() as u64;
    }

    fn on_lost(&mut self, node: NodeId, reason: &str, now: Instant) -> Vec<Action> {
        // A peer that is not known was given up before.
        if self.give_up(node, reason) { self.plan.state.on_node_lost(node, reason, now) } else { Vec::new() }
    }

    /// Ends the link to a node that is lost to the run; `false` if that was done before.
    pub(super) fn give_up(&mut self, node: NodeId, reason: &str) -> bool {
        let Some(mut peer) = self.peers.remove(&node) else { return false };
        tracing::warn!(node = peer.name, "a node was lost: {reason}");
        peer.hang_up(reason);
        self.nodes_lost += 1;
        self.note_loss(node, &peer);
        self.last_loss = Some(format!("{} was lost: {reason}", peer.name));
        true
    }

    fn name(&self, node: NodeId) -> &str {
        self.peers.get(&node).map_or("?", |peer| &peer.name)
    }
}

/// Cuts a message from a slave: a peer that is not one of our slaves can send a mebibyte at once.
pub(super) fn shorten(message: &mut String) {
    let end = (0..=MESSAGE_BYTES_MAX.min(message.len())).rev().find(|end| message.is_char_boundary(*end));
    message.truncate(end.unwrap_or(0));
}
