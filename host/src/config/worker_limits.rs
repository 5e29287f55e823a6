//! From flags to the limits of a worker.

use crate::cli::WorkerLimitFlags;
use crate::wire::WorkerLimits;

impl From<WorkerLimitFlags> for WorkerLimits {
    fn from(flags: WorkerLimitFlags) -> Self {
        Self {
            memory_bytes: flags.worker_memory,
            open_files: flags.worker_open_files,
            core_dumps: flags.worker_core_dumps,
        }
    }
}
