//! A slave from its start to its end: task, workers, port, row, in that order, and back again.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::line_door::{LineDoor, LineRunner};
use super::master_listener::{self, Door, DoorLog, EndOrder};
use super::prepare::{PrepareError, Prepared, TaskChoice, prepare};
use super::registration::{Registration, RowEvent};
use super::sample_rate::SampleRate;
use super::sink_store::open_sink;
use super::waiting_room::WaitingRoom;
use super::worker_pool::{self, PoolCommand, PoolConfig, PoolHandle, PoolStatus};
use crate::config::SlaveConfig;
use crate::exit_code::{ExitStatus, UsageError};
use crate::registry::{Announcement, NodeKey, Registry, Stats};
use crate::shutdown::Shutdown;
use crate::sink::{self, SinkUrl};

/// Connections that the system keeps until they are accepted. When there are more, it drops what comes, and a
/// master tries again only after a second: the usual 128 are soon filled.
const BACKLOG: u32 = 1024;

/// How long a port may be in use after its last slave was killed.
const PORT_PATIENCE: Duration = Duration::from_secs(2);

/// How long the master of a slave that has failed may take to hear of it.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// How long killed workers may take to be reaped.
const REAP_MAX: Duration = Duration::from_secs(5);

/// How often the figures in the row are renewed.
const STATS_EVERY: Duration = Duration::from_secs(1);

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
    let shutdown = Shutdown::listen()?;
    let url = config.registry.url().map_err(UsageError::mark)?;
    // A server that cannot be reached is tried for a while.
    let registry = tokio::select! {
        registry = Registry::open(&url) => registry?,
        signal = shutdown.first() => return Ok(signal.exit_status()),
    };
    let listener = listen(config).await?;
    let port = listener.local_addr()?.port();
    let prepared = tokio::select! {
        prepared = prepare_task(config) => prepared,
        signal = shutdown.first() => return Ok(signal.exit_status()),
    };
    let mut prepared = prepared.map_err(UsageError::mark)?;
    let label = label(config, port);
    let store = tokio::select! {
        store = open_sink(config.sink.as_ref(), &label, &mut prepared) => store?,
        signal = shutdown.first() => return Ok(signal.exit_status()),
    };
    let registration = Registration::announce(registry, announcement(config, port, &prepared)).await?;
    let (row, row_events) = mpsc::channel(16);
    let mut tasks = JoinSet::new();
    if let Some(url) = &config.sink {
        tracing::info!("rows go to {url}");
    }
    let sink = store.map(|store| sink::start(store, &mut tasks));
    let pool = worker_pool::start(pool_config(config, port, &prepared), sink, &mut tasks);
    let drain_deadline = tokio::time::Instant::now() + config.drain_timeout;
    let lines = config.line_protocol.then(|| LineDoor::new(line_runner, shutdown.clone()));
    let mut node = Node { config, port, shutdown, pool, row, tasks, drain_deadline };
    let why = match node.wait_until_ready().await {
        Ok(()) => {
            registration.enable().await?;
            node.tasks.spawn(registration.keep(row_events));
            node.serve(listener, prepared, lines).await
        }
        Err(why) => {
            node.tasks.spawn(registration.keep(row_events));
            why
        }
    };
    node.end(why).await
}

async fn listen(config: &SlaveConfig) -> anyhow::Result<TcpListener> {
    let address = config.address();
    bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another --port, or 0 for any free one"))
}

/// Takes the port. One that is in use is asked for again for a while: a slave that was killed a moment ago
/// has it until the system is through with it.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let began = Instant::now();
    loop {
        match open_port(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && began.elapsed() < PORT_PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            result => return result,
        }
    }
}

/// A socket on that port that listens.
fn open_port(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of the last slave there may still be closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The next connection, but none before that time. Cancel safe: what was not accepted waits in the system.
async fn accept(listener: &TcpListener, not_before: Option<Instant>) -> std::io::Result<TcpStream> {
    if let Some(not_before) = not_before {
        tokio::time::sleep_until(not_before.into()).await;
    }
    Ok(listener.accept().await?.0)
}

async fn prepare_task(config: &SlaveConfig) -> Result<Prepared, PrepareError> {
    let SlaveConfig { task, task_args, manager_args, task_path, limits, max_workers, sink, .. } = config;
    let marks_null = sink.as_ref().is_some_and(SinkUrl::is_table);
    let (limits, slots) = (*limits, *max_workers);
    prepare(TaskChoice { task, task_args, manager_args, task_path, limits, slots, marks_null }).await
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
        advertise: config.advertise.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        dead_pid: None,
    }
}

fn pool_config(config: &SlaveConfig, port: u16, prepared: &Prepared) -> PoolConfig {
    PoolConfig {
        slots: config.max_workers,
        start: prepared.start.clone(),
        node: label(config, port),
        record_timeout: config.record_timeout,
        logs_losses: true,
    }
}

struct Node<'a> {
    config: &'a SlaveConfig,
    port: u16,
    shutdown: Shutdown,
    pool: PoolHandle,
    row: mpsc::Sender<RowEvent>,
    tasks: JoinSet<()>,
    /// Until when what is in flight may take, once the slave drains; and its workers after that.
    drain_deadline: tokio::time::Instant,
}

impl Node<'_> {
    async fn wait_until_ready(&mut self) -> Result<(), Why> {
        let mut status = self.pool.status.clone();
        tokio::select! {
            status = status.wait_for(|status| *status != PoolStatus::Starting) => match status.as_deref() {
                Ok(PoolStatus::Failed { message }) => Err(Why::NeverReady(message.clone())),
                Ok(_) => Ok(()),
                Err(_) => Err(Why::Failed("the workers' pool is gone".to_owned())),
            },
            signal = self.shutdown.first() => Err(Why::Signal(signal)),
        }
    }

    async fn serve(&mut self, listener: TcpListener, prepared: Prepared, lines: Option<LineDoor>) -> Why {
        let (draining, is_draining) = watch::channel(false);
        let (end, mut asked_to_end) = mpsc::channel(1);
        let door = Arc::new(Door {
            welcome: prepared.welcome,
            pool: self.pool.clone(),
            row: self.row.clone(),
            occupant: Mutex::new(None),
            left: Notify::new(),
            lines,
            draining: is_draining,
            end,
            log: DoorLog::default(),
        });
        tracing::info!(
            task = door.welcome.task,
            workers = self.config.max_workers,
            "listening on {}:{}",
            self.config.listen,
            self.port
        );
        if door.lines.is_some() && !self.config.listen.is_loopback() {
            tracing::warn!(
                "--line-protocol on {}: whoever can reach this port can have records run and end this slave, \
                 and nothing says who he is; keep it to networks that you trust",
                self.config.listen
            );
        }
        let mut sessions = JoinSet::new();
        let mut waiting_room = WaitingRoom::default();
        let mut status = self.pool.status.clone();
        let mut samples = Samples::new(self.config.sample_rate);
        let mut stats_timer = tokio::time::interval(STATS_EVERY);
        let why = loop {
            tokio::select! {
                accepted = accept(&listener, waiting_room.closed_until(Instant::now())) => match accepted {
                    Ok(stream) => {
                        let make_room = waiting_room.enter(Instant::now());
                        sessions.spawn(master_listener::serve(stream, door.clone(), make_room));
                    }
                    Err(error) => {
                        tracing::warn!("a connection could not be accepted: {error}");
                        // Descriptors may be short; the next one that closes makes room.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                Some(ended) = sessions.join_next() => propagate_panic(ended),
                Some(ended) = self.tasks.join_next() => {
                    propagate_panic(ended);
                    break Why::Failed("a part of it has ended by itself".to_owned());
                }
                _ = stats_timer.tick() => {
                    samples.on_time(&self.pool, &self.row, door.lines.as_ref().map(LineDoor::clients));
                    door.log.on_second();
                }
                Ok(status) = status.wait_for(|status| matches!(status, PoolStatus::Failed { .. })) => {
                    if let PoolStatus::Failed { message } = &*status {
                        break Why::Failed(message.clone());
                    }
                }
                Some(order) = asked_to_end.recv() => match order {
                    EndOrder::Asked => break Why::Asked,
                    EndOrder::CannotGoOn(message) => break Why::Failed(message),
                },
                signal = self.shutdown.first() => break Why::Signal(signal),
            }
        };
        drop(listener);
        // Nobody listens to this any more once no session is left.
        let _ = draining.send(true);
        let _ = self.row.send(RowEvent::Draining).await;
        let _ = self.pool.commands.send(PoolCommand::Hurry).await;
        let patience = if matches!(why, Why::Failed(_)) { FAREWELL_MAX } else { self.config.drain_timeout };
        self.drain_deadline = tokio::time::Instant::now() + patience;
        tokio::select! {
            () = async { while let Some(ended) = sessions.join_next().await { propagate_panic(ended) } } => {}
            () = tokio::time::sleep_until(self.drain_deadline) => tracing::warn!("the drain took too long; what is in flight is left"),
            _ = self.shutdown.second() => {}
        }
        sessions.shutdown().await;
        why
    }

    /// Workers, row, report: the order of every end.
    async fn end(mut self, why: Why) -> anyhow::Result<ExitStatus> {
        let mut status = self.pool.status.clone();
        // A pool that is gone has stopped.
        let _ = self.pool.commands.send(PoolCommand::Stop).await;
        tokio::select! {
            _ = status.wait_for(|status| *status == PoolStatus::Stopped) => {}
            () = tokio::time::sleep_until(self.drain_deadline) => self.kill_workers().await,
            _ = self.shutdown.second() => self.kill_workers().await,
        }
        // A row task that is gone has nothing to write into.
        let _ = self.row.send(RowEvent::Stats(stats(&self.pool), None)).await;
        drop(self.row);
        // It completes its files, and ends.
        self.pool.sink = None;
        while let Some(ended) = self.tasks.join_next().await {
            propagate_panic(ended);
        }
        let Stats { done, failed, .. } = stats(&self.pool);
        tracing::info!(done, failed, "this slave has ended");
        match why {
            Why::Signal(signal) => Ok(signal.exit_status()),
            Why::Asked => Ok(ExitStatus::Done),
            Why::NeverReady(message) => Err(UsageError::mark(anyhow::anyhow!(message))),
            Why::Failed(message) => anyhow::bail!("this slave cannot go on: {message}"),
        }
    }

    async fn kill_workers(&self) {
        let mut status = self.pool.status.clone();
        let _ = self.pool.commands.send(PoolCommand::Kill).await;
        let stopped = status.wait_for(|status| *status == PoolStatus::Stopped);
        if tokio::time::timeout(REAP_MAX, stopped).await.is_err() {
            tracing::warn!("some workers were killed, but have not ended yet");
        }
    }
}

/// The figures that a slave shows: in its row, and now and then in its log.
struct Samples {
    every: Duration,
    last_logged: Instant,
    row_rate: SampleRate,
    log_rate: SampleRate,
}

impl Samples {
    fn new(every: Duration) -> Self {
        let now = Instant::now();
        Self { every, last_logged: now, row_rate: SampleRate::new(now), log_rate: SampleRate::new(now) }
    }

    fn on_time(&mut self, pool: &PoolHandle, row: &mpsc::Sender<RowEvent>, line_clients: Option<usize>) {
        let now = Instant::now();
        let mut stats = stats(pool);
        stats.rate = self.row_rate.sample(stats, now);
        // A full channel means that the registry is slow: the next figures will do.
        let _ = row.try_send(RowEvent::Stats(stats, line_clients));
        if !self.every.is_zero() && now.duration_since(self.last_logged) >= self.every {
            self.last_logged = now;
            let rate = self.log_rate.sample(stats, now);
            tracing::info!(done = stats.done, failed = stats.failed, "sample rate: {rate:.1} records/s");
        }
    }
}

/// What the workers have done so far.
fn stats(pool: &PoolHandle) -> Stats {
    let counters = &pool.counters;
    Stats { done: counters.done.load(Relaxed), failed: counters.failed.load(Relaxed), rate: 0.0 }
}

/// A task that panicked is a bug here: the process must not go on as if nothing had happened.
fn propagate_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
