//! `mode=per-batch`: a process for the records that came together, which are its standard input.

use simplegrid_child_process::{Heard, Patience};
use simplegrid_plugin_api::{Batch, Error, Line, Output, Result};

use crate::answers::Answers;
use crate::command::Command;
use crate::rows::Rows;
use crate::runner::Runner;
use crate::verdict::Ending;
use crate::window::{Window, line_of};

/// What an author of a command that answers otherwise can do.
const OTHERWISE: &str =
    "with `one-to-one=true` it must write exactly one line for each record; see `one-to-one=false`";

/// The command for many records, again and again.
#[derive(Debug)]
pub(crate) struct PerBatch {
    one_to_one: bool,
    answers: Answers,
}

impl PerBatch {
    /// With one line a record, or with any.
    pub(crate) fn new(one_to_one: bool) -> Self {
        Self { one_to_one, answers: Answers::default() }
    }

    /// Runs the command for records that came together.
    ///
    /// # Errors
    /// None of them is done, and it is not known which one is to blame.
    pub(crate) fn run(
        &mut self,
        command: &Command,
        runner: &mut Runner,
        batch: Batch<'_>,
        output: &mut Output<'_, Line>,
    ) -> Result {
        let window = Window::of(batch, output);
        if window.len() == 0 {
            return Ok(());
        }
        let patience = runner.patience_together();
        if !self.one_to_one {
            rows(command, runner, window.input(), patience, output)?;
            window.finish_together(output);
            return Ok(());
        }
        let ending = self.ask(command, runner, window.input(), window.len(), patience, output)?;
        command.judge(ending, runner.last_words())?;
        self.expect(command, runner, window.len())?;
        window.finish(self.answers.lines(), output);
        Ok(())
    }

    /// Runs the command for one record alone.
    ///
    /// # Errors
    /// It failed.
    pub(crate) fn run_alone(
        &mut self,
        command: &Command,
        runner: &mut Runner,
        record: &[u8],
        output: &mut Output<'_, Line>,
    ) -> Result {
        let line = line_of(record)?;
        let patience = runner.patience();
        if !self.one_to_one {
            return rows(command, runner, &line, patience, output);
        }
        let ending = self.ask(command, runner, &line, 1, patience, output)?;
        command.judge(ending, runner.last_words())?;
        self.expect(command, runner, 1)?;
        self.answers.lines().try_for_each(|line| output.line(line))
    }

    /// Runs the command to its end, unless it writes more than one line for each record.
    fn ask(
        &mut self,
        command: &Command,
        runner: &mut Runner,
        input: &[u8],
        records: usize,
        patience: Patience,
        output: &Output<'_, Line>,
    ) -> Result<Ending> {
        self.answers.clear();
        let mut listener = self.answers.listen(records + 1, output);
        let ending = runner.run(command, &command.call_for_many(), Some(input), patience, &mut listener)?;
        if ending.heard == Heard::Everything {
            self.answers.finish();
        }
        if self.answers.count() > records {
            return Err(wrong_count(command, runner, self.answers.count(), records));
        }
        Ok(ending)
    }

    fn expect(&self, command: &Command, runner: &Runner, records: usize) -> Result {
        match self.answers.count() {
            lines if lines == records => Ok(()),
            lines => Err(wrong_count(command, runner, lines, records)),
        }
    }
}

/// Runs the command to its end; each line is a row.
fn rows(
    command: &Command,
    runner: &mut Runner,
    input: &[u8],
    patience: Patience,
    output: &mut Output<'_, Line>,
) -> Result {
    let mut rows = Rows::to(output);
    let ending = runner.run(command, &command.call_for_many(), Some(input), patience, &mut rows)?;
    rows.finish()?;
    command.judge(ending, runner.last_words())
}

#[cold]
fn wrong_count(command: &Command, runner: &Runner, lines: usize, records: usize) -> Error {
    let lines = match lines {
        0 => "no line".to_owned(),
        lines if lines > records => format!("more than {records} line{}", plural(records)),
        lines => format!("{lines} line{}", plural(lines)),
    };
    let what = format!("has written {lines} for {records} record{}, but {OTHERWISE}", plural(records));
    Error::reject(command.said(&what, runner.last_words()))
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
