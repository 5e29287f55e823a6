//! A run from the user's settings to the exit status, over whatever links there are.

use std::io::IsTerminal;
use std::pin::pin;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::decisions::{DispatchState, KeySource, RunRules, WaitsFor};
use super::dispatcher::{self, MOMENT, RunPlan, patiently};
use super::key_process::KeyProcess;
use super::keyed_input::with_keys;
use super::nodes::LinkEvent;
use super::output::{
    self, FailedWriter, JournalPen, Opened, ProgressLine, ResultWriter, Results, RunFiles, RunFilesError,
    Summary, SummaryFile, TaskIdentity, WriteFailure,
};
use super::record_key;
use super::run_end::{Ending, RunEnd, RunReport};
use crate::config::{InputCompression, InputFormat, Progress, RunSettings};
use crate::exit_code::{ExitStatus, UsageError};
use crate::ids::RunId;
use crate::limits::BATCH_BYTES_MAX;
use crate::record::{Format, InputSource, ReadLimits, RecordReader};
use crate::shutdown::Shutdown;
use crate::wire::Role;
use crate::{stderr, time};

/// Events of links that may wait for the dispatcher: enough that links seldom wait for each other.
pub(crate) const LINK_EVENTS: usize = 16;

/// How a master introduces itself to its slaves.
pub(crate) fn role(settings: &RunSettings, run: RunId, reservation: &str) -> Role {
    Role::Master {
        reservation: reservation.to_owned(),
        format: Format::from(settings.format),
        record_timeout_ms: settings.record_timeout.map(|limit| limit.as_millis() as u64),
        run,
        rows: settings.output_format.into(),
    }
}

/// A run whose files are open. Nothing in them has changed yet.
#[derive(Debug)]
pub(crate) struct OpenedRun {
    inputs: Vec<InputSource>,
    files: RunFiles,
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

/// Opens the files of a run. `task` is the one that the command names, if it names one. If all rows go to a
/// sink, no output is needed.
///
/// # Errors
/// If one of them cannot be used.
pub(crate) fn open_run(
    settings: &RunSettings,
    task: Option<&TaskIdentity>,
    rows_go_to_sink: bool,
) -> anyhow::Result<OpenedRun> {
    let mut inputs = InputSource::open_all(&settings.inputs).map_err(UsageError::mark)?;
    if settings.input_compression == InputCompression::None {
        inputs = inputs.into_iter().map(InputSource::never_compressed).collect();
    }
    let refused =
        |error: RunFilesError| if error.is_usage() { UsageError::mark(error) } else { error.into() };
    let mut files = RunFiles::open(settings, &inputs, rows_go_to_sink).map_err(refused)?;
    let journal = open_journal(settings, &inputs, &mut files, task)?;
    let id = match &journal {
        Some(journal) => journal.file.run(),
        None => RunId::random()?,
    };
    Ok(OpenedRun { inputs, files, journal, id })
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
    let began = time::now();
    let (keys, key_plan) = record_key::choose(settings).map_err(UsageError::mark)?;
    let key_process = match key_plan {
        None => None,
        Some(plan) => tokio::select! {
            biased;
            signal = shutdown.first() => return Ok(signal.exit_status()),
            started = KeyProcess::start(plan) => Some(started.map_err(UsageError::mark)?),
        },
    };
    let (mut plan, summary_file) = plan(settings, opened, keys, ending).map_err(UsageError::mark)?;
    if let Some(key_process) = key_process {
        plan.reader = with_keys(plan.reader, key_process);
    }
    let was_complete = plan.results.is_complete();
    let report = dispatcher::run(plan, events, shutdown.clone()).await;
    if let RunEnd::CannotGoOn(message)
    | RunEnd::InputFailed(message)
    | RunEnd::NoNode(message)
    | RunEnd::OtherRun(message) = &report.end
    {
        stderr::say_last(format_args!("error: {message}"));
    }
    for problem in &report.sinks.problems {
        stderr::say_last(format_args!("error: {problem}"));
    }
    if !settings.quiet {
        report.sinks.delivered.iter().for_each(stderr::say_last);
        say_how_to_go_on(&report, was_complete);
    }
    let summary = Summary::new(&report, time::now().duration_since(began));
    let mut status = output::exit_status(&report);
    if let Some(file) = summary_file
        && let Err(written) = write_summary(file, &summary, &report.end, &shutdown).await
        && matches!(status, ExitStatus::Done | ExitStatus::SomeFailed)
    {
        status = written;
    }
    if !settings.quiet && !matches!(report.end, RunEnd::OutputClosed) {
        stderr::say_last(summary);
    }
    Ok(status)
}

/// Writes the summary for programs, unless a second signal says that no one waits for it. If it could not be
/// written, returns what the program ends with.
async fn write_summary(
    file: SummaryFile,
    summary: &Summary,
    end: &RunEnd,
    shutdown: &Shutdown,
) -> Result<(), ExitStatus> {
    let mut writing = pin!(patiently(file.write(summary), &WaitsFor::Summary));
    let written = match end {
        RunEnd::Stopped(signal) => timeout(MOMENT, writing).await.map_err(|_| *signal),
        _ => tokio::select! {
            biased;
            written = &mut writing => Ok(written),
            signal = shutdown.second() => timeout(MOMENT, writing).await.map_err(|_| signal),
        },
    };
    match written {
        Ok(written) => written.map_err(|error| {
            stderr::say_last(format_args!("error: {error}"));
            ExitStatus::CannotGoOn
        }),
        Err(signal) => Err(signal.exit_status()),
    }
}

/// Says how to go on with a run that is not over, or that nothing was left to do.
fn say_how_to_go_on(report: &RunReport, was_complete: bool) {
    let ended_early = matches!(
        report.end,
        RunEnd::Drained(_) | RunEnd::Stopped(_) | RunEnd::CannotGoOn(_) | RunEnd::InputFailed(_)
    );
    if report.can_be_resumed && ended_early {
        stderr::say_last("run the same command again to go on from here");
    } else if was_complete && matches!(report.end, RunEnd::Finished) {
        stderr::say_last("nothing is left to do: the journal says that every record is finished");
    }
}

fn open_journal(
    settings: &RunSettings,
    inputs: &[InputSource],
    files: &mut RunFiles,
    task: Option<&TaskIdentity>,
) -> anyhow::Result<Option<Opened>> {
    let Some((path, file)) = settings.journal.as_deref().zip(files.journal.take()) else { return Ok(None) };
    match output::open_journal((path, file), settings, inputs, task) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.is_usage() => Err(UsageError::mark(error)),
        Err(error) => Err(error.into()),
    }
}

fn plan(
    settings: &RunSettings,
    opened: OpenedRun,
    keys: Option<KeySource>,
    ending: Ending,
) -> anyhow::Result<(RunPlan, Option<SummaryFile>)> {
    let OpenedRun { inputs, mut files, journal, .. } = opened;
    let format = Format::from(settings.format);
    let rules = RunRules { retries: settings.retries, keep_order: settings.keep_order, format, keys };
    let state = match &journal {
        Some(opened) => DispatchState::resume(rules, &opened.saved.earlier),
        None => DispatchState::new(rules),
    };
    files.begin(journal.is_some())?;
    let summary_file = files.summary.take().map(SummaryFile::start).transpose()?;
    let (results, write_failure) = results(settings, files, journal)?;
    let visible = match settings.progress {
        Progress::Always => true,
        Progress::Never => false,
        Progress::Auto => std::io::stderr().is_terminal(),
    };
    let plan = RunPlan {
        state,
        reader: start_reader(settings, inputs)?,
        record_bytes_max: settings.max_record_bytes,
        results,
        write_failure,
        header: settings.header,
        rows: settings.output_format.into(),
        progress: ProgressLine::new(visible),
        logs_workers: true,
        ending,
    };
    Ok((plan, summary_file))
}

fn start_reader(settings: &RunSettings, inputs: Vec<InputSource>) -> std::io::Result<RecordReader> {
    let limits = ReadLimits { record_bytes_max: settings.max_record_bytes, block_bytes: BATCH_BYTES_MAX };
    match settings.format {
        InputFormat::Failed => crate::record::start_failed_lines(inputs, limits),
        format => crate::record::start(inputs, Format::from(format), limits),
    }
}

fn results(
    settings: &RunSettings,
    files: RunFiles,
    journal: Option<Opened>,
) -> anyhow::Result<(Results, WriteFailure)> {
    let format = Format::from(settings.format);
    let RunFiles { mut output, mut failed, .. } = files;
    let mut pen = None;
    let mut journaled = None;
    if let Some((path, Opened { file, run, saved, output: tail, failed_file })) =
        settings.output.as_deref().zip(journal)
    {
        let output = output.share(path)?;
        let failed = failed.as_mut().zip(settings.failed.as_deref());
        let failed = failed.map(|(target, path)| target.share(path)).transpose()?;
        pen = Some(JournalPen::new(file, output, tail, failed));
        journaled = Some((run, failed_file, saved));
    }
    let (writer, rows_end) = ResultWriter::start(output, pen)?;
    let (failed, failed_end) = match failed {
        Some(target) => FailedWriter::to_file(target, format).map(|(writer, end)| (writer, Some(end)))?,
        None => (FailedWriter::to_stderr(format), None),
    };
    let results = match journaled {
        Some((run, failed_file, saved)) => Results::with_journal(writer, failed, run, failed_file, &saved),
        None => Results::new(writer, failed),
    };
    Ok((results, WriteFailure::new(rows_end, failed_end)))
}
