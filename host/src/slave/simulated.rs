//! A slave in a simulation: registration, door, sessions and pool put together as `node` does it, with other
//! ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection;
use super::door::{self, Door, EndOrder, Guest, Inside, Orders, WaitingRoom};
use super::figures::Figures;
use super::node::{END_ORDERS, REAP_MAX, ROW_EVENTS, STATS_EVERY};
use super::pool::{PoolConfig, PoolHandle, StopPatience, start_pool};
use super::registration::{Registration, RowEvent};
use crate::build::Build;
use crate::owned_task::{cancel_all, outcome, spawn_in};
use crate::plugin::{LibraryFile, OutputKind, TaskOutput};
use crate::registry::{Announcement, NodeKey, Registry};
use crate::shutdown::Shutdown;
use crate::time;
use crate::wire::{ReadEnd, Welcome, WorkerLimits, WorkerStart, WriteEnd};
use crate::worker::{Hatchery, Launch};

/// As long as `--drain-timeout`, unless the user says otherwise.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// As long as `--start-timeout`, unless the user says otherwise.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// What such a slave is told.
pub(crate) struct SimulatedSlave {
    /// Where its row is.
    pub registry: Registry,
    /// What it is called.
    pub key: NodeKey,
    /// The number of its process.
    pub pid: u32,
    /// How many workers it has.
    pub slots: u16,
    /// Where they come from.
    pub hatchery: Hatchery,
    /// Those who connect.
    pub arrivals: mpsc::Receiver<(ReadEnd, WriteEnd)>,
    /// Asks it to end.
    pub shutdown: Shutdown,
}

/// Lives until it is asked to end, or cannot go on, and says why.
///
/// # Errors
/// If it cannot begin or go on.
pub(crate) async fn live(slave: SimulatedSlave) -> Result<(), String> {
    let SimulatedSlave { registry, key, pid, slots, hatchery, arrivals, shutdown } = slave;
    let name = key.to_string();
    let announcement = announcement(key, pid, slots);
    let registration =
        Registration::announce(registry, announcement).await.map_err(|error| error.to_string())?;
    let (row, row_events) = mpsc::channel(ROW_EVENTS);
    let mut tasks = JoinSet::new();
    let pool = simulated_pool(slots, hatchery, name, true, &mut tasks);
    tokio::select! {
        biased;
        _ = shutdown.first() => return Ok(()),
        ready = pool.ready() => ready.map_err(|error| error.to_string())?,
    }
    registration.enable().await.map_err(|error| error.to_string())?;
    spawn_in(&mut tasks, registration.keep(row_events));
    let (draining, is_draining) = watch::channel(false);
    let (end, end_orders) = mpsc::channel(END_ORDERS);
    // Its workers load no library, so no one takes orders to reload one.
    let (reloads, _) = mpsc::channel(1);
    let (_, welcome) = watch::channel(simulated_welcome(slots));
    let orders = Orders { end, reloads };
    let door = Arc::new(Door::new(welcome, pool.clone(), row.clone(), is_draining, orders));
    let mut sessions = JoinSet::new();
    let why = serve(arrivals, &door, end_orders, &shutdown, &mut sessions, &mut tasks).await;
    let _ = draining.send(true);
    let _ = row.send(RowEvent::Draining).await;
    pool.hurry().await;
    let finish_by = Instant::now() + DRAIN_MAX;
    let _ = tokio::time::timeout_at(finish_by, async {
        while let Some(ended) = sessions.join_next().await {
            outcome(ended);
        }
    })
    .await;
    cancel_all(&mut sessions).await;
    let patience = StopPatience { finish_by, reap_max: REAP_MAX };
    pool.stop(patience, shutdown.second()).await;
    drop((row, door, pool));
    while let Some(ended) = tasks.join_next().await {
        outcome(ended);
    }
    why
}

async fn serve(
    mut arrivals: mpsc::Receiver<(ReadEnd, WriteEnd)>,
    door: &Arc<Door>,
    mut end_orders: mpsc::Receiver<EndOrder>,
    shutdown: &Shutdown,
    sessions: &mut JoinSet<()>,
    tasks: &mut JoinSet<()>,
) -> Result<(), String> {
    let mut waiting_room = WaitingRoom::default();
    let mut figures = Figures::new(Duration::ZERO, time::now());
    let mut stats_timer = tokio::time::interval(STATS_EVERY);
    loop {
        tokio::select! {
            biased;
            _ = shutdown.first() => return Ok(()),
            message = door.pool.failed() => return Err(message),
            Some(order) = end_orders.recv() => return match order {
                EndOrder::Asked => Ok(()),
                EndOrder::CannotGoOn(message) => Err(message),
            },
            Some(ended) = tasks.join_next() => {
                outcome(ended);
                return Err("one of its parts ended unexpectedly".to_owned());
            }
            _ = stats_timer.tick() => {
                figures.on_time(&door.pool.counters, None, &door.row, time::now());
                door.log.on_second();
            }
            Some(ended) = sessions.join_next() => {
                outcome(ended);
            }
            Some(ends) = arrivals.recv() => {
                let guest = waiting_room.enter(time::now());
                spawn_in(sessions, serve_one(ends, door.clone(), guest));
            }
        }
    }
}

async fn serve_one(ends: (ReadEnd, WriteEnd), door: Arc<Door>, guest: Guest) {
    let Guest { has_spoken, .. } = guest;
    match door::let_in_ours(ends, None, &door, &has_spoken).await {
        Ok(Inside::Master(master)) => connection::serve_master(master, &door).await,
        Ok(_) => {}
        Err(closed) => door.log.on_closed("a peer", &closed),
    }
}

/// The only task of a simulation.
const TASK: &str = "simulated";

/// A pool of workers from that hatchery; it runs in `tasks`.
pub(crate) fn simulated_pool(
    slots: u16,
    hatchery: Hatchery,
    node: String,
    logs_losses: bool,
    tasks: &mut JoinSet<()>,
) -> PoolHandle {
    let config = PoolConfig {
        slots,
        hatchery,
        start_timeout: START_TIMEOUT,
        launch: launch(),
        node,
        record_timeout: None,
        logs_losses,
    };
    start_pool(config, None, tasks)
}

fn launch() -> Launch {
    let library = LibraryFile::simulated().expect("there is a file that is empty");
    let start = WorkerStart {
        library: library.id().clone(),
        task: TASK.to_owned(),
        task_args: Vec::new(),
        manager_args: Vec::new(),
        limits: WorkerLimits::default(),
        marks_null: false,
    };
    Launch { library, start, build: Some(Build::default()) }
}

fn output() -> TaskOutput {
    TaskOutput { kind: OutputKind::Lines, columns: Vec::new() }
}

/// What masters are told.
pub(crate) fn simulated_welcome(slots: u16) -> Welcome {
    Welcome {
        task: TASK.to_owned(),
        task_version: "1".to_owned(),
        output: output(),
        build: Build::default(),
        slots,
        program: "simulated".to_owned(),
        sink: None,
    }
}

fn announcement(key: NodeKey, pid: u32, slots: u16) -> Announcement {
    Announcement {
        key,
        children: slots.into(),
        task: TASK.to_owned(),
        task_version: Some("1".to_owned()),
        columns: output().digest(TASK),
        build: Build::default(),
        advertise: None,
        pid,
        version: "simulated".to_owned(),
        dead_pid: None,
    }
}
