//! `mode=stream`: one process for all records of a worker, which answers each line with one line.
//!
//! **Invariant:** between two calls, the process has nothing left to read, and has answered everything; if it
//! has not, it is ended.

use std::time::{Duration, Instant};

use simplegrid_child_process::{Child, End, Heard, Listener, Look, Patience, Step, Then};
use simplegrid_plugin_api::{Batch, Error, Line, Output, Result};

use crate::answers::Answers;
use crate::command::Command;
use crate::runner::Runner;
use crate::verdict::Ending;
use crate::window::{Window, line_of};

/// How long a record may take unless the user says otherwise. There must be a limit, because a command that
/// keeps its answers in a buffer would be waited for as long as the run lasts.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long a command may take to end by itself, once its input has ended: to write what it has buffered.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// How long the process is listened to after its last answer, so that a line too many is noticed before rows
/// are given to the wrong records: a share of the time that the answers took, within bounds.
const LISTEN_SHARE: u32 = 16;
const LISTEN_MIN: Duration = Duration::from_micros(50);
const LISTEN_MAX: Duration = Duration::from_millis(2);

/// A command and its process.
#[derive(Debug)]
pub(crate) struct Stream {
    child: Option<Child>,
    /// Whether this process has answered anything.
    child_has_answered: bool,
    /// Whether any process has.
    has_answered: bool,
    answers: Answers,
    /// So many records come one by one because their batch had too many answers, or too few. Each gets a
    /// process that is read to its end, since only then it is known what belongs to it.
    miscounted: usize,
}

/// Why records were not answered as they should be.
enum Trouble {
    /// The process has ended.
    Died(Ending),
    /// There were more lines than records.
    TooMany,
    /// The process has ended once its input had, and has still written fewer lines than there were records.
    TooFew,
    /// It has answered once its input had ended, and never before.
    Buffered,
    /// Nothing came, whatever was done.
    Silent(Ending),
    /// Something else.
    Other(Error),
}

impl<E: Into<Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl Stream {
    /// Without a process, until there is a record.
    pub(crate) fn new() -> Self {
        Self {
            child: None,
            child_has_answered: false,
            has_answered: false,
            answers: Answers::default(),
            miscounted: 0,
        }
    }

    /// Has records that came together answered.
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
        self.miscounted = 0;
        if window.len() == 0 {
            return Ok(());
        }
        let patience = Patience::Silence(runner.timeout.unwrap_or(TIMEOUT));
        match self.ask(command, runner, window.input(), window.len(), patience, output) {
            Ok(()) => {
                window.finish(self.answers.lines(), output);
                Ok(())
            }
            Err(trouble) => {
                if matches!(trouble, Trouble::TooMany | Trouble::TooFew) {
                    self.miscounted = window.len();
                }
                Err(meaning(command, runner, trouble))
            }
        }
    }

    /// Has one record alone answered.
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
        let patience = Patience::Total(runner.timeout.unwrap_or(TIMEOUT));
        let asked = if self.miscounted > 0 {
            self.miscounted -= 1;
            self.ask_and_close(command, runner, &line, patience, output)
        } else {
            let is_used = self.child_has_answered;
            match self.ask(command, runner, &line, 1, patience, output) {
                // Perhaps it was about to end anyway: a record is to blame only for the end of a new one.
                Err(Trouble::Died(_)) if is_used => self.ask(command, runner, &line, 1, patience, output),
                asked => asked,
            }
        };
        asked.map_err(|trouble| meaning(command, runner, trouble))?;
        self.answers.lines().try_for_each(|line| output.line(line))
    }

    /// Gives the process lines, and takes one line for each.
    fn ask(
        &mut self,
        command: &Command,
        runner: &mut Runner,
        input: &[u8],
        records: usize,
        patience: Patience,
        output: &Output<'_, Line>,
    ) -> Result<(), Trouble> {
        let mut child = self.ready_child(command, runner)?;
        self.answers.clear();
        let began = Instant::now();
        let mut listener = self.answers.listen(records, output);
        let talk = runner.talk(&mut child, input, Then::More, patience, &mut listener);
        let heard = match talk {
            Ok(heard) => heard,
            Err(error) => {
                runner.household.end(child)?;
                return Err(Trouble::Other(error));
            }
        };
        match heard {
            Heard::Enough { unsent } => {
                let within = (began.elapsed() / LISTEN_SHARE).clamp(LISTEN_MIN, LISTEN_MAX);
                let look = runner.household.look_at(&child, within)?;
                let has_more = self.answers.count() > records || self.answers.begins_another();
                // One that has answered everything before it has read everything has said too much.
                if unsent > 0 || has_more || look.has_written || look.has_unread {
                    runner.household.end(child)?;
                    return Err(Trouble::TooMany);
                }
                runner.household.bury_orphans(&child)?;
                self.child = Some(child);
                (self.child_has_answered, self.has_answered) = (true, true);
                Ok(())
            }
            Heard::Everything => {
                let end = runner.household.end(child)?;
                self.answers.finish();
                match self.answers.count() {
                    // It has answered before it ended, and the next record gets another one.
                    lines if lines == records => Ok(()),
                    lines if lines > records => Err(Trouble::TooMany),
                    _ => Err(Trouble::Died(Ending { heard, end })),
                }
            }
            Heard::Stopping => {
                let end = runner.household.end(child)?;
                Err(Trouble::Silent(Ending { heard, end }))
            }
            Heard::TimedOut => self.ask_why(runner, child, records, output),
        }
    }

    /// Ends the input of a process that is silent: one that only keeps its answers in a buffer writes them
    /// then.
    #[cold]
    fn ask_why(
        &mut self,
        runner: &mut Runner,
        mut child: Child,
        records: usize,
        output: &Output<'_, Line>,
    ) -> Result<(), Trouble> {
        let before = self.answers.count();
        let mut listener = self.answers.listen(records + 1, output);
        let patience = Patience::Total(FAREWELL_MAX);
        let talk = runner.talk(&mut child, &[], Then::Close, patience, &mut listener);
        let end = runner.household.end(child)?;
        let heard = talk?;
        if heard != Heard::Everything {
            return Err(Trouble::Silent(Ending { heard: Heard::TimedOut, end }));
        }
        self.answers.finish();
        Err(match self.answers.count() {
            lines if lines > records => Trouble::TooMany,
            lines if lines > before && before == 0 && !self.has_answered => Trouble::Buffered,
            lines if lines < records => Trouble::TooFew,
            _ => Trouble::Silent(Ending { heard: Heard::TimedOut, end }),
        })
    }

    /// Has one line answered by a process of its own, up to its end.
    #[cold]
    fn ask_and_close(
        &mut self,
        command: &Command,
        runner: &mut Runner,
        line: &[u8],
        patience: Patience,
        output: &Output<'_, Line>,
    ) -> Result<(), Trouble> {
        self.answers.clear();
        let mut listener = self.answers.listen(2, output);
        let ending = runner.run(command, &command.call_for_many(), Some(line), patience, &mut listener)?;
        if ending.heard == Heard::Everything {
            self.answers.finish();
        }
        match (self.answers.count(), ending.heard, ending.end) {
            (2.., ..) => Err(Trouble::TooMany),
            // As with the process that goes on, its exit status does not matter once it has answered.
            (1, Heard::Everything, End::Exited(_)) => Ok(()),
            (0, Heard::Everything, End::Exited(_)) => Err(Trouble::TooFew),
            _ => Err(Trouble::Silent(ending)),
        }
    }

    /// A process that has nothing to read and nothing to say.
    fn ready_child(&mut self, command: &Command, runner: &mut Runner) -> Result<Child> {
        let Some(child) = self.child.take() else { return self.new_child(command, runner) };
        let Look { has_ended, has_written, .. } = runner.household.look_at(&child, Duration::ZERO)?;
        if has_written {
            runner.household.end(child)?;
            return Err(Error::fatal(command.said(
                "has written more lines than it got records, and too late to know for which: rows of the last \
                 records may be wrong. `mode=stream` is for commands that write one line for each line; use \
                 `mode=per-batch` with `one-to-one=false`",
                runner.last_words(),
            )));
        }
        if !has_ended {
            return Ok(child);
        }
        let end = runner.household.end(child)?;
        tracing::warn!("the command has ended between two records ({end:?}), and is started again");
        self.new_child(command, runner)
    }

    fn new_child(&mut self, command: &Command, runner: &Runner) -> Result<Child> {
        self.child_has_answered = false;
        runner.start(command, &command.call_for_many(), true)
    }

    /// Lets the process end by itself.
    pub(crate) fn farewell(&mut self, runner: &mut Runner) -> Result {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let mut listener = Unheard::default();
        let patience = Patience::Total(FAREWELL_MAX);
        let talk = runner.talk(&mut child, &[], Then::Close, patience, &mut listener);
        let end = runner.household.end(child)?;
        match (talk?, end) {
            (Heard::Everything, End::Exited(0)) if listener.bytes == 0 => {}
            (Heard::Everything, End::Exited(0)) => {
                tracing::warn!("the command has written {} bytes after its last answer", listener.bytes);
            }
            (Heard::Everything, end) => tracing::warn!("the command has not ended well: {end:?}"),
            _ => tracing::warn!("the command did not end when its input did, and was killed"),
        }
        Ok(())
    }
}

/// What it means for the records.
#[cold]
fn meaning(command: &Command, runner: &Runner, trouble: Trouble) -> Error {
    let said = |what: &str| command.said(what, runner.last_words());
    match trouble {
        Trouble::Died(ending) => match command.judge(ending, runner.last_words()) {
            Ok(()) => Error::reject(said("ended without an answer")),
            Err(error) => error,
        },
        Trouble::TooMany => Error::reject(said(
            "has written more than one line for a record; `mode=stream` is for commands that write exactly one",
        )),
        Trouble::TooFew => Error::reject(said(
            "has written no line for a record; `mode=stream` is for commands that write exactly one",
        )),
        Trouble::Buffered => Error::fatal(said(
            "answered nothing until its input ended. Most programs buffer their output when it is a pipe: try \
             `line-buffered=true`, or an option of its own such as `sed -u`, `grep --line-buffered` or \
             `jq --unbuffered`",
        )),
        Trouble::Silent(ending) => match command.judge(ending, runner.last_words()) {
            Ok(()) => Error::retry(said("has not answered")),
            Err(error) => error,
        },
        Trouble::Other(error) => error,
    }
}

/// Counts what no one wants to hear.
#[derive(Debug, Default)]
struct Unheard {
    bytes: usize,
}

impl Listener for Unheard {
    fn hear(&mut self, bytes: &[u8]) -> Result<Step> {
        self.bytes += bytes.len();
        Ok(Step::Piece)
    }

    fn stopping(&self) -> bool {
        false
    }
}
