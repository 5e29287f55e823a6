//! What all workers of a slave load: one file, which stays open, so that they are all of one build.

use std::path::{Path, PathBuf};
use std::thread;

use tokio::sync::oneshot;

use crate::build::Build;
use crate::plugin::{LibraryFile, LoadError};
use crate::wire::{WorkerLimits, WorkerStart};

/// What a worker loads and runs.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The library's file, which each worker gets.
    pub library: LibraryFile,
    /// What a worker is told.
    pub start: WorkerStart,
    /// The build that the first worker has loaded; `None` before that.
    pub build: Option<Build>,
}

impl Launch {
    /// Opens a library, to load it with one of its tasks; an empty name means the only one.
    ///
    /// # Errors
    /// As [`open_library`].
    pub(crate) async fn open(path: PathBuf, task: String) -> Result<Self, LoadError> {
        let library = open_library(path).await?;
        let start = WorkerStart {
            library: library.id().clone(),
            task,
            task_args: Vec::new(),
            manager_args: Vec::new(),
            limits: WorkerLimits::default(),
            marks_null: false,
        };
        Ok(Self { library, start, build: None })
    }

    /// What messages call the library.
    pub(crate) fn path(&self) -> &Path {
        self.library.path()
    }
}

/// Opens a library. It is read on a thread of its own, since a dead network disk can hold a reader for ever.
///
/// # Errors
/// If it is not a library that can be loaded.
pub(crate) async fn open_library(path: PathBuf) -> Result<LibraryFile, LoadError> {
    let (opened_in, opened) = oneshot::channel();
    let named = path.clone();
    let open = move || {
        // If no one waits any more, the process is about to end.
        let _ = opened_in.send(LibraryFile::open(&path));
    };
    thread::Builder::new()
        .name("library".to_owned())
        .spawn(open)
        .map_err(|cause| LoadError::Unreadable { path: named, cause })?;
    opened.await.expect("the thread sends what came of it")
}
