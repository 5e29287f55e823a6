//! The flags of `simplegrid slave`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::sink::SinkFlags;
use super::value::{self, Pair};
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
      On any free port, in a registry of its own.

The first INT, HUP or TERM lets the records in flight finish; the second stops at once.";

/// What may follow `simplegrid slave`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SlaveArgs {
    /// The library with the task to run: a path, or a name looked up in SIMPLEGRID_TASK_PATH and beside this
    /// program; `:TASK` picks one task of several.
    #[arg(short, long, alias = "task-class", value_name = "FILE|NAME[:TASK]")]
    pub task: String,

    /// Hands an argument to the task; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = value::pair)]
    pub task_arg: Vec<Pair>,

    /// Runs this many worker processes.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub max_workers: u16,

    /// Listens for masters on this port; 0 takes any free one.
    #[arg(short, long, value_name = "PORT")]
    pub port: u16,

    /// Listens on this address; 0.0.0.0 lets other machines in.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: IpAddr,

    /// Also takes lines from programs that speak as Net::SimpleGrid's master does, or from `nc`: they are
    /// run, nothing is answered, and rows go to stdout.
    #[arg(long)]
    pub line_protocol: bool,

    /// Tells masters to connect to this host name or address, where it differs from what this machine calls
    /// itself.
    #[arg(long, value_name = "HOST")]
    pub advertise: Option<String>,

    /// Offers the workers in this registry, a SQLite file or postgres://HOST/DATABASE or
    /// mysql://HOST/DATABASE; without it, in a file of this user on this machine.
    #[arg(long, value_name = "URL")]
    pub registry: Option<String>,

    /// Sets dsn, username, password or domain as Net::SimpleGrid did, or hands another argument to the task;
    /// may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = value::pair)]
    pub manager_arg: Vec<Pair>,

    /// Takes the host (and port) of the registry's server from here, whatever its address says; `@FILE`
    /// reads it from the first line of a file.
    #[arg(long, value_name = "HOST[:PORT]|@FILE")]
    pub registry_server: Option<String>,

    /// Reads the password for the registry's server from the first line of this file.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Where rows go.
    #[command(flatten)]
    pub sink: SinkFlags,

    /// Kills a worker that takes longer over one record, unless the master sets another limit; 0 for no
    /// limit.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub record_timeout: Option<Duration>,

    /// What its workers may take.
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
