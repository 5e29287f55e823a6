//! Master and slave in one process, without a registry and ports: for `simplegrid run`, and for what clients
//! of Net::SimpleGrid send to a slave. The only place that uses both.

mod check;
mod line_runs;
mod link;

pub(crate) use check::check;
pub(crate) use line_runs::LineRuns;
#[cfg(any(test, feature = "simulation"))]
pub(crate) use link::carry;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::{LocalRunConfig, RunSettings};
use crate::exit_code::{ExitStatus, UsageError};
use crate::ids::RunId;
use crate::limits::STOP_GRACE;
use crate::master::{self, Ending, LINK_EVENTS, TaskIdentity};
use crate::shutdown::Shutdown;
use crate::sink::{self, SinkUrl};
use crate::slave::{self, Hatchery, PoolConfig, Prepared, RunRequest, StopPatience, TaskChoice};
use crate::{owned_task, runtime};
pub(crate) use link::{LocalLink, NODE_NAME};

/// How long killed workers may take to be reaped: the user waits for the prompt, and nothing depends on them
/// any more.
const REAP_MAX: Duration = Duration::from_secs(1);

/// Runs the input through workers of this machine.
///
/// # Errors
/// If the run cannot begin.
pub(crate) fn run(config: &LocalRunConfig) -> anyhow::Result<ExitStatus> {
    runtime::run(run_here(config))
}

async fn run_here(config: &LocalRunConfig) -> anyhow::Result<ExitStatus> {
    let shutdown = Shutdown::listen(Some(config.run.drain_timeout))?;
    let mut prepared = tokio::select! {
        biased;
        signal = shutdown.first() => return Ok(signal.exit_status()),
        prepared = slave::prepare(task_choice(config)) => prepared.map_err(UsageError::mark)?,
    };
    let opened =
        master::open_run(&config.run, Some(&TaskIdentity::of(&prepared.welcome)), config.sink.is_some())?;
    let store = tokio::select! {
        biased;
        signal = shutdown.first() => return Ok(signal.exit_status()),
        store = slave::open_sink(config.sink.as_ref(), NODE_NAME, &mut prepared) => store?,
    };
    let mut tasks = JoinSet::new();
    let sink = store.map(|store| sink::start(store, &mut tasks));
    let pool = slave::start_pool(pool_config(config, &prepared), sink, &mut tasks);
    tokio::select! {
        biased;
        // Dropping the workers' processes kills them.
        signal = shutdown.first() => return Ok(signal.exit_status()),
        ready = pool.ready() => ready.map_err(UsageError::mark)?,
    }
    let (events_in, events) = mpsc::channel(LINK_EVENTS);
    let link = LocalLink {
        request: request(config, opened.id),
        welcome: prepared.welcome,
        pool: pool.clone(),
        commands: Vec::new(),
        events: events_in,
    };
    let mut links = JoinSet::new();
    owned_task::spawn_in(&mut links, link::carry(link, |frames| frames));
    let ending = Ending { shutdown_slaves: false, begins: None, harvest: None };
    let status = master::run_records(&config.run, opened, ending, events, shutdown.clone()).await;
    // A session that is cut off must not ask anything more of the sink.
    owned_task::cancel_all(&mut links).await;
    let patience = StopPatience { finish_by: Instant::now() + STOP_GRACE, reap_max: REAP_MAX };
    // Workers that are not reaped by then end on their own: they were killed.
    let _ = pool.stop(patience, shutdown.second()).await;
    if let Some(sink) = &pool.sink {
        // Files are completed, no matter how the run has ended, unless that takes too long.
        tokio::select! {
            biased;
            () = sink.end_session() => {}
            _ = shutdown.second() => {}
        }
    }
    owned_task::cancel_all(&mut tasks).await;
    status
}

fn task_choice(config: &LocalRunConfig) -> TaskChoice<'_> {
    TaskChoice {
        task: &config.task,
        task_args: &config.task_args,
        manager_args: &[],
        task_path: &config.run.task_path,
        limits: config.limits,
        start_timeout: config.start_timeout,
        slots: config.workers,
        marks_null: config.sink.as_ref().is_some_and(SinkUrl::is_table),
        expected: config.run.expect_task,
    }
}

fn pool_config(config: &LocalRunConfig, prepared: &Prepared) -> PoolConfig {
    PoolConfig {
        slots: config.workers,
        hatchery: Hatchery::of_processes(),
        launch: prepared.launch.clone(),
        start_timeout: config.start_timeout,
        node: NODE_NAME.to_owned(),
        record_timeout: config.run.record_timeout,
        logs_losses: false,
    }
}

/// What a master would ask of a slave for this run.
fn request(config: &LocalRunConfig, run: RunId) -> RunRequest {
    let RunSettings { format, output_format, record_timeout, .. } = config.run;
    RunRequest { run, format: format.into(), rows: output_format.into(), record_timeout }
}
