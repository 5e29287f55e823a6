//! Flags of whatever starts workers: what a worker process may take of the machine.

use clap::Args;

use super::value;

/// What a worker may take.
#[derive(Debug, Args)]
pub(crate) struct WorkerLimitFlags {
    /// Lets a worker have this much memory; a record that needs more fails as a crash. No limit unless set.
    #[arg(long, value_name = "BYTES", value_parser = value::memory_bytes)]
    pub worker_memory: Option<u64>,

    /// Lets a worker have this many files open; without it, as many as this program may.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(16..))]
    pub worker_open_files: Option<u64>,

    /// Lets a worker that crashes leave a core dump.
    #[arg(long)]
    pub worker_core_dumps: bool,
}
