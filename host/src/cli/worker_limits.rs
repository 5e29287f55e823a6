//! The flags of everything that starts workers: how much of the machine a worker process may use, and how
//! long it may take to start.

use std::time::Duration;

use clap::Args;

use super::value;

/// How much a worker may use.
#[derive(Debug, Args)]
pub(crate) struct WorkerLimitFlags {
    /// Lets a worker use this much memory; a record that needs more fails as a crash. No limit by default.
    #[arg(long, value_name = "BYTES", value_parser = value::memory_bytes)]
    pub worker_memory: Option<u64>,

    /// Lets a worker have this many files open; by default, as many as this program may.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(16..))]
    pub worker_open_files: Option<u64>,

    /// Lets a worker that crashes leave a core dump.
    #[arg(long)]
    pub worker_core_dumps: bool,

    /// Kills a worker that takes longer than this to load the library, to prepare the task, or to create it.
    #[arg(long, value_name = "DURATION", value_parser = value::interval)]
    pub start_timeout: Duration,
}
