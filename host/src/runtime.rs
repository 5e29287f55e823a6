//! The runtime of a command: one thread for all sockets. Whatever can block has a thread of its own, and is
//! not waited for at the end.

use tokio::runtime::Builder;

/// Does the work of a command. What still blocks a thread when it is done (a disk that does not answer, a
/// reader that has stopped) is left behind: where its end matters, the work itself has waited for it.
///
/// # Errors
/// Those of the work, and of the system.
pub(crate) fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}
