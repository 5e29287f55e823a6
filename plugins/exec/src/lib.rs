//! Any command as a task: `-t exec --task-arg command='jq -c .name'`.
//!
//! Records are a command's standard input, or its arguments; the lines of its standard output are the rows.
//! `mode` says which records share a process. See the README for the rules.
//!
//! `args` and `mode` are what the user says; `command` (of `template` and `verdict`) is what is started and
//! what its end means, and `runner` runs it to its end. `per_record`, `per_batch` and `stream` are the modes:
//! `window` is what they give to the command, `rows` and `answers` are what they make of its lines. Starting,
//! talking to and ending it is `simplegrid-child-process`.

mod answers;
mod args;
mod command;
mod mode;
mod per_batch;
mod per_record;
mod rows;
mod runner;
mod statuses;
mod stream;
mod template;
mod verdict;
mod window;

use simplegrid_plugin_api::{Batch, Error, Line, Output, Record, Result, Task};

pub use args::Args;
use command::Command;
pub use mode::Mode;
use per_batch::PerBatch;
use runner::Runner;
use stream::Stream;

/// The task `exec`.
#[derive(Debug)]
pub struct Exec {
    command: Command,
    runner: Runner,
    way: Way,
    batch_max: usize,
    /// A batch was given up because the grid is shutting down, and its records are not to be begun.
    gives_up: bool,
    /// Whether a batch was run again record by record before.
    has_repeated: bool,
}

/// The mode, with what it needs.
#[derive(Debug)]
enum Way {
    PerRecord,
    PerBatch(PerBatch),
    Stream(Stream),
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
        let way = match args.mode {
            Mode::PerRecord => Way::PerRecord,
            Mode::PerBatch => Way::PerBatch(PerBatch::new(args.one_to_one.unwrap_or(true))),
            Mode::Stream => Way::Stream(Stream::new()),
        };
        Ok(Self {
            command: Command::of(&args)?,
            runner: Runner::new(&args)?,
            way,
            batch_max: args.batch_max(),
            gives_up: false,
            has_repeated: false,
        })
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Line>) -> Result {
        if self.gives_up && output.stopping() {
            return Err(Error::retry("the command is not started, because the grid is shutting down"));
        }
        let (command, runner, record) = (&self.command, &mut self.runner, record.line());
        match &mut self.way {
            Way::PerRecord => per_record::run(command, runner, record, output),
            Way::PerBatch(batches) => batches.run_alone(command, runner, record, output),
            Way::Stream(stream) => stream.run_alone(command, runner, record, output),
        }
    }

    fn batch_max(&self) -> usize {
        self.batch_max
    }

    fn handle_batch(&mut self, batch: Batch<'_>, output: &mut Output<Line>) -> Result {
        let (command, runner) = (&self.command, &mut self.runner);
        let ran = match &mut self.way {
            Way::PerRecord => {
                // One at a time, so this is one record.
                for record in batch {
                    per_record::run(command, runner, record.line(), output)?;
                    output.finish(record);
                }
                return Ok(());
            }
            Way::PerBatch(batches) => batches.run(command, runner, batch, output),
            Way::Stream(stream) => stream.run(command, runner, batch, output),
        };
        ran.inspect_err(|error| {
            self.gives_up = output.stopping();
            // A command that fails for many records would fill the log with it.
            if self.has_repeated {
                tracing::debug!("a batch is run again record by record: {error}");
            } else {
                tracing::info!("a batch is run again record by record, which is said only once: {error}");
            }
            self.has_repeated = true;
        })
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        if let Way::Stream(stream) = &mut self.way
            && let Err(error) = stream.farewell(&mut self.runner)
        {
            tracing::warn!("the command could not be ended: {error}");
        }
    }
}

simplegrid_plugin_api::export! { tasks: { "exec" => Exec } }
