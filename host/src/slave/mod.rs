//! A slave: owns worker processes and serves one master at a time.
//!
//! In the order of a record's way: `master_listener` lets a master in, `master_session` takes what it
//! sends, `worker_pool` (with `pool_state`, where every decision is) gives it to a `worker_link`.

mod line_limit;
mod master_listener;
mod master_session;
mod node;
mod pool_state;
mod prepare;
mod record_watch;
mod registration;
mod sample_rate;
mod sink_store;
mod waiting_room;
mod worker_link;
mod worker_pool;

pub use line_limit::LineLimit;
pub use master_session::{SessionEnd, serve};
pub use prepare::{PrepareError, Prepared, TaskChoice, prepare};
pub use sink_store::open_sink;
pub use worker_pool::{PoolCommand, PoolConfig, PoolHandle, PoolStatus, RunRequest, start};

use crate::config::SlaveConfig;
use crate::exit_code::ExitStatus;

/// Runs a slave until it is told to end, or cannot go on.
///
/// # Errors
/// If it cannot begin, or had to give up.
pub fn run(config: &SlaveConfig) -> anyhow::Result<ExitStatus> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(node::run(config))
}
