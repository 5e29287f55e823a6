//! The dispatcher's side of a journal: nothing is run before the journal is known to be this run's, and
//! checkpoints are made from time to time. Pure.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::entry::Header;
use super::error::{Difference, JournalError};
use super::identity::{RunIdentity, TaskIdentity};
use super::stream_head::{HeadProbe, StreamHead};
use crate::limits::CHECKPOINT_EVERY;
use crate::record::Input;

/// What is known of a run and its journal.
pub(crate) struct RunJournal {
    path: PathBuf,
    run: RunIdentity,
    /// The header, if the run was begun before.
    earlier: Option<Header>,
    /// The task; not known before the first node takes part.
    task: Option<TaskIdentity>,
    /// Whether only the build that has begun the run may go on with it.
    same_version: bool,
    head: HeadProbe,
    /// Input that waits until the head of the input is known: no more than the head and a block.
    waiting: Vec<Input>,
    begun: bool,
    last_checkpoint: Option<Instant>,
}

/// What to do with input that has come.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Nothing yet: more is needed to know whether it is the right input.
    Wait,
    /// The journal is this run's. Begin to write with this header, and then run this input.
    Begin(Box<Header>, Vec<Input>),
    /// The run has begun, or never will: go on as if there were no journal.
    Pass(Input),
}

impl RunJournal {
    /// A run with a journal that has the header `earlier`, if it was begun before.
    ///
    /// # Errors
    /// If the journal belongs to another run.
    pub(crate) fn new(path: &Path, run: RunIdentity, earlier: Option<Header>) -> Result<Self, JournalError> {
        let head = HeadProbe::new(earlier.as_ref().map(|earlier| &earlier.head));
        let path = path.to_owned();
        let (task, waiting) = (None, Vec::new());
        let (begun, last_checkpoint, same_version) = (false, None, false);
        let journal = Self { path, run, earlier, task, same_version, head, waiting, begun, last_checkpoint };
        journal.check(|earlier| journal.run.check(&earlier.run))?;
        Ok(journal)
    }

    /// Lets only the build that has begun the run go on with it.
    pub(super) fn with_same_version(self, same_version: bool) -> Self {
        Self { same_version, ..self }
    }

    /// The task with which the run was begun, if it was begun before.
    pub(crate) fn earlier_task(&self) -> Option<&TaskIdentity> {
        self.earlier.as_ref()?.task.as_ref()
    }

    /// The task is known. Returns what the log must say of it.
    ///
    /// # Errors
    /// If the journal was begun with one that does not write the same.
    pub(crate) fn on_task(&mut self, task: TaskIdentity) -> Result<Option<String>, JournalError> {
        let strict = self.same_version;
        self.check(|earlier| earlier.task.as_ref().map_or(Ok(()), |earlier| task.check(earlier, strict)))?;
        let other_build = self.earlier_task().and_then(|earlier| task.other_build(earlier));
        let is_first_time = self.task.is_none();
        self.task.get_or_insert(task);
        Ok(other_build.filter(|_| is_first_time))
    }

    /// Input has come.
    ///
    /// # Errors
    /// If it does not begin as the journal says.
    pub(crate) fn on_input(&mut self, input: Input) -> Result<Admission, JournalError> {
        if self.begun {
            return Ok(Admission::Pass(input));
        }
        let head = match &input {
            Input::Records { records, .. } => self.head.on_bytes(records.data()),
            Input::TooLong { record, .. } | Input::Unusable { record, .. } => self.head.on_bytes(record),
            Input::End => Some(self.head.head()),
            Input::Failed(_) => return Ok(Admission::Pass(input)),
        };
        self.waiting.push(input);
        head.map_or(Ok(Admission::Wait), |head| self.begin(head))
    }

    /// Whether the header is settled, so that checkpoints may be made.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether it is time for a checkpoint.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.begun && self.last_checkpoint.is_none_or(|last| now.duration_since(last) >= CHECKPOINT_EVERY)
    }

    /// A checkpoint is being made.
    pub(crate) fn on_checkpoint(&mut self, now: Instant) {
        self.last_checkpoint = Some(now);
    }

    /// The error that the input is not the journal's, for differences that show only later.
    pub(crate) fn other_input(&self, what: &str, earlier: String, now: String) -> JournalError {
        self.other_run(Difference::of(what, earlier, now))
    }

    fn begin(&mut self, head: StreamHead) -> Result<Admission, JournalError> {
        self.check(|earlier| head.check(&earlier.head))?;
        self.begun = true;
        let task = self.task.clone().or_else(|| self.earlier.as_ref()?.task.clone());
        let header = Header { run: self.run.clone(), task, head };
        Ok(Admission::Begin(Box::new(header), std::mem::take(&mut self.waiting)))
    }

    fn check(&self, check: impl FnOnce(&Header) -> Result<(), Difference>) -> Result<(), JournalError> {
        self.earlier.as_ref().map_or(Ok(()), check).map_err(|difference| self.other_run(difference))
    }

    fn other_run(&self, difference: Difference) -> JournalError {
        JournalError::OtherRun { path: self.path.clone(), difference }
    }
}

impl std::fmt::Debug for RunJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunJournal")
            .field("path", &self.path)
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}
