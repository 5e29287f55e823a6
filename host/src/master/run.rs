//! A run from the user's settings to the exit status, over whatever links there are.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::dispatch_state::RunRules;
use super::dispatcher::{self, RunEnd, RunPlan};
use super::failed_writer::FailedWriter;
use super::link::LinkEvent;
use super::progress::ProgressLine;
use super::record_key;
use super::result_writer::ResultWriter;
use super::summary::{self, Summary};
use crate::config::{Progress, RunSettings};
use crate::exit_code::{ExitStatus, UsageError};
use crate::limits::BATCH_BYTES_MAX;
use crate::record::{Format, InputSource, ReadLimits};
use crate::shutdown::Shutdown;
use crate::wire::Role;

/// Events of links that may wait for the dispatcher: enough that links seldom wait for each other.
pub const LINK_EVENTS: usize = 16;

/// What happens to slaves when the run is over.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// They end, too.
    pub shutdown_slaves: bool,
}

/// The runtime of a master: one thread for all links, because a link only passes buffers on.
///
/// # Errors
/// Those of the system.
pub fn start_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// How a master introduces itself to its slaves.
pub fn role(settings: &RunSettings, reservation: &str) -> Role {
    Role::Master {
        reservation: reservation.to_owned(),
        format: Format::from(settings.format),
        record_timeout_ms: settings.record_timeout.map(|limit| limit.as_millis() as u64),
    }
}

/// Runs the input over the slaves that join through `events`, and says how it went.
///
/// # Errors
/// If the run cannot begin.
pub async fn run_records(
    settings: &RunSettings,
    ending: Ending,
    events: mpsc::Receiver<LinkEvent>,
    shutdown: Shutdown,
) -> anyhow::Result<ExitStatus> {
    let began = Instant::now();
    let plan = plan(settings, ending).map_err(UsageError::mark)?;
    let report = dispatcher::run(plan, events, shutdown).await;
    if let RunEnd::CannotGoOn(message) | RunEnd::NoNode(message) = &report.end {
        eprintln!("simplegrid: error: {message}");
    }
    let summary = Summary::new(&report, began.elapsed().max(Duration::from_nanos(1)));
    if let Some(path) = &settings.summary_json {
        summary.write(path)?;
    }
    if !settings.quiet && !matches!(report.end, RunEnd::OutputClosed) {
        eprintln!("simplegrid: {summary}");
    }
    Ok(summary::exit_status(&report))
}

fn plan(settings: &RunSettings, ending: Ending) -> anyhow::Result<RunPlan> {
    let format = Format::from(settings.format);
    let key_of = settings.partition_by.as_deref();
    let key_of = key_of.map(|by| record_key::key_of(by, format, &settings.task_path)).transpose()?;
    let rules = RunRules { retries: settings.retries, keep_order: settings.keep_order, format, key_of };
    let inputs = InputSource::open_all(&settings.inputs)?;
    let (writer, write_failure) = ResultWriter::start(settings.output.as_deref())?;
    let limits = ReadLimits { record_bytes_max: settings.max_record_bytes, block_bytes: BATCH_BYTES_MAX };
    let visible = match settings.progress {
        Progress::Always => true,
        Progress::Never => false,
        Progress::Auto => std::io::stderr().is_terminal(),
    };
    Ok(RunPlan {
        rules,
        reader: crate::record::start(inputs, format, limits)?,
        record_bytes_max: settings.max_record_bytes,
        writer,
        write_failure,
        failed: FailedWriter::new(settings.failed.as_deref(), format)?,
        header: settings.header,
        progress: ProgressLine::new(visible),
        shutdown_slaves: ending.shutdown_slaves,
    })
}
