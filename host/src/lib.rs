//! SimpleGrid: one program that runs a function over a stream of records on many cores and machines.

pub mod cli;
pub mod config;
pub mod exit_code;
pub mod ids;
pub mod limits;
pub mod log;
pub mod plugin;
pub mod record;
pub mod registry;
pub mod schedule;
pub mod scoreboard;
pub mod shutdown;
pub mod slave;
pub mod wire;
pub mod worker;

use std::process::ExitCode;

/// The whole program: reads the command line, does what it says, and returns the exit status.
pub fn main_impl() -> ExitCode {
    ExitCode::SUCCESS
}
