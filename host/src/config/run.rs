//! The settings of a run, over the grid or on this machine alone.

use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::given::Given;
use super::output_files::FileNames;
use super::{manager_args, partition, sink};
use crate::build::Digest;
use crate::cli::{InputCompression, InputFormat, OutputFormat, Pair, Progress, RunArgs, RunFlags};
use crate::plugin::RowFormat;
use crate::record::{FailedLines, Format};
use crate::sink::SinkUrl;
use crate::wire::WorkerLimits;

/// The settings that every run has: how records are read, scheduled and retried, and where rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunSettings {
    /// How the input is cut into records.
    pub format: InputFormat,
    /// Whether compressed input is unpacked.
    pub input_compression: InputCompression,
    /// Whether rows keep the order of their records.
    pub keep_order: bool,
    /// Where the rows go; `None` for stdout.
    pub output: Option<PathBuf>,
    /// Where the failed records go; `None` for nowhere.
    pub failed: Option<PathBuf>,
    /// The journal, from which an interrupted run continues. Only a run with an output has one.
    pub journal: Option<PathBuf>,
    /// How rows are written.
    pub output_format: OutputFormat,
    /// Whether the first line of the output names the columns.
    pub header: bool,
    /// The file that the task must come from; `None` for any.
    pub expect_task: Option<Digest>,
    /// Whether all slaves must have the same build of the task.
    pub same_version: bool,
    /// How often a record is tried again at most.
    pub retries: u32,
    /// How long a record may take; `None` for no limit.
    pub record_timeout: Option<Duration>,
    /// How long a drain may take.
    pub drain_timeout: Duration,
    /// Bytes of the longest record.
    pub max_record_bytes: usize,
    /// The partition key, `field:N`, `whole-record` or `FILE[:NAME]`; `None` sends any record to any worker.
    pub partition_by: Option<String>,
    /// Whether progress is shown; never for a quiet run.
    pub progress: Progress,
    /// Where the summary goes as JSON; `None` for nowhere.
    pub summary_json: Option<PathBuf>,
    /// Whether only warnings and errors are shown.
    pub quiet: bool,
    /// The files to read, one after the other. An empty list means stdin, and so does `-`.
    pub inputs: Vec<PathBuf>,
    /// Where libraries are looked for by name.
    pub task_path: Vec<PathBuf>,
}

/// The settings of a run on this machine alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalRunConfig {
    /// The settings that every run has.
    pub run: RunSettings,
    /// The library with the task, a path or a name, and the task in it: `FILE|NAME[:TASK]`.
    pub task: String,
    /// Arguments of the task, each name once.
    pub task_args: Vec<Pair>,
    /// Worker processes, from 1 to 4096.
    pub workers: u16,
    /// How much of the machine a worker may use.
    pub limits: WorkerLimits,
    /// How long each step of a worker's start may take.
    pub start_timeout: Duration,
    /// Where rows go, if not to the output of the run.
    pub sink: Option<SinkUrl>,
}

/// The format of records on their way through a run.
impl From<InputFormat> for Format {
    fn from(format: InputFormat) -> Self {
        match format {
            InputFormat::Lines => Self::Lines,
            InputFormat::Csv => Self::Csv,
            InputFormat::Nul => Self::Nul,
            // The reader extracts the records from the lines.
            InputFormat::Failed => FailedLines::FORMAT,
        }
    }
}

/// The format of rows on their way through a run.
impl From<OutputFormat> for RowFormat {
    fn from(format: OutputFormat) -> Self {
        match format {
            OutputFormat::Csv => Self::Csv,
            OutputFormat::Tsv => Self::Tsv,
            OutputFormat::Jsonl => Self::JsonLines,
        }
    }
}

impl RunSettings {
    /// `manager_args` may name a scheduler, as in Net::SimpleGrid; `run` has no such arguments.
    pub(super) fn new(
        flags: RunFlags,
        manager_args: &[Pair],
        given: &Given<'_>,
    ) -> Result<Self, ConfigError> {
        let partition_by =
            partition::choose(flags.scheduler, flags.partition_by, manager_args, &given.settings)?;
        let settings = Self {
            format: flags.format,
            input_compression: flags.input_compression,
            keep_order: flags.keep_order,
            output: flags.output.filter(|path| path.as_os_str() != "-"),
            failed: flags.failed,
            journal: flags.journal,
            output_format: flags.output_format,
            header: flags.header,
            expect_task: flags.build.expect_task,
            same_version: flags.same_version,
            retries: flags.retries,
            record_timeout: flags.record_timeout.filter(|limit| !limit.is_zero()),
            drain_timeout: flags.drain_timeout,
            max_record_bytes: flags.max_record_bytes,
            partition_by,
            progress: if flags.quiet { Progress::Never } else { flags.progress },
            summary_json: flags.summary_json,
            quiet: flags.quiet,
            inputs: flags.inputs,
            task_path: given.environment.task_path(),
        };
        settings.files().check()?;
        Ok(settings)
    }

    fn files(&self) -> FileNames<'_> {
        FileNames {
            output: self.output.as_deref(),
            failed: self.failed.as_deref(),
            journal: self.journal.as_deref(),
            summary_json: self.summary_json.as_deref(),
            inputs: &self.inputs,
        }
    }
}

impl LocalRunConfig {
    pub(super) fn new(args: RunArgs, given: &Given<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            run: RunSettings::new(args.run, &[], given)?,
            task: manager_args::task(args.task.task),
            task_args: manager_args::without_repeats(args.task.task_arg),
            workers: args.max_workers.unwrap_or(1),
            start_timeout: args.limits.start_timeout,
            limits: args.limits.into(),
            sink: sink::choose(args.sink)?,
        })
    }
}
