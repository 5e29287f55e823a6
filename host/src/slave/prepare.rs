//! What happens once per node, before any worker starts: the library is found, loaded in a process of its
//! own, and its task prepared there.

use std::path::PathBuf;
use std::time::Duration;

use crate::build::{Build, Digest};
use crate::config::{Pair, SlaveConfig};
use crate::plugin::{self, LoadError, TaskManifest, TaskOutput};
use crate::sink::{Shape, SinkUrl};
use crate::wire::{Welcome, WorkerLimits};
use crate::worker::{Hatchery, Launch, LaunchError, WorkerLabel, WorkerProcess};

/// Why a task cannot be run here, in one line for the user who named it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// No such library.
    #[error(transparent)]
    Find(#[from] LoadError),
    /// It cannot be used.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// It is another file than the user expects.
    #[error("{} is not the file that --expect-task asks for: its SHA-256 is {found}, and {expected} was expected", path.display())]
    OtherFile {
        /// The library.
        path: PathBuf,
        /// Its digest.
        found: String,
        /// The one that was asked for.
        expected: String,
    },
}

/// A task that can be run.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// What workers load.
    pub launch: Launch,
    /// What masters are told.
    pub welcome: Welcome,
    /// What its rows look like.
    pub shape: Shape,
}

/// What the user said about a task.
#[derive(Debug)]
pub(crate) struct TaskChoice<'a> {
    /// `FILE|NAME[:TASK]`.
    pub task: &'a str,
    /// Its arguments.
    pub task_args: &'a [Pair],
    /// Arguments of the slave, some of which the task may use.
    pub manager_args: &'a [Pair],
    /// Where to look for libraries by name.
    pub task_path: &'a [PathBuf],
    /// What its workers may take.
    pub limits: WorkerLimits,
    /// How long each step of a worker's start may take.
    pub start_timeout: Duration,
    /// How many workers will run it.
    pub slots: u16,
    /// Whether NULL and the empty text must be distinguished.
    pub marks_null: bool,
    /// The file that the library must be, if the user has said so.
    pub expected: Option<Digest>,
}

/// Finds a task and prepares it.
///
/// # Errors
/// See [`PrepareError`].
pub(crate) async fn prepare(choice: TaskChoice<'_>) -> Result<Prepared, PrepareError> {
    let (library, task) = plugin::find(choice.task, choice.task_path)?;
    let mut launch = Launch::open(library, task.unwrap_or_default()).await?;
    check_file(&launch, choice.expected)?;
    launch.start.task_args = choice.task_args.to_vec();
    launch.start.manager_args = choice.manager_args.to_vec();
    launch.start.limits = choice.limits;
    launch.start.marks_null = choice.marks_null;
    let label = WorkerLabel { node: String::new(), slot: None, task: launch.start.task.clone() };
    let hatchery = Hatchery::of_processes();
    let spawned = WorkerProcess::spawn(&hatchery, &label, &launch.library, choice.start_timeout);
    let mut process = spawned.map_err(LaunchError::from)?;
    let (manifest, build) = process.load(&launch).await?;
    process.prepare(launch.path()).await?;
    process.stop().await;
    launch.build = Some(build);
    // The worker that was prepared has found the task. An empty name means "the only one".
    if let Some(task) = manifest.task(&launch.start.task) {
        launch.start.task.clone_from(&task.name);
        let welcome = welcome(task, &manifest.version, build, choice.slots);
        return Ok(Prepared { launch, welcome, shape: Shape::of(task) });
    }
    Err(LaunchError::Protocol("it loaded a library without the task".to_owned()).into())
}

/// Finds a slave's task and prepares it.
///
/// # Errors
/// See [`PrepareError`].
pub(super) async fn prepare_task(config: &SlaveConfig) -> Result<Prepared, PrepareError> {
    prepare(TaskChoice {
        task: &config.task,
        task_args: &config.task_args,
        manager_args: &config.manager_args,
        task_path: &config.task_path,
        limits: config.limits,
        start_timeout: config.start_timeout,
        slots: config.max_workers,
        marks_null: config.sink.as_ref().is_some_and(SinkUrl::is_table),
        expected: config.expect_task,
    })
    .await
}

/// Starts a worker as the pool would, and ends it again.
///
/// # Errors
/// Why it does not start.
pub(super) async fn try_out(launch: &Launch, start_timeout: Duration) -> Result<(), LaunchError> {
    let label = WorkerLabel { node: String::new(), slot: None, task: launch.start.task.clone() };
    let (hatchery, never) = (Hatchery::of_processes(), std::future::pending());
    let process = WorkerProcess::start(&hatchery, &label, launch, start_timeout, never).await?;
    process.stop().await;
    Ok(())
}

fn check_file(launch: &Launch, expected: Option<Digest>) -> Result<(), PrepareError> {
    let found = launch.start.library.sha256;
    match expected.filter(|expected| *expected != found) {
        Some(expected) => {
            let (found, expected) = (found.to_string(), expected.to_string());
            Err(PrepareError::OtherFile { path: launch.path().to_owned(), found, expected })
        }
        None => Ok(()),
    }
}

fn welcome(task: &TaskManifest, version: &str, build: Build, slots: u16) -> Welcome {
    Welcome {
        task: task.name.clone(),
        task_version: version.to_owned(),
        output: TaskOutput::of(task),
        build,
        slots,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        sink: None,
    }
}
