//! What a run has, over the grid or on this machine alone.

use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::given::Given;
use super::output_files::RunFiles;
use super::{manager_args, partition, sink};
use crate::cli::{InputFormat, Pair, Progress, RunArgs, RunFlags};
use crate::record::{FailedLines, Format};
use crate::sink::SinkUrl;
use crate::wire::WorkerLimits;

/// What every run has: how records are read, scheduled and tried, and where rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunSettings {
    /// How the input is cut into records.
    pub format: InputFormat,
    /// Rows in the order of their records.
    pub keep_order: bool,
    /// Where the rows go; `None` is stdout.
    pub output: Option<PathBuf>,
    /// Where the failed records go; `None` is nowhere.
    pub failed: Option<PathBuf>,
    /// Where the journal is, with which an interrupted run goes on; `None` is nowhere. There only with an
    /// output.
    pub journal: Option<PathBuf>,
    /// A first line of output that names the columns.
    pub header: bool,
    /// How often a record is tried again.
    pub retries: u32,
    /// How long a record may take; `None` is for ever.
    pub record_timeout: Option<Duration>,
    /// Bytes of the longest record.
    pub max_record_bytes: usize,
    /// The partition key, `field:N`, `whole-record` or `FILE[:NAME]`; `None` sends any record to any worker.
    pub partition_by: Option<String>,
    /// Whether progress is drawn; never if the user wants it quiet.
    pub progress: Progress,
    /// Where the summary goes as JSON; `None` is nowhere.
    pub summary_json: Option<PathBuf>,
    /// Warnings and errors only.
    pub quiet: bool,
    /// What to read, one file after the other; empty is stdin, and so is `-`.
    pub inputs: Vec<PathBuf>,
    /// Where libraries are looked for by name.
    pub task_path: Vec<PathBuf>,
}

/// What a run on this machine alone has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalRunConfig {
    /// What every run has.
    pub run: RunSettings,
    /// The library with the task, a path or a name, and the task in it: `FILE|NAME[:TASK]`.
    pub task: String,
    /// Arguments of the task, each name once.
    pub task_args: Vec<Pair>,
    /// Worker processes, from 1 to 4096.
    pub workers: u16,
    /// What a worker may take of the machine.
    pub limits: WorkerLimits,
    /// Where rows go, if not to the output.
    pub sink: Option<SinkUrl>,
}

/// The format of records on their way through a run.
impl From<InputFormat> for Format {
    fn from(format: InputFormat) -> Self {
        match format {
            InputFormat::Lines => Self::Lines,
            InputFormat::Csv => Self::Csv,
            InputFormat::Nul => Self::Nul,
            // The reader takes the records out of the lines.
            InputFormat::Failed => FailedLines::FORMAT,
        }
    }
}

impl RunSettings {
    /// `manager_args` may name a scheduler, as Net::SimpleGrid's did; `run` has none.
    pub(super) fn new(
        flags: RunFlags,
        manager_args: &[Pair],
        given: &Given<'_>,
    ) -> Result<Self, ConfigError> {
        let partition_by =
            partition::choose(flags.scheduler, flags.partition_by, manager_args, &given.settings)?;
        let settings = Self {
            format: flags.format,
            keep_order: flags.keep_order,
            output: flags.output.filter(|path| path.as_os_str() != "-"),
            failed: flags.failed,
            journal: flags.journal,
            header: flags.header,
            retries: flags.retries,
            record_timeout: flags.record_timeout.filter(|limit| !limit.is_zero()),
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

    fn files(&self) -> RunFiles<'_> {
        RunFiles {
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
            limits: args.limits.into(),
            sink: sink::choose(args.sink)?,
        })
    }
}
