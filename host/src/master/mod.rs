//! A master: reads records, has them run by slaves, and writes what comes back.
//!
//! In the order of a record's way: `record::reader` → `dispatcher` (with `dispatch_state`, where every
//! decision is) → `slave_link` ⇢ and back to `result_writer`. `node_keeper` finds and keeps the slaves.

mod action;
mod arranger;
mod attempt;
mod books;
#[doc(hidden)]
pub(crate) mod dispatch_state;
mod dispatcher;
mod failed_writer;
mod failure;
mod journal;
mod ledger;
mod link;
mod node_keeper;
mod partition;
mod pending;
mod progress;
mod record_key;
mod result_writer;
mod results;
mod retry_queue;
mod run;
mod run_end;
mod slave_link;
mod slots;
mod strand;
mod streamed_run;
mod summary;
#[cfg(test)]
mod tests;

pub(crate) use dispatch_state::KeyOf;
pub(crate) use journal::TaskIdentity;
pub(crate) use link::{Joined, LinkEvent, frames_max};
pub(crate) use run::{LINK_EVENTS, open_run, role, run_records, start_runtime};
pub(crate) use run_end::{Ending, RunEnd};
pub(crate) use streamed_run::{StreamedEnd, StreamedRun, run_stream};

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::config::MasterConfig;
use crate::exit_code::{ExitStatus, UsageError};
use crate::owned_task::OwnedTask;
use crate::registry::{Registry, Reservation};
use crate::shutdown::Shutdown;

/// Runs the input over the grid.
///
/// # Errors
/// If the run cannot begin: wrong settings, or no registry.
pub(crate) fn run(config: &MasterConfig) -> anyhow::Result<ExitStatus> {
    start_runtime()?.block_on(run_over_grid(config))
}

async fn run_over_grid(config: &MasterConfig) -> anyhow::Result<ExitStatus> {
    let shutdown = Shutdown::listen()?;
    let opened = open_run(&config.run, None)?;
    let url = config.registry.url().map_err(UsageError::mark)?;
    // A server that cannot be reached is tried for a while.
    let registry = tokio::select! {
        registry = Registry::open(&url) => registry?,
        signal = shutdown.first() => return Ok(signal.exit_status()),
    };
    let reservation = Reservation::new(&run_id());
    let (events_in, events) = mpsc::channel(LINK_EVENTS);
    let (leave, enough) = tokio::sync::oneshot::channel();
    let keeper = node_keeper::NodeKeeper {
        registry,
        reservation: reservation.clone(),
        role: role(&config.run, opened.id, reservation.as_str()),
        nodes_max: config.max_reserve.unwrap_or(usize::MAX),
        wait_nodes: config.wait_nodes,
        reallocate_every: config.reallocate_every,
        init_commands: Arc::from(config.init_commands.clone()),
        events: events_in,
        enough,
    };
    let (over, is_over) = tokio::sync::oneshot::channel();
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
    let since_epoch = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!("{:x}", since_epoch.as_micros())
}
