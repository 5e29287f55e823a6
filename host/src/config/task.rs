//! The settings of `simplegrid task`.

use std::path::PathBuf;
use std::time::Duration;

use super::environment::Environment;
use crate::cli::{TaskArgs, TaskVerb};

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
    /// Show all libraries that can be named without a path.
    List {
        /// Where, and for how long.
        looking: Looking,
    },
}

/// How libraries are looked for and into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looking {
    /// Where libraries are looked for by name.
    pub task_path: Vec<PathBuf>,
    /// How long one may take to load.
    pub start_timeout: Duration,
}

impl TaskCommand {
    pub(super) fn new(args: TaskArgs, environment: &Environment) -> Self {
        let looking = Looking { task_path: environment.task_path(), start_timeout: args.start_timeout };
        match args.verb {
            TaskVerb::Inspect { file, json } => Self::Inspect { file, json, looking },
            TaskVerb::List => Self::List { looking },
        }
    }
}
