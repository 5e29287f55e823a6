//! Where the results of a run go: its rows, its failed records, and the journal that says how far both are.
//! Knows nothing of slaves.

use std::time::Instant;

use bytes::Bytes;

use super::failed_writer::FailedWriter;
use super::journal::{Admission, Checkpoint, JournalError, RunJournal, Saved, Tail, TaskIdentity};
use super::result_writer::ResultWriter;
use super::write_error::WriteError;
use super::write_failure::WriteFailure;
use crate::master::decisions::{Counts, DispatchState, FailedRecord, ReadyRows, WaitsFor};
use crate::master::run_end::RunEnd;
use crate::record::{Input, RecordReader};
use crate::shutdown::Shutdown;

/// Where results go.
#[derive(Debug)]
pub(crate) struct Results {
    writer: ResultWriter,
    failed: FailedWriter,
    journal: Option<Journaled>,
    /// The first line of the output, until it may be written.
    first_line: Option<Bytes>,
}

/// A journal, and how it says that the files stand.
#[derive(Debug)]
struct Journaled {
    run: RunJournal,
    output_bytes: u64,
    /// Until the run begins.
    failed_file: Tail,
    /// Nothing is left to do.
    complete: bool,
}

impl Results {
    /// Without a journal.
    pub(crate) fn new(writer: ResultWriter, failed: FailedWriter) -> Self {
        Self { writer, failed, journal: None, first_line: None }
    }

    /// With a journal; the files are opened for it. `failed_file` is how the failed-records file ends.
    pub(crate) fn with_journal(
        writer: ResultWriter,
        failed: FailedWriter,
        run: RunJournal,
        failed_file: Tail,
        saved: &Saved,
    ) -> Self {
        let Saved { output, complete, .. } = *saved;
        let journal = Some(Journaled { run, output_bytes: output.bytes, failed_file, complete });
        Self { journal, ..Self::new(writer, failed) }
    }

    /// Whether an earlier run has finished everything.
    pub(crate) fn is_complete(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.complete)
    }

    /// Whether the same command would go on from where this run stands.
    pub(crate) fn can_be_resumed(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.run.has_begun() && !journal.complete)
    }

    /// Whether there is a journal.
    pub(crate) fn has_journal(&self) -> bool {
        self.journal.is_some()
    }

    /// Whether there is room for more results.
    pub(crate) fn has_room(&self) -> bool {
        self.writer.has_room() && self.failed.has_room()
    }

    /// Waits until there can be room again.
    pub(crate) async fn room(&self) {
        tokio::select! {
            biased;
            () = self.writer.room(), if !self.writer.has_room() => {}
            () = self.failed.room(), if !self.failed.has_room() => {}
            else => {}
        }
    }

    /// What there is no room for, if there is none.
    pub(crate) fn waits_for(&self) -> Option<WaitsFor> {
        match (self.writer.has_room(), self.failed.has_room()) {
            (false, _) => Some(WaitsFor::Output),
            (true, false) => Some(WaitsFor::FailedFile),
            (true, true) => None,
        }
    }

    /// The records of a run as far as they are written: one whose rows, or whose line among the failed
    /// records, the system has not taken is neither done nor failed.
    pub(crate) fn written(&self, state: &DispatchState) -> Counts {
        let counts = state.counts();
        let done = state.handed_out() - self.writer.unwritten();
        Counts { done, failed: counts.failed - self.failed.unwritten(), ..counts }
    }

    /// The first node takes part: its task is the run's. `first_line` names the columns, if it should be
    /// written.
    pub(crate) fn on_task(&mut self, task: TaskIdentity, first_line: Option<Bytes>) -> Result<(), RunEnd> {
        self.first_line = first_line;
        match &mut self.journal {
            Some(journal) => {
                if let Some(news) = journal.run.on_task(task).map_err(RunEnd::from)? {
                    tracing::info!("{news}");
                }
                Ok(())
            }
            None => {
                self.write_first_line();
                Ok(())
            }
        }
    }

    /// Input has come. Returns what can be run now: with a journal, nothing is run or written before the
    /// journal is known to be this run's.
    pub(crate) fn admit(&mut self, input: Input) -> Result<Vec<Input>, RunEnd> {
        let Some(journal) = &mut self.journal else { return Ok(vec![input]) };
        match journal.run.on_input(input).map_err(RunEnd::from)? {
            Admission::Wait => Ok(Vec::new()),
            Admission::Pass(input) => Ok(vec![input]),
            Admission::Begin(header, inputs) => {
                self.failed.go_on_from(std::mem::take(&mut journal.failed_file));
                self.writer.begin(header);
                if journal.output_bytes == 0 {
                    self.write_first_line();
                }
                Ok(inputs)
            }
        }
    }

    /// The input is over. If the journal knows more records, it belongs to another input.
    pub(crate) fn on_input_end(&self, state: &DispatchState) -> Result<(), RunEnd> {
        let (next, known) = state.reached();
        let Some(journal) = self.journal.as_ref().filter(|_| next < known) else { return Ok(()) };
        let (earlier, now) = (format!("{known} at least"), next.to_string());
        Err(journal.run.other_input("the number of records", earlier, now).into())
    }

    /// Takes rows. To be called while there is [room](Self::has_room).
    pub(crate) fn write(&mut self, ready: ReadyRows) {
        self.writer.write(ready);
    }

    /// Takes a record that failed for good. To be called while there is [room](Self::has_room), and to be
    /// followed by [`hand_over`](Self::hand_over) after the event.
    pub(crate) fn fail(&mut self, record: &FailedRecord) {
        self.failed.write(record);
    }

    /// Hands over the failed records of an event.
    pub(crate) fn hand_over(&mut self) {
        self.failed.hand_over();
    }

    /// Makes a checkpoint if it is time for one, and anything was finished. To be called between events.
    pub(crate) fn checkpoint_if_due(&mut self, state: &mut DispatchState, now: Instant) {
        let is_due = self.journal.as_ref().is_some_and(|journal| journal.run.is_due(now));
        if is_due
            && !self.writer.is_at_checkpoint()
            && self.checkpoint(state, false)
            && let Some(journal) = &mut self.journal
        {
            journal.run.on_checkpoint(now);
        }
    }

    /// With nothing left to do: makes sure that the input is the one that the journal knows.
    pub(crate) async fn confirm(&mut self, reader: &mut RecordReader, shutdown: &Shutdown) -> RunEnd {
        let Some(journal) = &mut self.journal else { return RunEnd::Finished };
        loop {
            let input = tokio::select! {
                biased;
                signal = shutdown.first() => return RunEnd::Stopped(signal),
                input = reader.recv() => input.unwrap_or(Input::End),
            };
            match journal.run.on_input(input) {
                Ok(Admission::Wait) => {}
                Ok(Admission::Pass(Input::Failed(error))) => return error.into(),
                Ok(Admission::Begin(..) | Admission::Pass(_)) => return RunEnd::Finished,
                Err(error) => return error.into(),
            }
        }
    }

    /// Nothing more comes: makes the last checkpoint, and lets each thread end once it has written what
    /// waits, so that no reader of one result waits for that of another.
    pub(crate) fn close(&mut self, end: &RunEnd, state: &mut DispatchState) {
        self.failed.say_the_rest();
        if self.can_be_resumed() && !matches!(end, RunEnd::Stopped(_)) {
            self.checkpoint(state, matches!(end, RunEnd::Finished));
        }
        self.failed.close();
        self.writer.close();
    }

    /// Waits until the failed records are written. May be cancelled, and called again.
    pub(crate) async fn finish_failed(&mut self, failure: &mut WriteFailure) -> Result<(), WriteError> {
        self.failed.finish(failure.failed.as_mut()).await
    }

    /// Waits until the rows are written, and the last checkpoint. May be cancelled, and called again.
    pub(crate) async fn finish_rows(&mut self, failure: &mut WriteFailure) -> Result<(), WriteError> {
        self.writer.finish(&mut failure.rows).await
    }

    /// Makes a checkpoint; `false` if there is nothing to count. It takes its turn behind the rows, and waits
    /// for the failed records that were handed over so far, so it counts nothing that is not written.
    fn checkpoint(&mut self, state: &mut DispatchState, complete: bool) -> bool {
        let Some(progress) = state.take_progress() else { return false };
        let failed_file = self.failed.mark();
        self.writer.checkpoint(Checkpoint::new(&progress, complete), failed_file);
        true
    }

    fn write_first_line(&mut self) {
        if let Some(line) = self.first_line.take() {
            self.writer.write(ReadyRows { rows: vec![line], records: 0 });
        }
    }
}

impl From<WriteError> for RunEnd {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Closed => Self::OutputClosed,
            error => Self::CannotGoOn(error.to_string()),
        }
    }
}

impl From<JournalError> for RunEnd {
    /// An error that shows only while a run goes on always means that the journal is another run's.
    fn from(error: JournalError) -> Self {
        Self::OtherRun(error.to_string())
    }
}
