//! A run from the user's settings to the exit status, over whatever links there are.

use std::io::IsTerminal;
use std::time::Instant;

use tokio::sync::mpsc;

use super::decisions::{DispatchState, RunRules};
use super::dispatcher::{self, RunPlan};
use super::nodes::LinkEvent;
use super::output::{
    self, FailedWriter, JournalPen, NamedFile, Opened, OutputTarget, ProgressLine, ResultWriter, Results,
    Summary, TaskIdentity, WriteFailure,
};
use super::record_key;
use super::run_end::{Ending, RunEnd, RunReport};
use crate::config::{InputFormat, Progress, RunSettings};
use crate::exit_code::{ExitStatus, UsageError};
use crate::ids::RunId;
use crate::limits::BATCH_BYTES_MAX;
use crate::record::{Format, InputSource, ReadLimits, RecordReader};
use crate::shutdown::Shutdown;
use crate::stderr;
use crate::wire::Role;

/// Events of links that may wait for the dispatcher: enough that links seldom wait for each other.
pub(crate) const LINK_EVENTS: usize = 16;

/// The runtime of a master: one thread for all links, because a link only passes buffers on.
///
/// # Errors
/// Those of the system.
pub(crate) fn start_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// How a master introduces itself to its slaves.
pub(crate) fn role(settings: &RunSettings, run: RunId, reservation: &str) -> Role {
    Role::Master {
        reservation: reservation.to_owned(),
        format: Format::from(settings.format),
        record_timeout_ms: settings.record_timeout.map(|limit| limit.as_millis() as u64),
        run,
    }
}

/// A run whose inputs and journal are open.
#[derive(Debug)]
pub(crate) struct OpenedRun {
    inputs: Vec<InputSource>,
    journal: Option<Opened>,
    /// Its name.
    pub id: RunId,
}

impl OpenedRun {
    /// The task with which the run was begun, if it goes on with its journal.
    pub(super) fn journaled_task(&self) -> Option<&TaskIdentity> {
        self.journal.as_ref()?.run.earlier_task()
    }
}

/// Opens the inputs and the journal of a run. `task` is the one that the command names, if it names one.
///
/// # Errors
/// If one of them cannot be used.
pub(crate) fn open_run(settings: &RunSettings, task: Option<&TaskIdentity>) -> anyhow::Result<OpenedRun> {
    let inputs = InputSource::open_all(&settings.inputs).map_err(UsageError::mark)?;
    let journal = open_journal(settings, &inputs, task)?;
    let id = match &journal {
        Some(journal) => journal.file.run(),
        None => RunId::random()?,
    };
    Ok(OpenedRun { inputs, journal, id })
}

/// Runs the input over the slaves that join through `events`, and says how it went.
///
/// # Errors
/// If the run cannot begin.
pub(crate) async fn run_records(
    settings: &RunSettings,
    opened: OpenedRun,
    ending: Ending,
    events: mpsc::Receiver<LinkEvent>,
    shutdown: Shutdown,
) -> anyhow::Result<ExitStatus> {
    let began = Instant::now();
    let OpenedRun { inputs, journal, .. } = opened;
    let plan = plan(settings, inputs, journal, ending).map_err(UsageError::mark)?;
    let was_complete = plan.results.is_complete();
    let report = dispatcher::run(plan, events, shutdown).await;
    if let RunEnd::CannotGoOn(message) | RunEnd::NoNode(message) | RunEnd::OtherRun(message) = &report.end {
        stderr::say_last(format_args!("error: {message}"));
    }
    for problem in &report.sinks.problems {
        stderr::say_last(format_args!("error: {problem}"));
    }
    if !settings.quiet {
        report.sinks.delivered.iter().for_each(stderr::say_last);
        say_how_to_go_on(&report, was_complete);
    }
    let summary = Summary::new(&report, began.elapsed());
    if let Some(path) = &settings.summary_json {
        summary.write(path)?;
    }
    if !settings.quiet && !matches!(report.end, RunEnd::OutputClosed) {
        stderr::say_last(summary);
    }
    Ok(output::exit_status(&report))
}

/// Says how to go on with a run that is not over, or that nothing was left to do.
fn say_how_to_go_on(report: &RunReport, was_complete: bool) {
    let ended_early = matches!(report.end, RunEnd::Drained(_) | RunEnd::Stopped(_) | RunEnd::CannotGoOn(_));
    if report.can_be_resumed && ended_early {
        stderr::say_last("run the same command again to go on from here");
    } else if was_complete && matches!(report.end, RunEnd::Finished) {
        stderr::say_last("nothing is left to do: the journal says that every record is finished");
    }
}

fn open_journal(
    settings: &RunSettings,
    inputs: &[InputSource],
    task: Option<&TaskIdentity>,
) -> anyhow::Result<Option<Opened>> {
    let Some(path) = &settings.journal else { return Ok(None) };
    match output::open_journal(path, settings, inputs, task) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.is_usage() => Err(UsageError::mark(error)),
        Err(error) => Err(error.into()),
    }
}

fn plan(
    settings: &RunSettings,
    inputs: Vec<InputSource>,
    journal: Option<Opened>,
    ending: Ending,
) -> anyhow::Result<RunPlan> {
    let format = Format::from(settings.format);
    let key_of = settings.partition_by.as_deref();
    let key_of = key_of.map(|by| record_key::key_of(by, format, &settings.task_path)).transpose()?;
    let rules = RunRules { retries: settings.retries, keep_order: settings.keep_order, format, key_of };
    let state = match &journal {
        Some(opened) => DispatchState::resume(rules, &opened.saved.earlier),
        None => DispatchState::new(rules),
    };
    let (results, write_failure) = results(settings, journal)?;
    let visible = match settings.progress {
        Progress::Always => true,
        Progress::Never => false,
        Progress::Auto => std::io::stderr().is_terminal(),
    };
    Ok(RunPlan {
        state,
        reader: start_reader(settings, inputs)?,
        record_bytes_max: settings.max_record_bytes,
        results,
        write_failure,
        header: settings.header,
        progress: ProgressLine::new(visible),
        logs_workers: true,
        ending,
    })
}

fn start_reader(settings: &RunSettings, inputs: Vec<InputSource>) -> std::io::Result<RecordReader> {
    let limits = ReadLimits { record_bytes_max: settings.max_record_bytes, block_bytes: BATCH_BYTES_MAX };
    match settings.format {
        InputFormat::Failed => crate::record::start_failed_lines(inputs, limits),
        format => crate::record::start(inputs, Format::from(format), limits),
    }
}

fn results(settings: &RunSettings, journal: Option<Opened>) -> anyhow::Result<(Results, WriteFailure)> {
    let format = Format::from(settings.format);
    let (path, failed_path) = (settings.output.as_deref(), settings.failed.as_deref());
    let Some((path, Opened { file, run, saved, output: tail, failed_file })) = path.zip(journal) else {
        let (writer, write_failure) = ResultWriter::start(OutputTarget::new(path)?, None)?;
        return Ok((Results::new(writer, FailedWriter::new(failed_path, format)?), write_failure));
    };
    let (target, output) = OutputTarget::with_journal(path)?;
    let failed = FailedWriter::with_journal(failed_path, format)?;
    let shared = failed.share()?.map(|(path, file)| NamedFile { path, file });
    let output = NamedFile { path: path.to_owned(), file: output };
    let pen = JournalPen::new(file, output, tail, shared);
    let (writer, write_failure) = ResultWriter::start(target, Some(pen))?;
    Ok((Results::with_journal(writer, failed, run, failed_file, &saved), write_failure))
}
