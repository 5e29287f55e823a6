//! Master and slave in one process of a simulation, as in `simplegrid run`, with other ends.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ids::RunId;
use crate::local_run::{LocalLink, NODE_NAME, carry};
use crate::master::{Ending, LINK_EVENTS, SimulatedMaster, StreamedEnd, run_over};
use crate::owned_task::{cancel_all, spawn_in};
use crate::plugin::RowFormat;
use crate::record::Format;
use crate::slave::{Hatchery, RunRequest, StopPatience, simulated_pool, simulated_welcome};

/// As in `local_run`.
const STOP_MAX: Duration = Duration::from_secs(5);
/// As in `local_run`.
const REAP_MAX: Duration = Duration::from_secs(1);

/// Runs everything in one process, with so many workers.
///
/// # Errors
/// If it cannot begin.
pub(super) async fn run(
    slots: u16,
    hatchery: Hatchery,
    master: SimulatedMaster,
) -> anyhow::Result<StreamedEnd> {
    let mut tasks = JoinSet::new();
    let shutdown = master.shutdown.clone();
    let pool = simulated_pool(slots, hatchery, NODE_NAME.to_owned(), false, &mut tasks);
    pool.ready().await?;
    let (events_in, events) = mpsc::channel(LINK_EVENTS);
    let request = RunRequest {
        run: RunId([7; 16]),
        format: Format::Lines,
        rows: RowFormat::Csv,
        record_timeout: master.record_timeout,
    };
    let (welcome, commands) = (simulated_welcome(slots), Vec::new());
    let link = LocalLink { request, welcome, pool: pool.clone(), commands, events: events_in };
    let mut links = JoinSet::new();
    spawn_in(&mut links, carry(link, |frames| frames));
    let ending = Ending { shutdown_slaves: false, begins: None, harvest: None };
    let end = run_over(events, ending, master)?.await;
    cancel_all(&mut links).await;
    let patience = StopPatience { finish_by: Instant::now() + STOP_MAX, reap_max: REAP_MAX };
    // Workers that are not reaped by then end on their own: they were killed.
    let _ = pool.stop(patience, shutdown.second()).await;
    cancel_all(&mut tasks).await;
    Ok(end)
}
