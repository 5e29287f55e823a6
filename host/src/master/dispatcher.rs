//! The actor around the run's decisions: events in, actions out. All state of the run is in
//! `dispatch_state.rs`; this performs, and blocks nowhere.

mod farewell;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use farewell::Farewell;

use super::decisions::{Action, DispatchState, Reason};
use super::nodes::{Joined, LinkEvent};
use super::output::{ProgressLine, Results, TaskIdentity, WriteFailure};
use super::run_end::{Ending, RunEnd, RunReport};
use crate::ids::{NodeId, SlotId};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::record::{Input, RecordReader, Unusable};
use crate::shutdown::Shutdown;
use crate::wire::{BatchHead, Frame, MasterToSlave, SlaveToMaster};

/// How often time passes for the run: bounds how late a retry is.
const TICK: Duration = Duration::from_millis(20);

/// How long slaves may take to say goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// What a run needs.
pub(super) struct RunPlan {
    /// What was decided so far.
    pub state: DispatchState,
    /// Where records come from.
    pub reader: RecordReader,
    /// The longest record that is run.
    pub record_bytes_max: usize,
    /// Where rows and failed records go.
    pub results: Results,
    /// Tells when rows cannot be written.
    pub write_failure: WriteFailure,
    /// Whether the first line names the columns.
    pub header: bool,
    /// What the user sees of the run.
    pub progress: ProgressLine,
    /// Whether the log says that a worker was lost: inside a slave, its pool has said so.
    pub logs_workers: bool,
    /// What happens to slaves at the end.
    pub ending: Ending,
}

struct Peer {
    name: String,
    out: mpsc::Sender<Frame<MasterToSlave>>,
    hang_up: Option<oneshot::Sender<String>>,
    /// It puts rows into a sink of its own,
    has_sink: bool,
    /// which has files that were not delivered yet.
    has_files: bool,
}

impl Peer {
    /// Lets the link end: nothing more is said on it.
    fn close(&mut self) {
        self.out = mpsc::channel(1).0;
    }

    /// Ends the link at once, whatever the slave still says.
    fn hang_up(&mut self, reason: &str) {
        if let Some(hang_up) = self.hang_up.take() {
            // A link that has ended already needs no end.
            let _ = hang_up.send(reason.to_owned());
        }
    }
}

struct Dispatcher {
    state: DispatchState,
    peers: HashMap<NodeId, Peer>,
    reader: RecordReader,
    /// What was read and has no place yet. It is read all the same, because it may be the end.
    next_input: Option<Input>,
    record_bytes_max: usize,
    results: Results,
    header: bool,
    progress: ProgressLine,
    logs_workers: bool,
    farewell: Farewell,
    nodes_used: usize,
    nodes_lost: usize,
    /// Why the last node was lost: what the user needs to know if none comes back.
    last_loss: Option<String>,
}

/// Runs until everything read is done or failed, or the run cannot go on.
pub(super) async fn run(
    plan: RunPlan,
    mut events: mpsc::Receiver<LinkEvent>,
    shutdown: Shutdown,
) -> RunReport {
    let mut dispatcher = Dispatcher {
        state: plan.state,
        peers: HashMap::new(),
        reader: plan.reader,
        next_input: None,
        record_bytes_max: plan.record_bytes_max,
        results: plan.results,
        header: plan.header,
        progress: plan.progress,
        logs_workers: plan.logs_workers,
        farewell: Farewell::new(plan.ending),
        nodes_used: 0,
        nodes_lost: 0,
        last_loss: None,
    };
    let mut write_failure = plan.write_failure;
    let end = if dispatcher.results.is_complete() {
        dispatcher.results.confirm(&mut dispatcher.reader, &shutdown).await
    } else {
        dispatcher.work(&mut events, &mut write_failure, &shutdown).await
    };
    dispatcher.progress.clear();
    dispatcher.end(end, events, write_failure, &shutdown).await
}

/// Whether slaves are told goodbye, or the links are only closed.
fn takes_leave(end: &RunEnd) -> bool {
    !matches!(end, RunEnd::Stopped(_) | RunEnd::CannotGoOn(_) | RunEnd::NoNode(_))
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
            let room = self.results.has_room();
            let step = tokio::select! {
                biased;
                signal = shutdown.second() => Err(RunEnd::Stopped(signal)),
                signal = shutdown.first(), if draining.is_none() => {
                    draining = Some(signal);
                    self.drain()
                }
                error = write_failure.wait() => Err(error.into()),
                event = events.recv(), if room => match event {
                    Some(event) => self.on_event(event),
                    None => Err(RunEnd::CannotGoOn("the links to slaves have ended by themselves".to_owned())),
                },
                input = self.reader.recv(), if room && self.wants_input() => self.on_read(input),
                () = self.results.room(), if !room => Ok(()),
                _ = ticker.tick() => {
                    self.progress.show(&self.state.counts());
                    let actions = self.state.on_tick(Instant::now());
                    self.perform(actions)
                }
            };
            let step = step.and_then(|()| self.place_input());
            let step = step.and_then(|()| self.results.checkpoint_if_due(&mut self.state, Instant::now()));
            if let Err(end) = step {
                return end;
            }
        }
        draining.map_or(RunEnd::Finished, RunEnd::Drained)
    }

    /// Takes leave of the slaves, and writes what is left to write. With sinks the writing comes first: they
    /// forget the run, and may do so only when its journal says that it is over.
    async fn end(
        mut self,
        mut end: RunEnd,
        mut events: mpsc::Receiver<LinkEvent>,
        failure: WriteFailure,
        shutdown: &Shutdown,
    ) -> RunReport {
        let can_be_resumed = self.results.can_be_resumed();
        if self.peers.values().any(|peer| peer.has_sink) {
            end = self.results.finish(end, &mut self.state, failure).await;
            if takes_leave(&end) {
                // As long as a journal may go on, its run may, under the same name; even one that has read
                // nothing yet.
                let run_is_over = matches!(end, RunEnd::Finished) || !self.results.has_journal();
                self.say_goodbye(&mut events, shutdown, run_is_over).await;
            }
        } else {
            if takes_leave(&end) {
                self.say_goodbye(&mut events, shutdown, true).await;
            }
            // From here on no slave is wanted any more.
            drop(events);
            end = self.results.finish(end, &mut self.state, failure).await;
        }
        let Self { state, farewell, nodes_used, nodes_lost, .. } = self;
        RunReport {
            end,
            counts: state.counts(),
            nodes_used,
            nodes_lost,
            can_be_resumed,
            sinks: farewell.news,
        }
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

    fn on_read(&mut self, input: Option<Input>) -> Step {
        if input.is_none() {
            let actions = self.state.on_input_end(Instant::now());
            return self.perform(actions);
        }
        self.next_input = input;
        self.place_input()
    }

    /// Hands what was read to the run, if it has a place for it. An end needs none.
    fn place_input(&mut self) -> Step {
        let is_end = matches!(self.next_input, Some(Input::End | Input::Failed(_)));
        if !is_end && !self.state.wants_records() {
            return Ok(());
        }
        let Some(input) = self.next_input.take() else { return Ok(()) };
        for input in self.results.admit(input)? {
            self.on_input(input)?;
        }
        Ok(())
    }

    fn on_input(&mut self, input: Input) -> Step {
        let now = Instant::now();
        let actions = match input {
            Input::Records { records, remaining_bytes } => {
                self.state.on_records_read(records, remaining_bytes, now)
            }
            Input::TooLong { record, bytes } => {
                self.state.on_too_long(record, bytes, self.record_bytes_max, now)
            }
            Input::Unusable { record, why } => {
                let reason = match why {
                    Unusable::NoFailedRecord { .. } => Reason::Rejected,
                    Unusable::OnlyItsBeginning => Reason::TooLong,
                };
                self.state.on_unusable(record, reason, why.to_string(), now)
            }
            Input::Failed(error) => return Err(error.into()),
            Input::End => {
                self.results.on_input_end(&self.state)?;
                self.state.on_input_end(now)
            }
        };
        self.perform(actions)
    }

    fn on_event(&mut self, event: LinkEvent) -> Step {
        let now = Instant::now();
        let actions = match event {
            LinkEvent::Joined(joined) => self.on_joined(joined, now)?,
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

    fn on_joined(&mut self, joined: Joined, now: Instant) -> Result<Vec<Action>, RunEnd> {
        let Joined { node, name, welcome, out, hang_up } = joined;
        tracing::debug!(node = name, slots = welcome.slots, task = welcome.task, "a node takes part");
        let (is_first, slots) = (self.nodes_used == 0, welcome.slots);
        // In any case it is a peer from now on, who can be told that the run is over.
        let (has_sink, has_files) =
            (welcome.sink.is_some(), welcome.sink.as_ref().is_some_and(|s| s.has_files));
        let hang_up = Some(hang_up);
        self.peers.insert(node, Peer { name: name.clone(), out, hang_up, has_sink, has_files });
        if is_first {
            self.on_first_sink(welcome.sink.as_ref());
            let first_line = (self.header && !has_sink).then(|| header_line(&welcome.columns));
            let task = TaskIdentity { name: welcome.task, version: welcome.task_version };
            self.results.on_task(task, first_line)?;
        }
        self.nodes_used += 1;
        Ok(self.state.on_node_joined(node, &name, slots, has_sink, now))
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
            SlaveToMaster::Concluded { delivered, problem } => {
                self.on_concluded(node, delivered, problem, MasterToSlave::Bye);
                return Ok(());
            }
            // It has nothing of this run any more, and its link ends with its goodbye.
            _ if self.is_concluding(node) => return Ok(()),
            SlaveToMaster::SlotLost(mut lost) => {
                shorten(&mut lost.message);
                if self.logs_workers {
                    tracing::warn!(node = self.name(node), slot = %lost.slot, "a worker was lost: {}", lost.message);
                }
                self.state.on_slot_lost(node, &lost, now)
            }
            SlaveToMaster::Draining => {
                tracing::info!(node = self.name(node), "a node is about to end; it finishes what it has");
                self.state.on_node_draining(node, now)
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
        self.perform(actions)
    }

    fn on_lost(&mut self, node: NodeId, reason: &str, now: Instant) -> Vec<Action> {
        // A peer that is not known any more was given up before.
        if self.give_up(node, reason) { self.state.on_node_lost(node, reason, now) } else { Vec::new() }
    }

    /// Ends the link to a node that is lost to the run; `false` if that was done before.
    fn give_up(&mut self, node: NodeId, reason: &str) -> bool {
        let Some(mut peer) = self.peers.remove(&node) else { return false };
        tracing::warn!(node = peer.name, "a node was lost: {reason}");
        peer.hang_up(reason);
        self.nodes_lost += 1;
        self.farewell.on_lost(node, &peer);
        self.last_loss = Some(format!("{} was lost: {reason}", peer.name));
        true
    }

    fn name(&self, node: NodeId) -> &str {
        self.peers.get(&node).map_or("?", |peer| &peer.name)
    }

    fn perform(&mut self, actions: Vec<Action>) -> Step {
        for action in actions {
            match action {
                Action::Send { slot, epoch, batch, records, with_row_ends, seqs } => {
                    let (slot, node) = (slot.index, slot.node);
                    let base = records.base();
                    let head = BatchHead { batch, slot, epoch, base, with_row_ends, seqs };
                    let (table, body) = (records.ends().clone(), records.data().clone());
                    self.send(node, Frame { head: MasterToSlave::Batch(head), table, body });
                }
                Action::Flush { slot, epoch, batch } => {
                    self.send(slot.node, MasterToSlave::Flush { batch, slot: slot.index, epoch }.into());
                }
                Action::Write(rows) => self.results.write(rows),
                Action::Fail(record) => {
                    self.progress.suspend(|| self.results.fail(&record))?;
                }
                Action::GiveUp { node, reason } => {
                    self.give_up(node, &reason);
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
            peer.hang_up("it does not take what it is sent");
        }
        // A link that is closed is about to be reported lost.
    }
}

/// Cuts what a slave says for people: one that is none of ours may say a mebibyte at once.
fn shorten(message: &mut String) {
    let end = (0..=MESSAGE_BYTES_MAX.min(message.len())).rev().find(|end| message.is_char_boundary(*end));
    message.truncate(end.unwrap_or(0));
}

/// The first line of an output with names; a task with raw output has one column.
fn header_line(columns: &[String]) -> bytes::Bytes {
    let names = if columns.is_empty() { "line".to_owned() } else { columns.join(",") };
    (names + "\n").into()
}
