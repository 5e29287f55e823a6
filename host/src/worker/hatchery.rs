//! Where workers come from: how they come to be, and what they are made of, is known here alone.

use std::sync::Arc;
use std::{fmt, io};

use super::body::Hatched;
use super::child_process;
use super::label::WorkerLabel;
use crate::plugin::LibraryFile;

/// Makes a worker that has the library's file.
type Hatch = dyn Fn(&WorkerLabel, &LibraryFile) -> io::Result<Hatched> + Send + Sync;

/// Makes workers.
#[derive(Clone)]
pub(crate) struct Hatchery(Arc<Hatch>);

impl Hatchery {
    /// Every worker is a process of its own, and a child of this one.
    pub(crate) fn of_processes() -> Self {
        Self(Arc::new(child_process::hatch))
    }

    /// Another kind of workers.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn new(
        hatch: impl Fn(&WorkerLabel, &LibraryFile) -> io::Result<Hatched> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(hatch))
    }

    /// Makes one that has the library's file. `label` is what `ps` shows, and what the log says beside each
    /// line that it prints.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn hatch(&self, label: &WorkerLabel, library: &LibraryFile) -> io::Result<Hatched> {
        (self.0)(label, library)
    }
}

impl fmt::Debug for Hatchery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hatchery")
    }
}
