//! The actor that owns a slave's workers: takes work from the session, gives it to worker links, and passes
//! on what they say. `pool_state.rs` decides; this performs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::pool_state::{Action, PoolState};
use super::worker_link::{self, LinkSettings, Steering, WorkerEvent, WorkerId};
use crate::ids::{Epoch, RunId, SlotIndex};
use crate::limits::{BATCHES_PER_SLOT_MAX, ITEMS_PER_WORKER_MAX};
use crate::record::Format;
use crate::scoreboard::{Outcome, Status};
use crate::sink::SinkHandle;
use crate::wire::{Frame, HostToWorker, ItemDone, SlaveToMaster, WorkerStart};
use crate::worker::{LaunchError, WorkerLabel};

/// How often time passes for the pool.
const TICK: Duration = Duration::from_millis(50);

/// Frames, and bytes of rows in them, that may wait for a master before workers are no longer listened to: a
/// master that does not read must not fill the slave's memory.
const OUTBOX_FRAMES_MAX: usize = 64;
const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Room for a worker's items: those that it may have, a `Begin`, and a flush.
const ITEMS_CHANNEL: usize = ITEMS_PER_WORKER_MAX + 2;

/// Room for what is to be done to a worker's process: told to make haste, once, and killed.
const STEERING_CHANNEL: usize = 4;

/// What the pool must know.
#[derive(Debug, Clone)]
pub(crate) struct PoolConfig {
    /// How many workers.
    pub slots: u16,
    /// What they load.
    pub start: WorkerStart,
    /// What the log calls this slave.
    pub node: String,
    /// The limit of one record, if the master names none.
    pub record_timeout: Option<Duration>,
    /// Whether the log says that a worker was lost: in a local run, the master says so already.
    pub logs_losses: bool,
}

/// What a master's run asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunRequest {
    /// Its name.
    pub run: RunId,
    /// How its records end.
    pub format: Format,
    /// The limit of one record.
    pub record_timeout: Option<Duration>,
}

/// What a pool is told.
#[derive(Debug)]
pub(crate) enum PoolCommand {
    /// A master is there. What it must be told goes to `out`.
    Attach {
        /// What it asks for.
        run: RunRequest,
        /// The way to it.
        out: mpsc::Sender<Frame<SlaveToMaster>>,
        /// To be told why, if its link must be closed.
        close: oneshot::Sender<String>,
    },
    /// An item for a worker.
    Work(WorkerId, Frame<HostToWorker>),
    /// The master is gone, or done. Answered when nothing of its run is left.
    Detach(oneshot::Sender<()>),
    /// The slave is about to end: tasks are told.
    Hurry,
    /// All workers must end after what they have.
    Stop,
    /// All workers must end at once.
    Kill,
    /// The slave cannot go on, for a reason outside its workers.
    GiveUp {
        /// Why.
        message: String,
    },
}

/// How a pool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PoolStatus {
    /// Its first workers are being started.
    Starting,
    /// It can be given to a master.
    Ready,
    /// It cannot go on.
    Failed {
        /// Why.
        message: String,
    },
    /// All workers have ended.
    Stopped,
}

/// The way to a pool.
#[derive(Debug, Clone)]
pub(crate) struct PoolHandle {
    /// What it is told.
    pub commands: mpsc::Sender<PoolCommand>,
    /// How it is.
    pub status: watch::Receiver<PoolStatus>,
    /// What it has done.
    pub counters: Arc<Counters>,
    /// Where the rows of its workers go, if not to the master.
    pub sink: Option<SinkHandle>,
}

/// Records that ended in a pool's workers, over all runs.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Done.
    pub done: AtomicU64,
    /// Failed attempts.
    pub failed: AtomicU64,
}

impl Counters {
    fn count(&self, done: &ItemDone, table: &[u8]) {
        if done.all_done {
            self.done.fetch_add(done.outcomes.into(), Relaxed);
            return;
        }
        for outcome in Outcome::all(table).flatten() {
            match outcome.status {
                Status::Done => self.done.fetch_add(1, Relaxed),
                Status::Held => 0,
                _ => self.failed.fetch_add(1, Relaxed),
            };
        }
    }
}

/// Starts a pool; it runs in `tasks`.
pub(crate) fn start(config: PoolConfig, sink: Option<SinkHandle>, tasks: &mut JoinSet<()>) -> PoolHandle {
    let room = usize::from(config.slots) * (BATCHES_PER_SLOT_MAX + 1) + 16;
    let (commands, inbox) = mpsc::channel(room);
    let (status, status_out) = watch::channel(PoolStatus::Starting);
    let (events_in, events) = mpsc::channel(usize::from(config.slots) + 16);
    let counters = Arc::new(Counters::default());
    let (state, actions) = PoolState::new(config.slots, Instant::now());
    let pool = Pool {
        state,
        config,
        workers: HashMap::new(),
        links: JoinSet::new(),
        events_in,
        record_timeout: watch::Sender::new(None),
        master: None,
        outbox: VecDeque::new(),
        outbox_bytes: 0,
        status,
        counters: counters.clone(),
    };
    tasks.spawn(pool.work(actions, inbox, events));
    PoolHandle { commands, status: status_out, counters, sink }
}

/// How a worker link is steered.
struct Control {
    /// Items for the worker. Without it, the worker ends after those that it has.
    items: Option<mpsc::Sender<Frame<HostToWorker>>>,
    /// What is to be done to its process.
    steering: mpsc::Sender<Steering>,
}

/// The master that the pool works for.
struct Master {
    out: mpsc::Sender<Frame<SlaveToMaster>>,
    close: oneshot::Sender<String>,
    begin: HostToWorker,
}

struct Pool {
    state: PoolState,
    config: PoolConfig,
    workers: HashMap<WorkerId, Control>,
    links: JoinSet<()>,
    events_in: mpsc::Sender<(WorkerId, WorkerEvent)>,
    record_timeout: watch::Sender<Option<Duration>>,
    master: Option<Master>,
    outbox: VecDeque<Frame<SlaveToMaster>>,
    outbox_bytes: usize,
    status: watch::Sender<PoolStatus>,
    counters: Arc<Counters>,
}

impl Pool {
    async fn work(
        mut self,
        actions: Vec<Action>,
        mut inbox: mpsc::Receiver<PoolCommand>,
        mut events: mpsc::Receiver<(WorkerId, WorkerEvent)>,
    ) {
        self.perform(actions);
        let mut ticker = tokio::time::interval(TICK);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut commands_open = true;
        while !self.state.is_stopped() {
            let actions = tokio::select! {
                biased;
                sent = send_next(self.master.as_ref(), &mut self.outbox), if !self.outbox.is_empty() => {
                    self.on_sent(sent)
                }
                Some((id, event)) = events.recv(), if self.has_room() => {
                    self.on_event(id, event)
                }
                command = inbox.recv(), if commands_open => match command {
                    Some(command) => self.on_command(command),
                    None => {
                        commands_open = false;
                        self.state.on_stop()
                    }
                },
                _ = ticker.tick() => self.state.on_tick(Instant::now()),
            };
            self.perform(actions);
        }
        while self.links.join_next().await.is_some() {}
        self.status.send_replace(PoolStatus::Stopped);
    }

    fn on_command(&mut self, command: PoolCommand) -> Vec<Action> {
        match command {
            PoolCommand::Attach { run, out, close } => {
                let begin = HostToWorker::Begin { format: run.format };
                self.record_timeout.send_replace(run.record_timeout.or(self.config.record_timeout));
                self.master = Some(Master { out, close, begin: begin.clone() });
                self.state.on_attach(&begin)
            }
            PoolCommand::Work(id, item) => self.state.on_work(id, item),
            PoolCommand::Detach(done) => {
                self.forget_master();
                let actions = self.state.on_detach();
                // Whoever asked may have gone; then nobody waits.
                let _ = done.send(());
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

    fn on_event(&mut self, id: WorkerId, event: WorkerEvent) -> Vec<Action> {
        let now = Instant::now();
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
                let refused = matches!(error, LaunchError::Unusable(_));
                if refused && *self.status.borrow() == PoolStatus::Starting {
                    return self.state.on_refused(id, error.to_string());
                }
                // That the pool itself has ended it is nothing to tell: the run is over, or the slave ends.
                if !matches!(error, LaunchError::Ended) {
                    tracing::warn!(slot = %id.slot, "a worker did not start: {error}");
                }
                self.state.on_not_created(id, error.to_string(), now)
            }
            WorkerEvent::Done { done, table, body } => {
                self.counters.count(&done, &table);
                self.state.on_done(id, &done, table, body, now)
            }
            WorkerEvent::Fatal { message } => self.state.on_fatal(message),
            WorkerEvent::Lost(lost) => {
                self.workers.remove(&id);
                if self.config.logs_losses && !lost.was_expected {
                    tracing::warn!(slot = %id.slot, "a worker was lost: {}", lost.message);
                }
                self.state.on_lost(id, lost, now)
            }
        }
    }

    fn has_room(&self) -> bool {
        self.outbox.len() < OUTBOX_FRAMES_MAX && self.outbox_bytes < OUTBOX_BYTES_MAX
    }

    /// A frame has gone to the master, or could not.
    fn on_sent(&mut self, sent: Option<usize>) -> Vec<Action> {
        if let Some(bytes) = sent {
            self.outbox_bytes -= bytes;
            return Vec::new();
        }
        self.forget_master();
        self.state.on_detach()
    }

    fn forget_master(&mut self) {
        self.master = None;
        self.outbox.clear();
        self.outbox_bytes = 0;
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Spawn(id) => self.spawn(id),
                Action::Feed(id, item) => self.feed(id, item),
                Action::Kill(id) => self.steer(id, Steering::Kill),
                Action::Hurry(id) => self.steer(id, Steering::Hurry),
                Action::CloseMaster { reason } => {
                    if let Some(master) = self.master.take() {
                        // A session that is over already has nothing to close.
                        let _ = master.close.send(reason);
                    }
                    self.forget_master();
                }
                Action::Stop(id) => {
                    if let Some(control) = self.workers.get_mut(&id) {
                        // Without a sender, the link tells the worker to stop after what it has.
                        control.items = None;
                    }
                }
                Action::Report(frame) => {
                    if self.master.is_some() {
                        self.outbox_bytes += frame.body.len();
                        self.outbox.push_back(frame);
                    }
                }
                Action::GiveUp { message } => self.give_up(message),
            }
        }
        if cfg!(debug_assertions) {
            self.state.sanity_check();
        }
    }

    fn spawn(&mut self, id: WorkerId) {
        let (items, items_out) = mpsc::channel(ITEMS_CHANNEL);
        let (steering, steered) = mpsc::channel(STEERING_CHANNEL);
        let task = self.config.start.task.clone();
        let settings = LinkSettings {
            id,
            start: self.config.start.clone(),
            label: WorkerLabel { node: self.config.node.clone(), slot: Some(id.slot.0), task },
            record_timeout: self.record_timeout.subscribe(),
        };
        self.links.spawn(worker_link::run(settings, items_out, steered, self.events_in.clone()));
        self.workers.insert(id, Control { items: Some(items), steering });
        while self.links.try_join_next().is_some() {}
    }

    fn feed(&mut self, id: WorkerId, item: Frame<HostToWorker>) {
        let Some(items) = self.workers.get(&id).and_then(|control| control.items.as_ref()) else { return };
        // A link that is gone is about to report its worker lost.
        if let Err(TrySendError::Full(_)) = items.try_send(item) {
            tracing::warn!(slot = %id.slot, "a worker does not take what it is given; it is replaced");
            self.steer(id, Steering::Kill);
        }
    }

    fn steer(&mut self, id: WorkerId, steering: Steering) {
        if let Some(control) = self.workers.get_mut(&id) {
            // A link that is gone has no worker, and one that has not looked yet will find what is there.
            let _ = control.steering.try_send(steering);
        }
    }

    fn give_up(&mut self, message: String) {
        if matches!(*self.status.borrow(), PoolStatus::Failed { .. }) {
            return;
        }
        if self.master.is_some() {
            self.outbox.push_back(SlaveToMaster::Failed { message: message.clone() }.into());
        }
        self.status.send_replace(PoolStatus::Failed { message });
    }
}

/// Sends the oldest waiting frame, and says how many bytes of rows it had; `None` if the master's way is
/// closed. Cancel safe: a frame leaves the outbox only when there is room for it.
async fn send_next(master: Option<&Master>, outbox: &mut VecDeque<Frame<SlaveToMaster>>) -> Option<usize> {
    let permit = master?.out.reserve().await.ok()?;
    let frame = outbox.pop_front()?;
    let bytes = frame.body.len();
    permit.send(frame);
    Some(bytes)
}

impl WorkerId {
    /// The worker of a slot.
    pub(crate) fn new(slot: SlotIndex, epoch: Epoch) -> Self {
        Self { slot, epoch }
    }
}
