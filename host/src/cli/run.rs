//! The flags of `simplegrid run`, and those that it shares with `simplegrid master`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::build_flags::BuildFlags;
use super::sink::SinkFlags;
use super::task_flags::TaskFlags;
use super::value::{self, InputCompression, InputFormat, OutputFormat, Progress, Scheduler};
use super::worker_limits::WorkerLimitFlags;

const EXAMPLES: &str = "\
EXAMPLES:
  simplegrid run -t echo < records.txt
      Runs the task `echo` over every line, on every core.
  simplegrid run -t ./libemail.so --format csv -k -o rows.csv --header people.csv
      Reads a CSV file, keeps the order of the records, and names the columns in the first line.
  simplegrid run -t echo -o rows.txt --failed failed.json --journal run.journal records.txt
      Can be killed and started again until it is finished: no record's rows are lost or duplicated.
  simplegrid run -t echo --format failed failed.json
      Runs the failed records again.
  tail -f access.log | simplegrid run -t word-count --partition-by field:0
      Lines with the same first field go to the same worker.";

/// What may follow `simplegrid run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// Which task runs.
    #[command(flatten)]
    pub task: TaskFlags,

    /// Runs this many worker processes; by default, one for each core.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub max_workers: Option<u16>,

    /// What each of its workers may use.
    #[command(flatten)]
    pub limits: WorkerLimitFlags,

    /// Where rows go.
    #[command(flatten)]
    pub sink: SinkFlags,

    /// What every run needs.
    #[command(flatten)]
    pub run: RunFlags,
}

/// The flags of everything that reads records and writes rows.
#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    /// Cuts the input into records this way.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub format: InputFormat,

    /// Unpacks inputs that are compressed with gzip, zstd, bzip2 or xz, which shows by their first bytes; or
    /// takes all bytes as they are.
    #[arg(long, value_name = "HOW", value_enum)]
    pub input_compression: InputCompression,

    /// Refuses records that are longer than this.
    #[arg(long, value_name = "BYTES", value_parser = value::record_bytes)]
    pub max_record_bytes: usize,

    /// Writes the rows in the order of the records they come from.
    #[arg(short, long)]
    pub keep_order: bool,

    /// Writes the rows to this file instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Writes rows in this format; raw lines of a task stay as they are, and a sink gets what it needs.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub output_format: OutputFormat,

    /// Names the columns in the first line of the output; not in jsonl, where each row names them.
    #[arg(long)]
    pub header: bool,

    /// Writes every record that failed to this file, with the reason.
    #[arg(long, value_name = "FILE")]
    pub failed: Option<PathBuf>,

    /// Keeps a journal in this file, so that after a crash the same command continues where this run
    /// stopped; needs --output.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,

    /// Which file the task must come from.
    #[command(flatten)]
    pub build: BuildFlags,

    /// Uses only slaves with one and the same build of the task, the first one's; without this, the same
    /// columns are enough. A journal that another build has begun is refused.
    #[arg(long)]
    pub same_version: bool,

    /// Tries a record again this many times before it counts as failed.
    #[arg(long, value_name = "N")]
    pub retries: u32,

    /// Kills a worker that takes longer than this over one record; 0 for no limit.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub record_timeout: Option<Duration>,

    /// Waits this long for what it has read when asked to stop; what is in flight after that is left
    /// unfinished.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub drain_timeout: Duration,

    /// Decides which worker gets which record.
    #[arg(long, value_name = "SCHEDULER", value_enum)]
    pub scheduler: Scheduler,

    /// Sends records with the same key to the same worker; the key is a field (the first is field:0), the
    /// whole record, or what a library's partitioner makes of it.
    #[arg(long, value_name = "field:N|whole-record|FILE[:NAME]")]
    pub partition_by: Option<String>,

    /// Shows the run's progress on stderr.
    #[arg(long, value_name = "WHEN", value_enum)]
    pub progress: Progress,

    /// Writes the run's summary to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub summary_json: Option<PathBuf>,

    /// Logs warnings and errors only.
    #[arg(short, long)]
    pub quiet: bool,

    /// Files to read records from, one after the other; none, or `-`, for stdin.
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
}
