//! The settings of `simplegrid task`.

use std::path::PathBuf;
use std::time::Duration;

use super::environment::Environment;
use super::manager_args;
use crate::cli::{InputFormat, LoadingFlags, Pair, TaskArgs, TaskLanguage, TaskVerb};

/// Which libraries to look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskCommand {
    /// Show what one library says about itself.
    Inspect {
        /// The library, a path or a name.
        file: String,
        /// As JSON.
        json: bool,
        /// Where, and for how long.
        looking: Looking,
    },
    /// Try one task on a sample.
    Check(CheckTask),
    /// Make a folder with a new task.
    New(NewTask),
    /// Show all libraries that can be named without a path.
    List {
        /// As JSON.
        json: bool,
        /// Where, and for how long.
        looking: Looking,
    },
}

/// A task to try, and on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckTask {
    /// `FILE|NAME[:TASK]`.
    pub task: String,
    /// Arguments of the task.
    pub task_args: Vec<Pair>,
    /// The records; `None` for those that are built in.
    pub input: Option<PathBuf>,
    /// How they are cut.
    pub format: InputFormat,
    /// As JSON.
    pub json: bool,
    /// How long a record may take.
    pub record_timeout: Duration,
    /// Where, and for how long.
    pub looking: Looking,
}

/// The task to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewTask {
    /// Its name, and that of its folder.
    pub name: String,
    /// What it is written in.
    pub language: TaskLanguage,
    /// A version of the plugin API, or the path of its source.
    pub plugin_api: Option<String>,
}

/// How libraries are looked for and into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looking {
    /// Where libraries are looked for by name.
    pub task_path: Vec<PathBuf>,
    /// How long one may take to load.
    pub start_timeout: Duration,
}

impl Looking {
    fn new(flags: &LoadingFlags, environment: &Environment) -> Self {
        Self { task_path: environment.task_path(), start_timeout: flags.start_timeout }
    }
}

impl TaskCommand {
    pub(super) fn new(args: TaskArgs, environment: &Environment) -> Self {
        match args.verb {
            TaskVerb::Inspect { file, json, patience } => {
                Self::Inspect { file, json, looking: Looking::new(&patience, environment) }
            }
            TaskVerb::Check { task, input, task_arg, format, json, record_timeout, patience } => {
                let looking = Looking::new(&patience, environment);
                let task_args = manager_args::without_repeats(task_arg);
                Self::Check(CheckTask { task, task_args, input, format, json, record_timeout, looking })
            }
            TaskVerb::New { name, lang: language, plugin_api } => {
                Self::New(NewTask { name, language, plugin_api })
            }
            TaskVerb::List { json, patience } => {
                Self::List { json, looking: Looking::new(&patience, environment) }
            }
        }
    }
}
