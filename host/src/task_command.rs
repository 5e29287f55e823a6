//! `simplegrid task`: what a plugin contains, which plugins can be named without a path, and a new one to
//! start from.

mod template;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;

use crate::config::{CheckTask, Looking, NewTask, TaskCommand};
use crate::exit_code::{ExitStatus, UsageError};
use crate::plugin::{self, Argument, Column, Manifest, OutputKind, TaskManifest};
use crate::worker::{self, Launch};
use crate::{owned_task, runtime, stderr, stdout};

/// Libraries that a list loads at once: their processes are started by one user's machine, for one answer.
const LOADS_AT_ONCE_MAX: usize = 8;

/// What is known of a plugin once it has been loaded. The JSON is the manifest, and which build it is.
#[derive(Serialize)]
struct Inspected {
    #[serde(skip)]
    library: PathBuf,
    #[serde(flatten)]
    manifest: Manifest,
    manifest_sha256: String,
    file_sha256: String,
}

/// Shows one plugin, lists all that can be named without a path, or makes a new one. `check` tries one, for
/// which it needs a whole run.
///
/// # Errors
/// If a named plugin cannot be used.
pub(crate) fn run(
    command: &TaskCommand,
    check: impl FnOnce(&CheckTask) -> anyhow::Result<ExitStatus>,
) -> anyhow::Result<ExitStatus> {
    match command {
        TaskCommand::Inspect { file, json, looking } => runtime::run(inspect(file, *json, looking)),
        TaskCommand::New(task) => new(task),
        TaskCommand::Check(config) => check(config),
        TaskCommand::List { json, looking } => runtime::run(list(*json, looking)),
    }
}

async fn inspect(file: &str, json: bool, looking: &Looking) -> anyhow::Result<ExitStatus> {
    let (library, _) = plugin::find(file, &looking.task_path).map_err(UsageError::mark)?;
    let found = load(library, looking.start_timeout).await.map_err(UsageError::mark)?;
    if json {
        return stdout::print(&(serde_json::to_string_pretty(&found)? + "\n"));
    }
    stdout::print(&describe(&found))
}

fn new(task: &NewTask) -> anyhow::Result<ExitStatus> {
    let next = template::write(task, Path::new(".")).map_err(UsageError::mark)?;
    stdout::print(&next)
}

/// Loads a plugin in a process of its own, so that a plugin that crashes or hangs while it loads does no
/// other harm.
async fn load(library: PathBuf, start_timeout: Duration) -> anyhow::Result<Inspected> {
    let launch = Launch::open(library.clone(), String::new()).await?;
    let (manifest, build) = worker::probe(&launch, start_timeout).await?;
    let (manifest_sha256, file_sha256) = (build.manifest.to_string(), build.file.to_string());
    Ok(Inspected { library, manifest, manifest_sha256, file_sha256 })
}

/// One library of a list, for programs.
#[derive(Serialize)]
struct Listed {
    name: String,
    library: PathBuf,
    #[serde(flatten)]
    found: LookedInto,
}

/// What came of looking into it.
#[derive(Serialize)]
#[serde(untagged)]
enum LookedInto {
    Plugin(Inspected),
    Unusable { error: String },
}

/// Loads every library that has a name, several at once, so that those that hang wait together.
async fn list(json: bool, looking: &Looking) -> anyhow::Result<ExitStatus> {
    let mut left = plugin::all(&looking.task_path).into_iter();
    let (mut loading, mut listed) = (JoinSet::new(), Vec::new());
    loop {
        while loading.len() < LOADS_AT_ONCE_MAX
            && let Some((name, library)) = left.next()
        {
            owned_task::spawn_in(&mut loading, look_into(name, library, looking.start_timeout));
        }
        let Some(ended) = loading.join_next().await else { break };
        listed.extend(owned_task::outcome(ended));
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    if json {
        return stdout::print(&(serde_json::to_string_pretty(&listed)? + "\n"));
    }
    stdout::print(&as_text(&listed))
}

async fn look_into(name: String, library: PathBuf, start_timeout: Duration) -> Listed {
    let found = match load(library.clone(), start_timeout).await {
        Ok(inspected) => LookedInto::Plugin(inspected),
        Err(error) => LookedInto::Unusable { error: error.to_string() },
    };
    Listed { name, library, found }
}

/// The plugins as lines. What is none is said on standard error.
fn as_text(listed: &[Listed]) -> String {
    let mut text = String::new();
    for Listed { name, library, found } in listed {
        match found {
            LookedInto::Plugin(Inspected { manifest, .. }) => {
                let tasks: Vec<_> = manifest.tasks.iter().map(|task| task.name.as_str()).collect();
                let _ = writeln!(text, "{name}  {}  {}", tasks.join(", "), library.display());
            }
            LookedInto::Unusable { error } => stderr::say_last(format_args!("{name}: {error}")),
        }
    }
    if text.is_empty() {
        stderr::say_last(
            "no plugins were found; put libraries beside the program, or name their directory in SIMPLEGRID_TASK_PATH",
        );
    }
    text
}

fn describe(found: &Inspected) -> String {
    let Inspected { library, manifest, manifest_sha256, file_sha256 } = found;
    let mut text = format!(
        "{}\n{} {}, built against plugin API {}\nfile SHA-256      {file_sha256}\nmanifest SHA-256  {manifest_sha256}\n",
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
