//! What happens once per node, before any worker starts: the library is found, loaded in a process of its
//! own, and its task prepared there.

use std::path::PathBuf;

use crate::config::Pair;
use crate::plugin::{self, LoadError, OutputKind, TaskManifest};
use crate::sink::Shape;
use crate::wire::{Welcome, WorkerLimits};
use crate::worker::{Launch, LaunchError, WorkerLabel, WorkerProcess};

/// Why a task cannot be run here, in one line for the user who named it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// No such library.
    #[error(transparent)]
    Find(#[from] LoadError),
    /// It cannot be used.
    #[error(transparent)]
    Launch(#[from] LaunchError),
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
    /// How many workers will run it.
    pub slots: u16,
    /// Whether NULL and the empty text must be distinguished.
    pub marks_null: bool,
}

/// Finds a task and prepares it.
///
/// # Errors
/// See [`PrepareError`].
pub(crate) async fn prepare(choice: TaskChoice<'_>) -> Result<Prepared, PrepareError> {
    let (library, task) = plugin::find(choice.task, choice.task_path)?;
    let mut launch = Launch::open(library, task.unwrap_or_default()).await?;
    launch.start.task_args = choice.task_args.to_vec();
    launch.start.manager_args = choice.manager_args.to_vec();
    launch.start.limits = choice.limits;
    launch.start.marks_null = choice.marks_null;
    let label = WorkerLabel { node: String::new(), slot: None, task: launch.start.task.clone() };
    let mut process = WorkerProcess::spawn(&label, &launch.library).map_err(LaunchError::from)?;
    let (manifest, build) = process.load(&launch).await?;
    process.prepare(launch.path()).await?;
    process.stop().await;
    launch.build = Some(build);
    // The worker has found the task already. An empty name means "the only one".
    if let Some(task) = manifest.task(&launch.start.task) {
        launch.start.task.clone_from(&task.name);
        let welcome = welcome(task, &manifest.version, choice.slots);
        return Ok(Prepared { launch, welcome, shape: Shape::of(task) });
    }
    Err(LaunchError::Protocol("it loaded a library without the task".to_owned()).into())
}

fn welcome(task: &TaskManifest, version: &str, slots: u16) -> Welcome {
    let columns = match task.output {
        OutputKind::Lines => Vec::new(),
        OutputKind::Rows => task.columns.iter().map(|column| column.name.clone()).collect(),
    };
    Welcome {
        task: task.name.clone(),
        task_version: version.to_owned(),
        columns,
        slots,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        sink: None,
    }
}
