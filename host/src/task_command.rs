//! `simplegrid task`: what a plugin contains, which plugins can be named without a path, and a new one to
//! start from.

mod template;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::config::{Looking, NewTask, TaskCommand};
use crate::exit_code::{ExitStatus, UsageError};
use crate::plugin::{self, Argument, Column, Manifest, OutputKind, TaskManifest};
use crate::wire::{WorkerLimits, WorkerStart};
use crate::worker::{self, LaunchError};
use crate::{runtime, stderr, stdout};

/// Shows one plugin, or lists all that can be named without a path.
///
/// # Errors
/// If a named plugin cannot be used.
pub(crate) fn run(command: &TaskCommand) -> anyhow::Result<ExitStatus> {
    match command {
        TaskCommand::Inspect { file, json, looking } => runtime::run(inspect(file, *json, looking)),
        TaskCommand::New(task) => new(task),
        TaskCommand::List { looking } => runtime::run(list(looking)),
    }
}

async fn inspect(file: &str, json: bool, looking: &Looking) -> anyhow::Result<ExitStatus> {
    let (library, _) = plugin::find(file, &looking.task_path).map_err(UsageError::mark)?;
    let manifest = load(&library, looking.start_timeout).await.map_err(UsageError::mark)?;
    if json {
        return stdout::print(&(serde_json::to_string_pretty(&manifest)? + "\n"));
    }
    stdout::print(&describe(&library, &manifest))
}

fn new(task: &NewTask) -> anyhow::Result<ExitStatus> {
    let next = template::write(task, Path::new(".")).map_err(UsageError::mark)?;
    stdout::print(&next)
}

/// Loads a plugin in a process of its own, so that a plugin that crashes or hangs while it loads does no
/// other harm.
async fn load(library: &Path, start_timeout: Duration) -> Result<Manifest, LaunchError> {
    let start = WorkerStart {
        library: library.to_owned(),
        task: String::new(),
        task_args: Vec::new(),
        manager_args: Vec::new(),
        limits: WorkerLimits::default(),
        marks_null: false,
    };
    worker::probe(&start, start_timeout).await
}

async fn list(looking: &Looking) -> anyhow::Result<ExitStatus> {
    let mut text = String::new();
    for (name, library) in plugin::all(&looking.task_path) {
        match load(&library, looking.start_timeout).await {
            Ok(manifest) => {
                let tasks: Vec<_> = manifest.tasks.iter().map(|task| task.name.as_str()).collect();
                let _ = writeln!(text, "{name}  {}  {}", tasks.join(", "), library.display());
            }
            Err(error) => stderr::say_last(format_args!("{name}: {error}")),
        }
    }
    if text.is_empty() {
        stderr::say_last(
            "no plugins were found; put libraries beside the program, or name their directory in SIMPLEGRID_TASK_PATH",
        );
    }
    stdout::print(&text)
}

fn describe(library: &Path, manifest: &Manifest) -> String {
    let mut text = format!(
        "{}\n{} {}, built against plugin API {}\n",
        library.display(),
        manifest.package,
        manifest.version,
        manifest.api
    );
    for task in &manifest.tasks {
        describe_task(task, &mut text);
    }
    for partitioner in &manifest.partitioners {
        let _ = writeln!(text, "\npartitioner {partitioner}");
    }
    text
}

fn describe_task(task: &TaskManifest, text: &mut String) {
    let _ = writeln!(text, "\ntask {}", task.name);
    for Argument { name, kind, optional } in &task.args {
        let need = if *optional { "optional" } else { "required" };
        let _ = writeln!(text, "  --task-arg {name}=   {} ({need})", kind.word());
    }
    if task.output == OutputKind::Lines {
        text.push_str("  writes lines as they are\n");
    } else {
        for Column { name, kind, nullable } in &task.columns {
            let null = if *nullable { ", may be empty" } else { "" };
            let _ = writeln!(text, "  column {name}   {}{null}", kind.word());
        }
    }
}
