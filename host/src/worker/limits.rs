//! What a worker process may use of the machine. Set by the process itself, before it loads anything.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::wire::WorkerLimits;

/// Sets the limits. They also hold for the processes that the plugin starts.
///
/// # Errors
/// If the system refuses: more was asked for than this process may have.
pub(super) fn apply(limits: &WorkerLimits) -> std::io::Result<()> {
    if let Some(bytes) = limits.memory_bytes {
        // Heap and private mappings (Linux 4.7 and later). The scoreboard is shared and does not count,
        // however large its address space is; `RLIMIT_AS` would count it.
        lower(Resource::RLIMIT_DATA, bytes)?;
    }
    if let Some(files) = limits.open_files {
        lower(Resource::RLIMIT_NOFILE, files)?;
    }
    if !limits.core_dumps {
        lower(Resource::RLIMIT_CORE, 0)?;
    }
    Ok(())
}

/// Lowers both limits, so that the plugin cannot raise its own again; an even lower one stays.
fn lower(resource: Resource, to: u64) -> std::io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let to = to.min(hard);
    Ok(setrlimit(resource, to, to)?)
}
