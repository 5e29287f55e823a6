//! The settings of `simplegrid task`.

use std::path::PathBuf;

use super::environment::Environment;
use crate::cli::{TaskArgs, TaskLanguage, TaskVerb};

/// Which libraries to look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskCommand {
    /// Show what one library says about itself.
    Inspect {
        /// The library, a path or a name.
        file: String,
        /// As JSON.
        json: bool,
        /// Where libraries are looked for by name.
        task_path: Vec<PathBuf>,
    },
    /// Make a folder with a new task.
    New(NewTask),
    /// Show all libraries that can be named without a path.
    List {
        /// Where they are.
        task_path: Vec<PathBuf>,
    },
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

impl TaskCommand {
    pub(super) fn new(args: TaskArgs, environment: &Environment) -> Self {
        let task_path = environment.task_path();
        match args.verb {
            TaskVerb::Inspect { file, json } => Self::Inspect { file, json, task_path },
            TaskVerb::New { name, lang: language, plugin_api } => {
                Self::New(NewTask { name, language, plugin_api })
            }
            TaskVerb::List => Self::List { task_path },
        }
    }
}
