//! The flags of `simplegrid slave`.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;

use super::build_flags::BuildFlags;
use super::registry::RegistryFlags;
use super::sink::SinkFlags;
use super::task_flags::TaskFlags;
use super::value;
use super::worker_limits::WorkerLimitFlags;

const EXAMPLES: &str = "\
EXAMPLES:
  simplegrid slave -t echo
      Five workers that run the task `echo`, for masters on this machine.
  simplegrid slave -t ./libemail.so:domain --task-arg lower=true -m 16
      Sixteen workers that run the task `domain` of a library, with an argument.
  simplegrid slave -t echo --sink csv:/srv/rows
      Puts the rows into files of its own, and sends none to masters.
  simplegrid slave -t echo -p 0 --registry sqlite:/srv/grid.db
      Listens on any free port, and uses a registry of its own.

The first INT, HUP or TERM lets the records in flight finish; the second stops at once.";

/// What may follow `simplegrid slave`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SlaveArgs {
    /// Which task runs.
    #[command(flatten)]
    pub task: TaskFlags,

    /// Which file the task must come from.
    #[command(flatten)]
    pub build: BuildFlags,

    /// Runs this many worker processes.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub max_workers: u16,

    /// Listens for masters on this port; 0 takes any free one.
    #[arg(short, long, value_name = "PORT")]
    pub port: u16,

    /// Listens on this address; 0.0.0.0 lets other machines in.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: IpAddr,

    /// Also accepts lines from programs that speak like Net::SimpleGrid's master, or from `nc`: lines are
    /// run as records, nothing is answered, and rows go to stdout.
    #[arg(long)]
    pub line_protocol: bool,

    /// Tells masters to connect to this host name or address, if it differs from this machine's own name.
    #[arg(long, value_name = "HOST")]
    pub advertise: Option<String>,

    /// Where the registry is.
    #[command(flatten)]
    pub registry: RegistryFlags,

    /// Where rows go.
    #[command(flatten)]
    pub sink: SinkFlags,

    /// Kills a worker that takes longer than this over one record, unless the master sets another limit; 0
    /// for no limit.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub record_timeout: Option<Duration>,

    /// What each of its workers may use.
    #[command(flatten)]
    pub limits: WorkerLimitFlags,

    /// Waits this long for records in flight when asked to stop.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub drain_timeout: Duration,

    /// Logs the rate of records this often.
    #[arg(short, long, value_name = "SECONDS", value_parser = value::interval)]
    pub sample_rate_secs: Duration,

    /// Logs warnings and errors only.
    #[arg(short, long)]
    pub quiet: bool,
}
