//! A run whose records another part of this process reads, and whose rows go to standard output: what a slave
//! does with lines that do not come from a master. What the run has to say goes to the log.

use tokio::sync::mpsc;

use super::decisions::{DispatchState, KeySource, RunRules};
use super::dispatcher::{self, RunPlan};
use super::nodes::LinkEvent;
use super::output::{FailedWriter, OutputTarget, ProgressLine, ResultWriter, Results, Summary, WriteFailure};
use super::run_end::{Ending, RunEnd};
use crate::plugin::RowFormat;
use crate::record::{Format, Input, RecordReader};
use crate::shutdown::Shutdown;
use crate::time;

/// What such a run needs.
pub(crate) struct StreamedRun {
    /// Its records, with an end.
    pub records: mpsc::Receiver<Input>,
    /// How they end.
    pub format: Format,
    /// Where keys come from, if the run is partitioned.
    pub keys: Option<KeySource>,
    /// How often a record is tried again.
    pub retries: u32,
    /// The longest record that is run.
    pub record_bytes_max: usize,
    /// Where the files of a sink are delivered at the end, if anywhere.
    pub harvest: Option<String>,
}

/// How such a run ended.
#[derive(Debug)]
pub(crate) struct StreamedEnd {
    /// How it ended.
    pub end: RunEnd,
    /// What became of its records.
    pub summary: Summary,
}

/// Runs the records over the slaves that join through `events`.
///
/// # Errors
/// If the run cannot begin.
pub(crate) async fn run_stream(
    run: StreamedRun,
    events: mpsc::Receiver<LinkEvent>,
    shutdown: Shutdown,
) -> anyhow::Result<StreamedEnd> {
    let began = time::now();
    let StreamedRun { records, format, keys, retries, record_bytes_max, harvest } = run;
    // If standard output cannot be written, that matters only if there are rows: a sink may take them.
    let (writer, end) = ResultWriter::start(OutputTarget::standard_output()?, None)?;
    let plan = RunPlan {
        state: DispatchState::new(RunRules { retries, keep_order: false, format, keys }),
        reader: RecordReader::of_channel(records),
        record_bytes_max,
        results: Results::new(writer, FailedWriter::to_log(format)),
        write_failure: WriteFailure::new(end, None),
        header: false,
        rows: RowFormat::Csv,
        progress: ProgressLine::new(false),
        logs_workers: false,
        ending: Ending { shutdown_slaves: false, begins: None, harvest },
    };
    let report = dispatcher::run(plan, events, shutdown).await;
    report.sinks.delivered.iter().for_each(|delivered| tracing::info!("{delivered}"));
    report.sinks.problems.iter().for_each(|problem| tracing::error!("{problem}"));
    let summary = Summary::new(&report, time::now().duration_since(began));
    Ok(StreamedEnd { end: report.end, summary })
}
