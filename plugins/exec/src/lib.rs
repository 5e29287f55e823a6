//! Any command as a task: `-t exec --task-arg command='jq -c .name'`.
//!
//! Each record gets a process of its own. The record is its standard input, or an argument; the lines of its
//! standard output are the rows; its exit status says how the record ended. See the README for the rules.
//!
//! `args` is what the user says, `template` what is started for a record, `exchange` feeds it and listens,
//! `verdict` judges how it ended. Starting and ending it is `simplegrid-child-process`.

mod args;
mod exchange;
mod statuses;
mod template;
mod verdict;

use std::time::{Duration, Instant};

use simplegrid_child_process::{Environment, Household, Launcher, Streams};
use simplegrid_network::Timeout;
use simplegrid_plugin_api::{Line, Output, Record, Result, Task};

pub use args::Args;
use exchange::Exchange;
use template::Template;
use verdict::Rules;

/// The task `exec`.
#[derive(Debug)]
pub struct Exec {
    template: Template,
    rules: Rules,
    launcher: Launcher,
    household: Household,
    exchange: Exchange,
    timeout: Option<Duration>,
}

impl Task for Exec {
    type Args = Args;
    type Row = Line;

    fn prepare(args: &Args) -> Result {
        // A command that is not there is said once, and not by each worker.
        Template::of(args)?;
        Rules::of(args)?;
        Ok(())
    }

    fn new(args: Args) -> Result<Self> {
        Ok(Self {
            template: Template::of(&args)?,
            rules: Rules::of(&args)?,
            launcher: Launcher::new(&Environment::with(args.env.as_deref())?, args.cwd.as_deref())?,
            household: Household::new()?,
            exchange: Exchange::default(),
            timeout: args.timeout.map(Timeout::get),
        })
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Line>) -> Result {
        let call = self.template.call(record.line())?;
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let streams = Streams::open(call.input.is_some())?;
        let started = self.household.start(&self.launcher, call.program, &call.words, streams);
        let mut child = started.map_err(|error| verdict::not_started(&self.template, &error))?;
        let heard = self.exchange.carry(&mut child, self.household.errors(), call.input, deadline, output);
        let end = self.household.end(child)?;
        self.rules.judge(&self.template, end, heard?, self.exchange.last_words())
    }
}

simplegrid_plugin_api::export! { tasks: { "exec" => Exec } }
