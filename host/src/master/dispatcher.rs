//! The actor around the run's decisions: it hands events to them, and performs the actions that they return.
//! Every state of the run is in `decisions`; this decides nothing, and never blocks.

mod farewell;
mod hearing;
mod leave;
mod patience;
mod peer;

pub(super) use patience::{MOMENT, patiently};

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use farewell::Farewell;
use peer::Peer;

use super::decisions::{Action, DispatchState, Reason};
use super::nodes::LinkEvent;
use super::output::{ProgressLine, Results, WriteFailure};
use super::run_end::{Ending, RunEnd, RunReport};
use crate::ids::NodeId;
use crate::plugin::RowFormat;
use crate::record::{Input, ReadError, RecordReader, Unusable};
use crate::shutdown::Shutdown;
use crate::standstill::Standstill;
use crate::time;
use crate::wire::{Batch, Frame, MasterToSlave};

/// How often the run is told that time passes: a retry that is due is noticed within this time.
const TICK: Duration = Duration::from_millis(20);

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
    /// How slaves write rows, and so how that line is written.
    pub rows: RowFormat,
    /// What the user sees of the run.
    pub progress: ProgressLine,
    /// Whether the log says that a worker was lost: inside a slave, its pool has said so.
    pub logs_workers: bool,
    /// What happens to slaves at the end.
    pub ending: Ending,
}

struct Dispatcher {
    plan: RunPlan,
    peers: BTreeMap<NodeId, Peer>,
    /// Input that was read and has no place yet. It is read all the same, because it may be the end.
    next_input: Option<Input>,
    /// Why the input ended before its end: what was read is run all the same.
    input_failure: Option<ReadError>,
    farewell: Farewell,
    standstill: Standstill,
    nodes_used: usize,
    nodes_lost: usize,
    /// Why the last node was lost: what the user needs to know if no other takes its place.
    last_loss: Option<String>,
}

/// Runs until everything read is done or failed, or the run cannot go on.
pub(super) async fn run(
    plan: RunPlan,
    mut events: mpsc::Receiver<LinkEvent>,
    shutdown: Shutdown,
) -> RunReport {
    let mut dispatcher = Dispatcher {
        plan,
        peers: BTreeMap::new(),
        next_input: None,
        input_failure: None,
        farewell: Farewell::default(),
        standstill: Standstill::new(time::now()),
        nodes_used: 0,
        nodes_lost: 0,
        last_loss: None,
    };
    let plan = &mut dispatcher.plan;
    let end = if plan.results.is_complete() {
        plan.results.confirm(&mut plan.reader, &shutdown).await
    } else {
        dispatcher.work(&mut events, &shutdown).await
    };
    dispatcher.plan.progress.clear();
    dispatcher.end(end, events, &shutdown).await
}

/// Whether slaves are told goodbye, or the links are only closed.
fn takes_leave(end: &RunEnd) -> bool {
    !matches!(end, RunEnd::Stopped(_) | RunEnd::CannotGoOn(_) | RunEnd::NoNode(_))
}

/// Whether the loop goes on.
type Step = Result<(), RunEnd>;

impl Dispatcher {
    async fn work(&mut self, events: &mut mpsc::Receiver<LinkEvent>, shutdown: &Shutdown) -> RunEnd {
        let mut ticker = tokio::time::interval(TICK);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut draining = None;
        while !self.plan.state.is_finished() {
            let room = self.plan.results.has_room();
            // The tick is seldom due, and must not wait for a queue that is never empty.
            let step = tokio::select! {
                biased;
                signal = shutdown.second() => Err(RunEnd::Stopped(signal)),
                signal = shutdown.first(), if draining.is_none() => {
                    draining = Some(signal);
                    self.drain()
                }
                _ = ticker.tick() => self.on_tick(),
                error = self.plan.write_failure.wait() => Err(error.into()),
                event = events.recv(), if room => match event {
                    Some(event) => self.on_event(event),
                    None => Err(RunEnd::CannotGoOn("the links to all slaves have ended unexpectedly".to_owned())),
                },
                input = self.plan.reader.recv(), if room && self.wants_input() => self.on_read(input),
                () = self.plan.results.room(), if !room => Ok(()),
            };
            if let Err(end) = step.and_then(|()| self.place_input()) {
                return end;
            }
            self.plan.results.checkpoint_if_due(&mut self.plan.state, time::now());
        }
        match self.input_failure.take() {
            Some(error) => error.into(),
            None => draining.map_or(RunEnd::Finished, RunEnd::Drained),
        }
    }

    /// Takes leave of the slaves, and writes what is left to write. With sinks the writing comes first: at
    /// the goodbye they forget the run, and may do so only when its journal says that it is over.
    async fn end(
        mut self,
        mut end: RunEnd,
        mut events: mpsc::Receiver<LinkEvent>,
        shutdown: &Shutdown,
    ) -> RunReport {
        let can_be_resumed = self.plan.results.can_be_resumed();
        if self.peers.values().any(|peer| peer.has_sink) {
            end = self.finish_results(end, shutdown).await;
            if takes_leave(&end) {
                // While a journal can be resumed, its run can be too, under the same name; even a run that
                // has read nothing yet.
                let run_is_over = matches!(end, RunEnd::Finished) || !self.plan.results.has_journal();
                self.say_goodbye(&mut events, shutdown, run_is_over).await;
            }
        } else {
            if takes_leave(&end) {
                self.say_goodbye(&mut events, shutdown, true).await;
            }
            // No slave is wanted from here on.
            drop(events);
            end = self.finish_results(end, shutdown).await;
        }
        let Self { plan, farewell, nodes_used, nodes_lost, .. } = self;
        let (counts, sinks) = (plan.results.written(&plan.state), farewell.news);
        if matches!(end, RunEnd::Finished | RunEnd::Drained(_) | RunEnd::InputFailed(_)) {
            debug_assert_eq!(counts, plan.state.counts(), "all that is done or failed is written");
        }
        RunReport { end, counts, nodes_used, nodes_lost, can_be_resumed, sinks }
    }

    fn wants_input(&self) -> bool {
        self.next_input.is_none() && !self.plan.state.input_has_ended()
    }

    fn drain(&mut self) -> Step {
        self.plan.reader.stop();
        self.next_input = None;
        let actions = self.plan.state.on_input_end(time::now());
        self.perform(actions)
    }

    fn on_tick(&mut self) -> Step {
        let now = time::now();
        self.plan.progress.show(&self.plan.state.counts());
        self.say_if_nothing_ends(now);
        let actions = self.plan.state.on_tick(now);
        self.perform(actions)
    }

    fn on_read(&mut self, input: Option<Input>) -> Step {
        if input.is_none() {
            let actions = self.plan.state.on_input_end(time::now());
            return self.perform(actions);
        }
        // It is placed when this step is over, like everything that waits for a place.
        self.next_input = input;
        Ok(())
    }

    /// Hands what was read to the run, if it has a place for it. An end needs none.
    fn place_input(&mut self) -> Step {
        let is_end = |input: &Input| matches!(input, Input::End | Input::Failed(_));
        let state = &self.plan.state;
        let placed = self.next_input.take_if(|input| is_end(input) || state.wants_records());
        let Some(input) = placed else { return Ok(()) };
        for input in self.plan.results.admit(input)? {
            self.on_input(input)?;
        }
        Ok(())
    }

    fn on_input(&mut self, input: Input) -> Step {
        let now = time::now();
        let actions = match input {
            Input::Records { records, remaining_bytes, keys } => {
                self.plan.state.on_keyed_records_read(records, keys.as_ref(), remaining_bytes, now)
            }
            Input::TooLong { record, bytes } => {
                self.plan.state.on_too_long(record, bytes, self.plan.record_bytes_max, now)
            }
            Input::Unusable { record, why } => {
                let reason = match why {
                    Unusable::NoFailedRecord { .. } => Reason::Rejected,
                    Unusable::OnlyItsBeginning => Reason::TooLong,
                };
                self.plan.state.on_unusable(record, reason, why.to_string(), now)
            }
            Input::Failed(error) => {
                self.input_failure = Some(error);
                self.plan.state.on_input_end(now)
            }
            Input::End => {
                self.plan.results.on_input_end(&self.plan.state)?;
                self.plan.state.on_input_end(now)
            }
        };
        self.perform(actions)
    }

    fn perform(&mut self, actions: Vec<Action>) -> Step {
        for action in actions {
            match action {
                Action::Send { slot, epoch, batch, records, with_row_ends, seqs } => {
                    let (slot, node) = (slot.index, slot.node);
                    let batch = Batch { batch, slot, epoch, records, with_row_ends, seqs };
                    self.send(node, batch.into_frame());
                }
                Action::Flush { slot, epoch, batch } => {
                    self.send(slot.node, MasterToSlave::Flush { batch, slot: slot.index, epoch }.into());
                }
                Action::Write(ready) => self.plan.results.write(ready),
                Action::Fail(record) => self.plan.progress.suspend(|| self.plan.results.fail(&record)),
                Action::GiveUp { node, reason } => {
                    self.give_up(node, &reason);
                }
                Action::LetGo(node) => self.let_go(node),
            }
        }
        self.plan.results.hand_over();
        if cfg!(debug_assertions) {
            self.plan.state.sanity_check();
        }
        Ok(())
    }

    fn send(&mut self, node: NodeId, frame: Frame<MasterToSlave>) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.send(frame);
        }
    }
}
