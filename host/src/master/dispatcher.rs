//! The actor around the run's decisions: events in, actions out. All state of the run is in
//! `dispatch_state.rs`; this performs, and blocks nowhere.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::books::Counts;
use super::dispatch_state::{Action, DispatchState, RunRules};
use super::failed_writer::FailedWriter;
use super::link::{Joined, LinkEvent};
use super::progress::ProgressLine;
use super::result_writer::{ResultWriter, WriteError, WriteFailure};
use crate::ids::{NodeId, SlotId};
use crate::record::{Input, RecordReader};
use crate::shutdown::{Shutdown, StopSignal};
use crate::wire::{BatchHead, Frame, MasterToSlave, SlaveToMaster};

/// How often time passes for the run: bounds how late a retry is.
const TICK: Duration = Duration::from_millis(20);

/// How long slaves may take to say goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// What a run needs.
pub struct RunPlan {
    /// What the user asked for.
    pub rules: RunRules,
    /// Where records come from.
    pub reader: RecordReader,
    /// The longest record that is run.
    pub record_bytes_max: usize,
    /// Where rows go.
    pub writer: ResultWriter,
    /// Tells when that place cannot be written.
    pub write_failure: WriteFailure,
    /// Where failed records go.
    pub failed: FailedWriter,
    /// Whether the first line names the columns.
    pub header: bool,
    /// What the user sees of the run.
    pub progress: ProgressLine,
    /// Whether slaves are to end with the run.
    pub shutdown_slaves: bool,
}

/// How a run ended.
#[derive(Debug)]
pub enum RunEnd {
    /// Everything is done or failed.
    Finished,
    /// A signal asked for the end; what was read is done or failed.
    Drained(StopSignal),
    /// A second signal, or a signal that came too late for a drain: what was in flight is not accounted for.
    Stopped(StopSignal),
    /// Whoever read the output has seen enough.
    OutputClosed,
    /// The run could not go on.
    CannotGoOn(String),
    /// It never began: there was no node.
    NoNode(String),
}

/// What became of a run.
#[derive(Debug)]
pub struct RunReport {
    /// How it ended.
    pub end: RunEnd,
    /// Records.
    pub counts: Counts,
    /// Nodes that took part.
    pub nodes_used: usize,
    /// Nodes that were lost.
    pub nodes_lost: usize,
}

struct Peer {
    name: String,
    out: mpsc::Sender<Frame<MasterToSlave>>,
}

impl Peer {
    /// Lets the link end: nothing more is said on it.
    fn close(&mut self) {
        self.out = mpsc::channel(1).0;
    }
}

struct Dispatcher {
    state: DispatchState,
    peers: HashMap<NodeId, Peer>,
    reader: RecordReader,
    /// What was read and has no place yet. It is read all the same, because it may be the end.
    next_input: Option<Input>,
    record_bytes_max: usize,
    writer: ResultWriter,
    failed: FailedWriter,
    header: bool,
    progress: ProgressLine,
    shutdown_slaves: bool,
    nodes_used: usize,
    nodes_lost: usize,
    /// Why the last node was lost: what the user needs to know if none comes back.
    last_loss: Option<String>,
}

/// Runs until everything read is done or failed, or the run cannot go on.
pub async fn run(plan: RunPlan, mut events: mpsc::Receiver<LinkEvent>, shutdown: Shutdown) -> RunReport {
    let mut dispatcher = Dispatcher {
        state: DispatchState::new(plan.rules),
        peers: HashMap::new(),
        reader: plan.reader,
        next_input: None,
        record_bytes_max: plan.record_bytes_max,
        writer: plan.writer,
        failed: plan.failed,
        header: plan.header,
        progress: plan.progress,
        shutdown_slaves: plan.shutdown_slaves,
        nodes_used: 0,
        nodes_lost: 0,
        last_loss: None,
    };
    let mut write_failure = plan.write_failure;
    let mut end = dispatcher.work(&mut events, &mut write_failure, &shutdown).await;
    if matches!(end, RunEnd::Finished | RunEnd::Drained(_) | RunEnd::OutputClosed) {
        dispatcher.say_goodbye(&mut events, &shutdown).await;
    }
    // From here on no slave is wanted any more.
    drop(events);
    dispatcher.progress.clear();
    let Dispatcher { state, writer, mut failed, nodes_used, nodes_lost, .. } = dispatcher;
    if let Err(error) = failed.finish() {
        end = RunEnd::CannotGoOn(error.to_string());
    }
    // A writer that has failed has said so, and one that may block for ever is left behind by a hard stop.
    if matches!(end, RunEnd::Finished | RunEnd::Drained(_))
        && let Err(error) = writer.finish(write_failure).await
    {
        end = write_failed(error);
    }
    RunReport { end, counts: state.counts(), nodes_used, nodes_lost }
}

/// Whether the loop goes on.
type Step = Result<(), RunEnd>;

impl Dispatcher {
    async fn work(
        &mut self,
        events: &mut mpsc::Receiver<LinkEvent>,
        write_failure: &mut WriteFailure,
        shutdown: &Shutdown,
    ) -> RunEnd {
        let mut ticker = tokio::time::interval(TICK);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut draining = None;
        while !self.state.is_finished() {
            let room = self.writer.has_room();
            let step = tokio::select! {
                biased;
                signal = shutdown.second() => Err(RunEnd::Stopped(signal)),
                signal = shutdown.first(), if draining.is_none() => {
                    draining = Some(signal);
                    self.drain()
                }
                error = write_failure.wait() => Err(write_failed(error)),
                event = events.recv(), if room => match event {
                    Some(event) => self.on_event(event),
                    None => Err(RunEnd::CannotGoOn("the links to slaves have ended by themselves".to_owned())),
                },
                input = self.reader.recv(), if room && self.wants_input() => self.on_input(input),
                () = self.writer.room(), if !room => Ok(()),
                _ = ticker.tick() => {
                    self.progress.show(&self.state.counts());
                    let actions = self.state.on_tick(Instant::now());
                    self.perform(actions)
                }
            };
            if let Err(end) = step.and_then(|()| self.place_input()) {
                return end;
            }
        }
        draining.map_or(RunEnd::Finished, RunEnd::Drained)
    }

    fn wants_input(&self) -> bool {
        self.next_input.is_none() && !self.state.input_has_ended()
    }

    fn drain(&mut self) -> Step {
        self.reader.stop();
        self.next_input = None;
        let actions = self.state.on_input_end(Instant::now());
        self.perform(actions)
    }

    fn on_input(&mut self, input: Option<Input>) -> Step {
        match input {
            Some(Input::End) | None => {
                let actions = self.state.on_input_end(Instant::now());
                self.perform(actions)
            }
            Some(Input::Failed(error)) => Err(RunEnd::CannotGoOn(format!("failed to {}", chain(&error)))),
            input => {
                self.next_input = input;
                self.place_input()
            }
        }
    }

    /// Hands what was read to the run, if it has a place for it.
    fn place_input(&mut self) -> Step {
        if !self.state.wants_records() {
            return Ok(());
        }
        let now = Instant::now();
        let actions = match self.next_input.take() {
            Some(Input::Records { records, remaining_bytes }) => {
                self.state.on_records_read(records, remaining_bytes, now)
            }
            Some(Input::TooLong { record, bytes }) => {
                self.state.on_too_long(record, bytes, self.record_bytes_max, now)
            }
            Some(Input::End | Input::Failed(_)) | None => return Ok(()),
        };
        self.perform(actions)
    }

    fn on_event(&mut self, event: LinkEvent) -> Step {
        let now = Instant::now();
        let actions = match event {
            LinkEvent::Joined(joined) => self.on_joined(joined, now),
            LinkEvent::Said(node, frame) => return self.on_said(node, frame, now),
            LinkEvent::RoundTrip(node, measured) => {
                self.state.on_round_trip(node, measured);
                Vec::new()
            }
            LinkEvent::Left(node) => {
                self.peers.remove(&node);
                self.state.on_node_lost(node, "it said goodbye", now)
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

    fn on_joined(&mut self, joined: Joined, now: Instant) -> Vec<Action> {
        let Joined { node, name, welcome, out } = joined;
        tracing::debug!(node = name, slots = welcome.slots, task = welcome.task, "a node takes part");
        if self.nodes_used == 0 && self.header {
            self.writer.write(vec![header_line(&welcome.columns)]);
        }
        self.nodes_used += 1;
        let actions = self.state.on_node_joined(node, &name, welcome.slots, now);
        self.peers.insert(node, Peer { name, out });
        actions
    }

    fn on_said(&mut self, node: NodeId, frame: Frame<SlaveToMaster>, now: Instant) -> Step {
        if !self.peers.contains_key(&node) {
            // It was given up, or let go; what it says is void.
            return Ok(());
        }
        let actions = match frame.head {
            SlaveToMaster::Report(report) => {
                self.state.on_report(node, &report, &frame.table, &frame.body, now)
            }
            SlaveToMaster::SlotUp { slot, epoch } => {
                self.state.on_slot_up(SlotId { node, index: slot }, epoch, now)
            }
            SlaveToMaster::SlotLost(lost) => {
                tracing::warn!(node = self.name(node), slot = %lost.slot, "a worker was lost: {}", lost.message);
                self.state.on_slot_lost(node, &lost, now)
            }
            SlaveToMaster::Draining => {
                tracing::info!(node = self.name(node), "a node is about to end; it finishes what it has");
                self.state.on_node_draining(node, now)
            }
            SlaveToMaster::Failed { message } => self.on_lost(node, &message, now),
            other => self.on_lost(node, &format!("it broke the protocol with {other:?}"), now),
        };
        self.perform(actions)
    }

    fn on_lost(&mut self, node: NodeId, reason: &str, now: Instant) -> Vec<Action> {
        // A peer that is not known any more was given up before.
        let Some(peer) = self.peers.remove(&node) else { return Vec::new() };
        tracing::warn!(node = peer.name, "a node was lost: {reason}");
        self.nodes_lost += 1;
        self.last_loss = Some(format!("{} was lost: {reason}", peer.name));
        self.state.on_node_lost(node, reason, now)
    }

    fn name(&self, node: NodeId) -> &str {
        self.peers.get(&node).map_or("?", |peer| &peer.name)
    }

    fn perform(&mut self, actions: Vec<Action>) -> Step {
        for action in actions {
            match action {
                Action::Send { slot, epoch, batch, records, with_row_ends } => {
                    let (slot, node) = (slot.index, slot.node);
                    let head = BatchHead { batch, slot, epoch, base: records.base(), with_row_ends };
                    let (table, body) = (records.ends().clone(), records.data().clone());
                    self.send(node, Frame { head: MasterToSlave::Batch(head), table, body });
                }
                Action::Flush { slot, epoch, batch } => {
                    self.send(slot.node, MasterToSlave::Flush { batch, slot: slot.index, epoch }.into());
                }
                Action::Write(rows) => self.writer.write(rows),
                Action::Fail(record) => {
                    let suspended = self.progress.suspend(|| self.failed.write(&record));
                    suspended.map_err(|error| RunEnd::CannotGoOn(error.to_string()))?;
                }
                Action::LetGo(node) => self.let_go(node),
                Action::Finish => {}
            }
        }
        if cfg!(debug_assertions) {
            self.state.sanity_check();
        }
        Ok(())
    }

    fn send(&mut self, node: NodeId, frame: Frame<MasterToSlave>) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if let Err(mpsc::error::TrySendError::Full(_)) = peer.out.try_send(frame) {
            tracing::warn!(node = peer.name, "a node does not take what it is sent; its link is closed");
            peer.close();
        }
        // A link that is closed is about to be reported lost.
    }

    /// Says goodbye to one node; its link ends with its answer.
    fn let_go(&mut self, node: NodeId) {
        self.send(node, MasterToSlave::Bye.into());
        self.peers.remove(&node);
    }

    /// Says goodbye to all nodes, and waits until they are free.
    async fn say_goodbye(&mut self, events: &mut mpsc::Receiver<LinkEvent>, shutdown: &Shutdown) {
        let goodbye = if self.shutdown_slaves { MasterToSlave::Shutdown } else { MasterToSlave::Bye };
        let nodes: Vec<_> = self.peers.keys().copied().collect();
        for node in &nodes {
            self.send(*node, goodbye.clone().into());
            if let Some(peer) = self.peers.get_mut(node) {
                peer.close();
            }
        }
        let waiting = async {
            while !self.peers.is_empty() {
                match events.recv().await {
                    Some(LinkEvent::Left(node) | LinkEvent::Lost(node, _)) => {
                        self.peers.remove(&node);
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        };
        tokio::select! {
            () = waiting => {}
            () = tokio::time::sleep(GOODBYE_MAX) => tracing::warn!("some nodes did not answer the goodbye"),
            _ = shutdown.second() => {}
        }
    }
}

fn write_failed(error: WriteError) -> RunEnd {
    match error {
        WriteError::Closed => RunEnd::OutputClosed,
        error => RunEnd::CannotGoOn(error.to_string()),
    }
}

/// The first line of an output with names; a task with raw output has one column.
fn header_line(columns: &[String]) -> bytes::Bytes {
    let names = if columns.is_empty() { "line".to_owned() } else { columns.join(",") };
    (names + "\n").into()
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
