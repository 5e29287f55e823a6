//! Completes the parts that killed slaves have left in a directory, as far as their ledgers say that they
//! count.

use std::io;
use std::path::Path;

use super::ledger_state::PartState;
use super::part_file::{self, Orphan};
use super::run_ledger;

/// Completes the parts whose writers were killed.
///
/// # Errors
/// Those of the system.
pub(super) fn complete_orphans(directory: &Path) -> io::Result<()> {
    part_file::orphans(directory)?.into_iter().try_for_each(|orphan| complete(directory, orphan))
}

fn complete(directory: &Path, orphan: Orphan) -> io::Result<()> {
    let place = directory.join(orphan.name());
    let place = place.display();
    let ledgers = run_ledger::of_runs(directory, run_digits(orphan.name()))?;
    if ledgers.is_empty() {
        let path = orphan.complete(None)?;
        tracing::warn!(
            "completed {} as it is: its ledger is gone, so its last rows may be cut off, or be in another file, too",
            path.display()
        );
        return Ok(());
    }
    let state = ledgers.iter().find_map(|ledger| ledger.state.part_called(orphan.name()));
    match state.filter(|state| state.bytes > 0) {
        // Its writer was killed before it had reported anything.
        None => orphan.remove(),
        Some(PartState { bytes, hash, .. }) if orphan.begins_with(*bytes, *hash)? => {
            let path = orphan.complete(Some(*bytes))?;
            tracing::info!("completed {}, left by a slave that was killed", path.display());
            Ok(())
        }
        Some(_) => {
            let path = orphan.complete(None)?;
            tracing::warn!(
                "completed {} as it is: {place} is not what its slave has written, because someone has changed it, \
                 or the machine has lost power; rows may be missing",
                path.display()
            );
            Ok(())
        }
    }
}

/// The beginning of the run's name, which is in the name of the file.
fn run_digits(name: &str) -> &str {
    name.split('-').nth(1).unwrap_or_default()
}
