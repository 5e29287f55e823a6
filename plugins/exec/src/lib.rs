//! Any command as a task: `-t exec --task-arg command='jq -c .name'`.
//!
//! Each record gets a process of its own. The record is its standard input, or an argument; the lines of its
//! standard output are the rows; its exit status says how the record ended. See the README for the rules.
//!
//! `args` is what the user says, `template` what is started, `runner` runs it to its end, `rows` makes rows
//! of what it writes, `verdict` judges how it ended. Starting, talking to and ending it is
//! `simplegrid-child-process`.

mod args;
mod command;
mod per_record;
mod rows;
mod runner;
mod statuses;
mod template;
mod verdict;

use simplegrid_plugin_api::{Line, Output, Record, Result, Task};

pub use args::Args;
use command::Command;
use runner::Runner;

/// The task `exec`.
#[derive(Debug)]
pub struct Exec {
    command: Command,
    runner: Runner,
}

impl Task for Exec {
    type Args = Args;
    type Row = Line;

    fn prepare(args: &Args) -> Result {
        // A command that is not there is said once, and not by each worker.
        Command::of(args)?;
        Ok(())
    }

    fn new(args: Args) -> Result<Self> {
        Ok(Self { command: Command::of(&args)?, runner: Runner::new(&args)? })
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Line>) -> Result {
        per_record::run(&self.command, &mut self.runner, record.line(), output)
    }
}

simplegrid_plugin_api::export! { tasks: { "exec" => Exec } }
