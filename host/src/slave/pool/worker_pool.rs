//! The actor that owns a slave's workers: it takes work from the session, gives it to worker links, and
//! passes on what they report. `pool_state.rs` decides; this performs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::counters::Counters;
use super::outbox::{MasterGone, Outbox};
use super::pool_action::PoolAction;
use super::pool_handle::{PoolCommand, PoolHandle, PoolStatus};
use super::pool_state::PoolState;
use super::worker_event::{Steering, WorkerEvent, WorkerId};
use super::worker_link::{self, LinkSettings};
use crate::build::Digest;
use crate::ids::SlotIndex;
use crate::limits::{BATCHES_PER_SLOT_MAX, ITEMS_PER_WORKER_MAX};
use crate::owned_task::{outcome, spawn_in};
use crate::plugin::RowFormat;
use crate::sink::SinkHandle;
use crate::time;
use crate::wire::{Frame, HostToWorker, SlaveToMaster};
use crate::worker::{Hatchery, Launch, LaunchError, WorkerLabel};

/// How often the pool's decisions hear of the time: twice within their shortest pause, which is 100 ms.
const TICK: Duration = Duration::from_millis(50);

/// Room for a worker's items: those that it may have, a `Begin`, and a flush.
const ITEMS_CHANNEL: usize = ITEMS_PER_WORKER_MAX + 2;

/// Room for what is done to a worker's process: it is told to hurry, once, and killed.
const STEERING_CHANNEL: usize = 4;

/// Commands that may wait beside work: a master comes and goes, and the slave ends.
const OTHER_COMMANDS: usize = 16;

/// Events that may wait beside one for each worker, so that a worker seldom waits for the pool.
const EVENTS_AHEAD: usize = 16;

/// What the pool must know.
#[derive(Debug, Clone)]
pub(crate) struct PoolConfig {
    /// How many workers.
    pub slots: u16,
    /// Where they come from.
    pub hatchery: Hatchery,
    /// What they load and run.
    pub launch: Launch,
    /// How long each step of a worker's start may take.
    pub start_timeout: Duration,
    /// What the log calls this slave.
    pub node: String,
    /// The limit of one record, if the master names none.
    pub record_timeout: Option<Duration>,
    /// Whether the pool logs that a worker was lost. In a local run the master logs it already.
    pub logs_losses: bool,
}

/// Starts a pool; it runs in `tasks`.
pub(crate) fn start_pool(
    config: PoolConfig,
    sink: Option<SinkHandle>,
    tasks: &mut JoinSet<()>,
) -> PoolHandle {
    let slots = usize::from(config.slots);
    let (commands, inbox) = mpsc::channel(slots * (BATCHES_PER_SLOT_MAX + 1) + OTHER_COMMANDS);
    let (status, status_out) = watch::channel(PoolStatus::Starting);
    let (events_in, events) = mpsc::channel(slots + EVENTS_AHEAD);
    let counters = Arc::new(Counters::default());
    let (state, actions) = PoolState::new(config.slots, time::now());
    let pool = Pool {
        state,
        config,
        workers: BTreeMap::new(),
        links: JoinSet::new(),
        events_in,
        record_timeout: watch::Sender::new(None),
        master: None,
        outbox: Outbox::default(),
        status,
        reloading: Vec::new(),
        counters: sink.is_none().then(|| counters.clone()),
    };
    spawn_in(tasks, pool.work(actions, inbox, events));
    PoolHandle::new(commands, status_out, counters, sink)
}

/// The pool's end of a worker link.
struct Control {
    /// Items for the worker. When this is dropped, the worker ends after those that it has.
    items: Option<mpsc::Sender<Frame<HostToWorker>>>,
    /// What to do to its process.
    steering: mpsc::Sender<Steering>,
}

/// The master that the pool works for.
struct Master {
    out: mpsc::Sender<Frame<SlaveToMaster>>,
    close: oneshot::Sender<String>,
    begin: HostToWorker,
    /// Its run must not see another build.
    is_pinned: bool,
}

struct Pool {
    state: PoolState,
    config: PoolConfig,
    workers: BTreeMap<WorkerId, Control>,
    links: JoinSet<()>,
    events_in: mpsc::Sender<(WorkerId, WorkerEvent)>,
    record_timeout: watch::Sender<Option<Duration>>,
    master: Option<Master>,
    outbox: Outbox,
    status: watch::Sender<PoolStatus>,
    /// Those who wait for the end of a reload.
    reloading: Vec<oneshot::Sender<()>>,
    /// None if there is a sink: then what it makes of a report counts.
    counters: Option<Arc<Counters>>,
}

impl Pool {
    /// What counts the records of a report, if it goes to a master as it is.
    fn counting(&self) -> Option<&Counters> {
        self.counters.as_deref().filter(|_| self.master.is_some())
    }

    async fn work(
        mut self,
        actions: Vec<PoolAction>,
        mut inbox: mpsc::Receiver<PoolCommand>,
        mut events: mpsc::Receiver<(WorkerId, WorkerEvent)>,
    ) {
        self.perform(actions);
        let mut ticker = tokio::time::interval(TICK);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut commands_open = true;
        while !self.state.is_stopped() {
            // The tick is seldom due, and must not wait for queues that are never empty.
            let actions = tokio::select! {
                biased;
                _ = ticker.tick() => self.state.on_tick(time::now()),
                sent = send_next(self.master.as_ref(), &mut self.outbox), if !self.outbox.is_empty() => {
                    self.on_sent(sent)
                }
                Some((id, event)) = events.recv(), if self.outbox.has_room() => {
                    self.on_event(id, event)
                }
                command = inbox.recv(), if commands_open => match command {
                    Some(command) => self.on_command(command),
                    None => {
                        commands_open = false;
                        self.state.on_stop()
                    }
                },
            };
            self.perform(actions);
        }
        while let Some(ended) = self.links.join_next().await {
            outcome(ended);
        }
        self.status.send_replace(PoolStatus::Stopped);
    }

    fn on_command(&mut self, command: PoolCommand) -> Vec<PoolAction> {
        match command {
            PoolCommand::Attach { run, out, close } => {
                // A sink reads CSV, whatever the master's output is.
                let rows = if self.counters.is_some() { run.rows } else { RowFormat::Csv };
                let begin = HostToWorker::Begin { format: run.format, rows };
                self.record_timeout.send_replace(run.record_timeout.or(self.config.record_timeout));
                self.master = Some(Master { out, close, begin: begin.clone(), is_pinned: false });
                self.state.on_attach(&begin)
            }
            PoolCommand::Work(id, item) => self.state.on_work(id, item),
            PoolCommand::Detach(done) => {
                self.forget_master();
                let actions = self.state.on_detach();
                // The session that asked may be gone.
                let _ = done.send(());
                actions
            }
            PoolCommand::Pin(file) => self.pin(file),
            PoolCommand::Reload { launch, accepted, done } => {
                let possible = self.may_reload(&launch);
                let actions = if possible.is_ok() { self.reload(*launch, done) } else { Vec::new() };
                // A slave that is ending does not wait for the answer.
                let _ = accepted.send(possible);
                actions
            }
            PoolCommand::Hurry => self.state.on_hurry(),
            PoolCommand::Stop => self.state.on_stop(),
            PoolCommand::Kill => self.state.on_kill(),
            PoolCommand::GiveUp { message } => {
                self.give_up(message);
                Vec::new()
            }
        }
    }

    /// The master's run takes only this file. It was welcomed with it, unless there was a reload since.
    fn pin(&mut self, file: Digest) -> Vec<PoolAction> {
        if let Some(master) = &mut self.master {
            master.is_pinned = true;
        }
        if self.config.launch.library.id().sha256 == file {
            return Vec::new();
        }
        let reason = "the slave was reloaded with another build, and this run is pinned to one".to_owned();
        vec![PoolAction::CloseMaster { reason }]
    }

    fn may_reload(&self, launch: &Launch) -> Result<(), String> {
        let is_same = self.config.launch.library.id().sha256 == launch.library.id().sha256;
        if !is_same && self.master.as_ref().is_some_and(|master| master.is_pinned) {
            return Err(
                "it serves a run that is pinned to one build (--same-version or --expect-task): reload it \
                        when that run is over"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn reload(&mut self, launch: Launch, done: oneshot::Sender<()>) -> Vec<PoolAction> {
        self.config.launch = launch;
        self.reloading.push(done);
        self.state.on_reload()
    }

    fn on_event(&mut self, id: WorkerId, event: WorkerEvent) -> Vec<PoolAction> {
        let now = time::now();
        match event {
            WorkerEvent::Created => {
                let begin = self.master.as_ref().map(|master| &master.begin);
                let actions = self.state.on_created(id, begin, now);
                if self.state.is_ready() {
                    self.status.send_if_modified(|status| {
                        let first = *status == PoolStatus::Starting;
                        if first {
                            *status = PoolStatus::Ready;
                        }
                        first
                    });
                }
                actions
            }
            WorkerEvent::NotCreated(error) => {
                self.workers.remove(&id);
                let is_final = matches!(error, LaunchError::Unusable(_) | LaunchError::TooSlow { .. });
                if is_final && *self.status.borrow() == PoolStatus::Starting {
                    return self.state.on_refused(id, error.to_string());
                }
                // A start that the pool itself cut short is no news: the run is over, or the slave is ending.
                if !matches!(error, LaunchError::Ended) {
                    tracing::warn!(slot = %id.slot, "a worker did not start: {error}");
                }
                self.state.on_not_created(id, error.to_string(), now)
            }
            WorkerEvent::Done { done, table, body } => {
                if let Some(counters) = self.counting() {
                    counters.count(&done, &table);
                }
                self.state.on_done(id, &done, table, body, now)
            }
            WorkerEvent::Fatal { message } => self.state.on_fatal(message),
            WorkerEvent::Lost(lost) => {
                self.workers.remove(&id);
                if let (Some(counters), Some((_, table, _))) = (self.counting(), &lost.remains) {
                    counters.count_table(table);
                }
                if self.config.logs_losses && !lost.was_expected {
                    tracing::warn!(slot = %id.slot, "a worker was lost: {}", lost.message);
                }
                self.state.on_lost(id, lost, now)
            }
        }
    }

    /// A frame has gone to the master, or could not.
    fn on_sent(&mut self, sent: Result<(), MasterGone>) -> Vec<PoolAction> {
        if sent.is_ok() {
            return Vec::new();
        }
        self.forget_master();
        self.state.on_detach()
    }

    fn forget_master(&mut self) {
        self.master = None;
        self.outbox.clear();
    }

    fn perform(&mut self, actions: Vec<PoolAction>) {
        for action in actions {
            match action {
                PoolAction::Spawn(id) => self.spawn(id),
                PoolAction::Feed(id, item) => self.feed(id, item),
                PoolAction::Kill(id) => self.steer(id, Steering::Kill),
                PoolAction::Hurry(id) => self.steer(id, Steering::Hurry),
                PoolAction::CloseMaster { reason } => {
                    if let Some(master) = self.master.take() {
                        // The session may be over already.
                        let _ = master.close.send(reason);
                    }
                    self.forget_master();
                }
                PoolAction::Stop(id) => {
                    if let Some(control) = self.workers.get_mut(&id) {
                        // Without a sender, the link tells the worker to stop after the items that it has.
                        control.items = None;
                    }
                }
                PoolAction::Report(frame) => {
                    if self.master.is_some() {
                        self.outbox.push(frame);
                    }
                }
                PoolAction::SayStandstill { still, slot, others } => self.say_standstill(still, slot, others),
                PoolAction::GiveUp { message } => self.give_up(message),
            }
        }
        if !self.reloading.is_empty() && self.state.is_reloaded() {
            for done in self.reloading.drain(..) {
                // Who asked may have gone.
                let _ = done.send(());
            }
        }
        if cfg!(debug_assertions) {
            self.state.sanity_check();
        }
    }

    /// In a local run the master says it, and which record it is.
    fn say_standstill(&self, still: Duration, slot: SlotIndex, others: usize) {
        if !self.config.logs_losses {
            return;
        }
        let still = humantime::format_duration(still);
        if self.outbox.has_room() {
            tracing::warn!(%slot, others, "nothing has ended for {still}: workers are busy");
        } else {
            tracing::warn!("nothing has ended for {still}: reports wait for the master, or for the sink");
        }
    }

    fn spawn(&mut self, id: WorkerId) {
        let (items, items_out) = mpsc::channel(ITEMS_CHANNEL);
        let (steering, steered) = mpsc::channel(STEERING_CHANNEL);
        let task = self.config.launch.start.task.clone();
        let settings = LinkSettings {
            id,
            launch: self.config.launch.clone(),
            hatchery: self.config.hatchery.clone(),
            start_timeout: self.config.start_timeout,
            label: WorkerLabel { node: self.config.node.clone(), slot: Some(id.slot.0), task },
            record_timeout: self.record_timeout.subscribe(),
        };
        spawn_in(&mut self.links, worker_link::run(settings, items_out, steered, self.events_in.clone()));
        self.workers.insert(id, Control { items: Some(items), steering });
        while let Some(ended) = self.links.try_join_next() {
            outcome(ended);
        }
    }

    fn feed(&mut self, id: WorkerId, item: Frame<HostToWorker>) {
        let Some(items) = self.workers.get(&id).and_then(|control| control.items.as_ref()) else { return };
        // A link that has ended is about to report that its worker is lost.
        if let Err(TrySendError::Full(_)) = items.try_send(item) {
            tracing::warn!(slot = %id.slot, "a worker does not take its items; it is replaced");
            self.steer(id, Steering::Kill);
        }
    }

    fn steer(&mut self, id: WorkerId, steering: Steering) {
        if let Some(control) = self.workers.get_mut(&id) {
            // A link that has ended has no worker; one that has not looked yet finds what is there already.
            let _ = control.steering.try_send(steering);
        }
    }

    fn give_up(&mut self, message: String) {
        if matches!(*self.status.borrow(), PoolStatus::Failed { .. }) {
            return;
        }
        if self.master.is_some() {
            self.outbox.push(SlaveToMaster::Failed { message: message.clone() }.into());
        }
        self.status.send_replace(PoolStatus::Failed { message });
    }
}

/// Sends the oldest frame that waits for the master. Cancel safe.
async fn send_next(master: Option<&Master>, outbox: &mut Outbox) -> Result<(), MasterGone> {
    outbox.send_next(&master.ok_or(MasterGone)?.out).await
}
