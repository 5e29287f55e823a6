//! SimpleGrid: one program that runs a function over a stream of records on many cores and machines.
//!
//! How a call of the program runs: [`main_impl`] reads the command line (`cli`) into plain settings
//! (`config`), starts the `log`, and hands over to the one module that does what was asked.

mod cli;
mod config;
mod exit_code;
mod log;
mod owned_task;
mod runtime;
mod shutdown;
mod stderr;
mod stdout;

mod local_run;
mod master;
mod node_manager;
#[cfg(any(test, feature = "simulation"))]
mod simulation;
mod slave;
mod task_command;
mod worker;

mod database;
mod plugin;
mod record;
mod registry;
mod schedule;
mod scoreboard;
mod sink;
mod wire;

mod build;
mod file_identity;
mod ids;
mod limits;
mod own_time;
mod standstill;
mod streams_at_start;
mod time;
#[cfg(any(test, feature = "simulation"))]
mod turns;

#[doc(hidden)]
pub mod internals;

use std::env;
use std::process::ExitCode;

use config::{Command, Environment, Invocation, InvocationError};
use exit_code::{ExitStatus, UsageError};

/// The whole program: reads the command line, does what it says, and returns the exit status.
pub fn main_impl() -> ExitCode {
    let status = obey();
    stderr::flush();
    status
}

fn obey() -> ExitCode {
    match config::load(env::args_os(), &Environment::of_this_process()) {
        Ok(invocation) => start(invocation).into(),
        Err(InvocationError::CommandLine(help_or_error)) => {
            if help_or_error.use_stderr() {
                // If stderr is closed, there is no one to tell.
                let _ = help_or_error.print();
                return ExitStatus::Usage.into();
            }
            let printed = stdout::print_by(|| help_or_error.print());
            printed.unwrap_or_else(|error| failed(&error, ExitStatus::CannotGoOn)).into()
        }
        Err(error) => failed(&error.into(), ExitStatus::Usage).into(),
    }
}

fn start(invocation: Invocation) -> ExitStatus {
    // A worker's log goes to its slave, which knows how much the user wants to see.
    let of_worker = matches!(invocation.command, Command::Worker);
    if !of_worker && let Err(error) = log::init(&invocation.log) {
        return failed(&error.into(), ExitStatus::Usage);
    }
    match run(invocation.command) {
        Ok(status) => status,
        Err(error) if error.is::<UsageError>() => failed(&error, ExitStatus::Usage),
        Err(error) => failed(&error, ExitStatus::CannotGoOn),
    }
}

/// Hands over to the module that does what was asked.
fn run(command: Command) -> Result<ExitStatus, anyhow::Error> {
    match command {
        Command::Slave(config) => slave::run(&config, Box::new(local_run::LineRuns)),
        Command::Master(config) => master::run(&config),
        Command::Run(config) => local_run::run(&config),
        Command::NodeManager(config) => node_manager::run(&config),
        Command::Task(command) => task_command::run(&command, local_run::check),
        Command::Worker => worker::run().map(|()| ExitStatus::Done),
        Command::Config { report } => stdout::print(&report),
    }
}

/// Tells the user what went wrong, with every cause, in one line.
fn failed(error: &anyhow::Error, status: ExitStatus) -> ExitStatus {
    stderr::say_last(format_args!("error: {error:#}"));
    status
}
