//! Master and slave in one process, without registry and ports: `simplegrid run`, and what clients of
//! Net::SimpleGrid send to a slave. The only place that uses both.

mod line_runs;
mod link;

pub(crate) use line_runs::LineRuns;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::LocalRunConfig;
use crate::exit_code::{ExitStatus, UsageError};
use crate::ids::RunId;
use crate::master::{self, Ending, LINK_EVENTS, TaskIdentity};
use crate::shutdown::Shutdown;
use crate::sink::{self, SinkUrl};
use crate::slave::{self, PoolCommand, PoolConfig, PoolHandle, PoolStatus, Prepared, RunRequest, TaskChoice};
use link::{LocalLink, NODE_NAME};

/// Runs the input through workers of this machine.
///
/// # Errors
/// If the run cannot begin.
pub(crate) fn run(config: &LocalRunConfig) -> anyhow::Result<ExitStatus> {
    master::start_runtime()?.block_on(run_here(config))
}

async fn run_here(config: &LocalRunConfig) -> anyhow::Result<ExitStatus> {
    let shutdown = Shutdown::listen()?;
    let LocalRunConfig { run, task, task_args, workers, limits, sink } = config;
    let (task_path, limits, slots) = (&run.task_path, *limits, *workers);
    let marks_null = sink.as_ref().is_some_and(SinkUrl::is_table);
    let choice = TaskChoice { task, task_args, manager_args: &[], task_path, limits, slots, marks_null };
    let mut prepared = tokio::select! {
        prepared = slave::prepare(choice) => prepared.map_err(UsageError::mark)?,
        signal = shutdown.first() => return Ok(signal.exit_status()),
    };
    let task =
        TaskIdentity { name: prepared.welcome.task.clone(), version: prepared.welcome.task_version.clone() };
    let opened = master::open_run(&config.run, Some(&task))?;
    let store = tokio::select! {
        store = slave::open_sink(sink.as_ref(), NODE_NAME, &mut prepared) => store?,
        signal = shutdown.first() => return Ok(signal.exit_status()),
    };
    let mut tasks = JoinSet::new();
    let sink = store.map(|store| sink::start(store, &mut tasks));
    let pool = slave::start(pool_config(config, &prepared), sink, &mut tasks);
    tokio::select! {
        ready = wait_until_ready(&pool) => {
            ready.map_err(|message| UsageError::mark(anyhow::anyhow!(message)))?;
        }
        // Processes that are dropped are killed.
        signal = shutdown.first() => return Ok(signal.exit_status()),
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
    links.spawn(link::carry(link, |frames| frames));
    let ending = Ending { shutdown_slaves: false, begins: None, harvest: None };
    let status = master::run_records(&config.run, opened, ending, events, shutdown.clone()).await;
    // A session that is left in its middle wants nothing more of the sink.
    links.shutdown().await;
    end(&pool, &shutdown).await;
    if let Some(sink) = &pool.sink {
        // Files are completed, however the run has ended.
        sink.end_session().await;
    }
    tasks.shutdown().await;
    status
}

fn pool_config(config: &LocalRunConfig, prepared: &Prepared) -> PoolConfig {
    PoolConfig {
        slots: config.workers,
        start: prepared.start.clone(),
        node: NODE_NAME.to_owned(),
        record_timeout: config.run.record_timeout,
        logs_losses: false,
    }
}

/// What a master would ask of a slave for this run.
fn request(config: &LocalRunConfig, run: RunId) -> RunRequest {
    RunRequest { run, format: config.run.format.into(), record_timeout: config.run.record_timeout }
}

async fn wait_until_ready(pool: &PoolHandle) -> Result<(), String> {
    let mut status = pool.status.clone();
    match status.wait_for(|status| *status != PoolStatus::Starting).await.as_deref() {
        Ok(PoolStatus::Failed { message }) => Err(message.clone()),
        Ok(_) => Ok(()),
        Err(_) => Err("the workers' pool is gone".to_owned()),
    }
}

async fn end(pool: &PoolHandle, shutdown: &Shutdown) {
    let mut status = pool.status.clone();
    let _ = pool.commands.send(PoolCommand::Stop).await;
    let stopped = status.wait_for(|status| *status == PoolStatus::Stopped);
    let in_time = async { tokio::time::timeout(std::time::Duration::from_secs(5), stopped).await.is_ok() };
    let stopped = tokio::select! {
        stopped = in_time => stopped,
        _ = shutdown.second() => false,
    };
    if !stopped {
        let _ = pool.commands.send(PoolCommand::Kill).await;
        let mut status = pool.status.clone();
        let killed = status.wait_for(|status| *status == PoolStatus::Stopped);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), killed).await;
    }
}
