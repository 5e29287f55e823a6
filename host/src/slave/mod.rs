//! A slave: owns worker processes and serves one master at a time.
//!
//! In the order of a record's way: the `door` lets a master in, `master_session` takes what it sends, and the
//! `pool` gives it to a worker. Clients of Net::SimpleGrid come through the same door to a session of
//! `lines`. A `connection` goes through these from its first byte to its end, and `node` is the life of the
//! whole slave.

mod admin_command;
mod connection;
mod door;
mod figures;
mod lines;
mod log_budget;
mod master_session;
mod node;
mod pool;
mod prepare;
mod registration;
mod reload;
#[cfg(any(test, feature = "simulation"))]
mod simulated;
mod sink_store;

pub(crate) use lines::{LineRun, LineRunEnd, LineRunner};
pub(crate) use log_budget::LogBudget;
pub(crate) use master_session::{Incoming, serve};
pub(crate) use pool::{PoolConfig, PoolHandle, RunRequest, StopPatience, start_pool};
pub(crate) use prepare::{Prepared, TaskChoice, prepare};
#[cfg(any(test, feature = "simulation"))]
pub(crate) use simulated::{SimulatedSlave, live, simulated_pool, simulated_welcome};
pub(crate) use sink_store::open_sink;

pub(crate) use crate::worker::Hatchery;

use crate::config::SlaveConfig;
use crate::exit_code::ExitStatus;
use crate::runtime;

/// Runs a slave until it is told to end, or cannot go on. `line_runner` runs what clients of Net::SimpleGrid
/// send, if the slave takes lines.
///
/// # Errors
/// If it cannot begin, or had to give up.
pub(crate) fn run(config: &SlaveConfig, line_runner: Box<dyn LineRunner>) -> anyhow::Result<ExitStatus> {
    runtime::run(node::run(config, line_runner))
}
