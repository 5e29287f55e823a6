//! A slave from its start to its end: port, task, workers, row; and the order of its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection;
use super::door::{self, Door, EndOrder, Orders, WaitingRoom};
use super::figures::{Figures, stats};
use super::lines::{LineRunner, LineService};
use super::pool::{NotReady, PoolConfig, PoolHandle, StopPatience, start_pool};
use super::prepare::{Prepared, prepare_task};
use super::registration::{Registration, RowEvent};
use super::reload::{self, Reloading};
use super::sink_store::open_sink;
use crate::config::SlaveConfig;
use crate::exit_code::{ExitStatus, UsageError};
use crate::owned_task::{cancel_all, outcome, spawn_in};
use crate::registry::{Announcement, NodeKey, Registry, Stats};
use crate::shutdown::Shutdown;
use crate::wire::Welcome;
use crate::worker::Hatchery;
use crate::{sink, time};

/// How long a slave that has failed waits for its master to hear of it: there is no work left to wait for.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// How long killed workers may take to be reaped. Only those that hang in the kernel take longer, and they
/// are reported.
pub(super) const REAP_MAX: Duration = Duration::from_secs(5);

/// How long no connection is accepted after one could not be: descriptors may be short, and the next one that
/// closes makes room.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Events that may wait for the row: a slow registry must not hold up masters that come and go.
pub(super) const ROW_EVENTS: usize = 16;

/// Orders to end that may wait: a slave that is told twice ends once.
pub(super) const END_ORDERS: usize = 1;

/// Orders to reload that may wait in the queue while one is carried out; others wait to enter it.
const RELOAD_ORDERS: usize = 1;

/// How often the figures in the row are renewed, and the log gets new budgets.
pub(super) const STATS_EVERY: Duration = Duration::from_secs(1);

/// Why a slave ends.
enum Why {
    /// A signal.
    Signal(crate::shutdown::StopSignal),
    /// An administrator, or a master with `--shutdown-slaves`.
    Asked,
    /// Its workers did not start: the user named a library or arguments that cannot be used.
    NeverReady(String),
    /// Its workers cannot go on.
    Failed(String),
}

/// Runs a slave until it is told to end, or cannot go on.
///
/// # Errors
/// If it cannot begin.
pub(super) async fn run(
    config: &SlaveConfig,
    line_runner: Box<dyn LineRunner>,
) -> anyhow::Result<ExitStatus> {
    // A slave limits its drain itself: its master is told, and its row.
    let shutdown = Shutdown::listen(None)?;
    let url = config.registry.url().map_err(UsageError::mark)?;
    // This keeps trying for a while if the server cannot be reached.
    let registry = tokio::select! {
        biased;
        signal = shutdown.first() => return Ok(signal.exit_status()),
        registry = Registry::open(&url) => registry?,
    };
    let listener = listen(config).await?;
    let port = listener.local_addr()?.port();
    let prepared = tokio::select! {
        biased;
        signal = shutdown.first() => return Ok(signal.exit_status()),
        prepared = prepare_task(config) => prepared,
    };
    let mut prepared = prepared.map_err(UsageError::mark)?;
    let label = label(config, port);
    let store = tokio::select! {
        biased;
        signal = shutdown.first() => return Ok(signal.exit_status()),
        store = open_sink(config.sink.as_ref(), &label, &mut prepared) => store?,
    };
    let registration = Registration::announce(registry, announcement(config, port, &prepared)).await?;
    let (row, row_events) = mpsc::channel(ROW_EVENTS);
    let mut tasks = JoinSet::new();
    if let Some(url) = &config.sink {
        tracing::info!("rows go to {url}");
    }
    let sink = store.map(|store| sink::start(store, &mut tasks));
    let pool = start_pool(pool_config(config, port, &prepared), sink, &mut tasks);
    let drain_deadline = Instant::now() + config.drain_timeout;
    let lines = config.line_protocol.then(|| LineService::new(line_runner, shutdown.clone()));
    let mut node = SlaveNode { config, port, shutdown, pool, row, tasks, drain_deadline };
    let why = match node.wait_until_ready().await {
        Ok(()) => {
            registration.enable().await?;
            spawn_in(&mut node.tasks, registration.keep(row_events));
            node.serve(listener, prepared.welcome, lines).await
        }
        Err(why) => {
            spawn_in(&mut node.tasks, registration.keep(row_events));
            why
        }
    };
    node.end(why).await
}

async fn listen(config: &SlaveConfig) -> anyhow::Result<TcpListener> {
    let address = config.address();
    door::open(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another --port, or 0 for any free one"))
}

/// What this slave is called.
fn label(config: &SlaveConfig, port: u16) -> String {
    format!("{}:{port}", config.host_for_masters())
}

fn announcement(config: &SlaveConfig, port: u16, prepared: &Prepared) -> Announcement {
    Announcement {
        key: NodeKey::new(config.host_for_masters(), port),
        children: config.max_workers.into(),
        task: prepared.welcome.task.clone(),
        task_version: Some(prepared.welcome.task_version.clone()),
        columns: prepared.welcome.output.digest(&prepared.welcome.task),
        build: prepared.welcome.build,
        advertise: config.advertise.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        dead_pid: None,
    }
}

fn pool_config(config: &SlaveConfig, port: u16, prepared: &Prepared) -> PoolConfig {
    PoolConfig {
        slots: config.max_workers,
        hatchery: Hatchery::of_processes(),
        launch: prepared.launch.clone(),
        start_timeout: config.start_timeout,
        node: label(config, port),
        record_timeout: config.record_timeout,
        logs_losses: true,
    }
}

struct SlaveNode<'a> {
    config: &'a SlaveConfig,
    port: u16,
    shutdown: Shutdown,
    pool: PoolHandle,
    row: mpsc::Sender<RowEvent>,
    tasks: JoinSet<()>,
    /// Once the slave drains: until when sessions may finish what is in flight, and until when its workers
    /// may end by themselves after that.
    drain_deadline: Instant,
}

impl SlaveNode<'_> {
    async fn wait_until_ready(&mut self) -> Result<(), Why> {
        tokio::select! {
            biased;
            signal = self.shutdown.first() => Err(Why::Signal(signal)),
            ready = self.pool.ready() => ready.map_err(|error| match error {
                NotReady::Failed(message) => Why::NeverReady(message),
                NotReady::Gone(gone) => Why::Failed(gone.to_string()),
            }),
        }
    }

    /// Lets connections in until the slave is to end, and waits for those that are inside.
    async fn serve(&mut self, listener: TcpListener, welcome: Welcome, lines: Option<LineService>) -> Why {
        let (draining, is_draining) = watch::channel(false);
        let (end, end_orders) = mpsc::channel(END_ORDERS);
        let (reloads, reload_orders) = mpsc::channel(RELOAD_ORDERS);
        self.log_opening(&welcome, lines.is_some());
        let (welcome, welcomes) = watch::channel(welcome);
        let reloading = Reloading {
            config: self.config.clone(),
            pool: self.pool.clone(),
            row: self.row.clone(),
            welcome,
            draining: is_draining.clone(),
        };
        let mut sessions = JoinSet::new();
        spawn_in(&mut sessions, reload::serve(reloading, reload_orders));
        let orders = Orders { end, reloads };
        let door = Door::new(welcomes, self.pool.clone(), self.row.clone(), is_draining, orders);
        let why = self.accept(listener, Arc::new(door), lines.map(Arc::new), end_orders, &mut sessions).await;
        // If no session is left, no one listens to this.
        let _ = draining.send(true);
        self.drain(sessions, &why).await;
        why
    }

    fn log_opening(&self, welcome: &Welcome, takes_lines: bool) {
        let SlaveConfig { max_workers, listen, .. } = self.config;
        tracing::info!(
            task = welcome.task,
            workers = max_workers,
            file = welcome.build.file.short(),
            "listening on {listen}:{}",
            self.port
        );
        if takes_lines && !listen.is_loopback() {
            tracing::warn!(
                "--line-protocol on {listen}: anyone who can reach this port can run records and end this \
                 slave, because clients with lines do not say who they are; use it only on networks that you \
                 trust"
            );
        }
    }

    /// Serves connections until there is a reason to end. The port is closed when this returns.
    async fn accept(
        &mut self,
        listener: TcpListener,
        door: Arc<Door>,
        lines: Option<Arc<LineService>>,
        mut end_orders: mpsc::Receiver<EndOrder>,
        sessions: &mut JoinSet<()>,
    ) -> Why {
        let mut waiting_room = WaitingRoom::default();
        let mut figures = Figures::new(self.config.sample_rate, time::now());
        let mut stats_timer = tokio::time::interval(STATS_EVERY);
        loop {
            // New connections come last: a flood of them must not keep the slave from anything else.
            tokio::select! {
                biased;
                signal = self.shutdown.first() => return Why::Signal(signal),
                message = self.pool.failed() => return Why::Failed(message),
                Some(order) = end_orders.recv() => return match order {
                    EndOrder::Asked => Why::Asked,
                    EndOrder::CannotGoOn(message) => Why::Failed(message),
                },
                Some(ended) = self.tasks.join_next() => {
                    outcome(ended);
                    return Why::Failed("one of its parts ended unexpectedly".to_owned());
                }
                _ = stats_timer.tick() => {
                    let clients = lines.as_ref().map(|lines| lines.queue.clients());
                    figures.on_time(&self.pool.counters, clients, &self.row, time::now());
                    door.log.on_second();
                }
                Some(ended) = sessions.join_next() => {
                    outcome(ended);
                }
                accepted = door::accept(&listener, waiting_room.closed_until(time::now())) => match accepted {
                    Ok(stream) => {
                        let guest = waiting_room.enter(time::now());
                        let serving = connection::serve(stream, door.clone(), lines.clone(), guest);
                        spawn_in(sessions, serving);
                    }
                    Err(error) => {
                        tracing::warn!("a connection could not be accepted: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    /// Waits for the sessions to end, for a while. What is in flight after that is abandoned.
    async fn drain(&mut self, mut sessions: JoinSet<()>, why: &Why) {
        // If the row's task is gone, there is no row to keep.
        let _ = self.row.send(RowEvent::Draining).await;
        self.pool.hurry().await;
        let patience = if matches!(why, Why::Failed(_)) { FAREWELL_MAX } else { self.config.drain_timeout };
        self.drain_deadline = Instant::now() + patience;
        let all_ended = async {
            while let Some(ended) = sessions.join_next().await {
                outcome(ended);
            }
        };
        tokio::select! {
            biased;
            () = all_ended => {}
            _ = self.shutdown.second() => {}
            () = tokio::time::sleep_until(self.drain_deadline) => {
                tracing::warn!("the drain took too long; work in flight is abandoned");
            }
        }
        cancel_all(&mut sessions).await;
    }

    /// Workers, row, report: the order of every end.
    async fn end(mut self, why: Why) -> anyhow::Result<ExitStatus> {
        let patience = StopPatience { finish_by: self.drain_deadline, reap_max: REAP_MAX };
        if !self.pool.stop(patience, self.shutdown.second()).await {
            tracing::warn!("some workers were killed, but have not ended yet");
        }
        // If the row's task is gone, the last figures have no row to go to.
        let _ = self.row.send(RowEvent::Stats(stats(&self.pool.counters), None)).await;
        drop(self.row);
        // Without handles, the sink completes its files and ends.
        self.pool.sink = None;
        while let Some(ended) = self.tasks.join_next().await {
            outcome(ended);
        }
        let Stats { done, failed, .. } = stats(&self.pool.counters);
        tracing::info!(done, failed, "this slave has ended");
        match why {
            Why::Signal(signal) => Ok(signal.exit_status()),
            Why::Asked => Ok(ExitStatus::Done),
            Why::NeverReady(message) => Err(UsageError::mark(anyhow::anyhow!(message))),
            Why::Failed(message) => anyhow::bail!("this slave cannot go on: {message}"),
        }
    }
}
