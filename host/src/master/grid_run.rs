//! A run over a grid: its slaves are found in the registry and connected to.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};

use super::nodes::{BuildRules, NodeKeeper};
use super::run::{LINK_EVENTS, open_run, role, run_records};
use super::run_end::Ending;
use crate::config::MasterConfig;
use crate::exit_code::{ExitStatus, UsageError};
use crate::owned_task::OwnedTask;
use crate::registry::{Registry, Reservation};
use crate::runtime;
use crate::shutdown::Shutdown;
use crate::wire::Dialer;

/// Runs the input over the grid.
///
/// # Errors
/// If the run cannot begin: wrong settings, or no registry.
pub(crate) fn run(config: &MasterConfig) -> anyhow::Result<ExitStatus> {
    runtime::run(run_over_grid(config))
}

async fn run_over_grid(config: &MasterConfig) -> anyhow::Result<ExitStatus> {
    let shutdown = Shutdown::listen(Some(config.run.drain_timeout))?;
    let opened = open_run(&config.run, None, false)?;
    let url = config.registry.url().map_err(UsageError::mark)?;
    // A server that cannot be reached is tried for a while.
    let registry = tokio::select! {
        biased;
        signal = shutdown.first() => return Ok(signal.exit_status()),
        registry = Registry::open(&url) => registry?,
    };
    let reservation = Reservation::new(&config.hostname, &run_id());
    let (events_in, events) = mpsc::channel(LINK_EVENTS);
    let (leave, enough) = oneshot::channel();
    let keeper = NodeKeeper {
        registry,
        dialer: Dialer::tcp(),
        reservation: reservation.clone(),
        role: role(&config.run, opened.id, reservation.as_str()),
        nodes_max: config.max_reserve.unwrap_or(usize::MAX),
        builds: BuildRules { same_version: config.run.same_version, expected_file: config.run.expect_task },
        journaled_task: opened.journaled_task().cloned(),
        wait_nodes: config.wait_nodes,
        reallocate_every: config.reallocate_every,
        init_commands: Arc::from(config.init_commands.clone()),
        events: events_in,
        enough,
    };
    let (over, is_over) = oneshot::channel();
    let mut keeping = OwnedTask::spawn(keeper.keep(is_over));
    let harvest = config.harvest.clone();
    let ending = Ending { shutdown_slaves: config.shutdown_slaves, begins: Some(leave), harvest };
    let status = run_records(&config.run, opened, ending, events, shutdown).await;
    // The keeper releases every row, however the run has ended.
    let _ = over.send(());
    keeping.join().await;
    status
}

/// A name for a run, different from those of all others on this machine.
fn run_id() -> String {
    let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!("{:x}", since_epoch.as_micros())
}
