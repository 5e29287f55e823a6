//! The verbs of `simplegrid task`.

use clap::{Args, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
EXAMPLES:
  simplegrid task list
      Shows every library that can be named without its path.
  simplegrid task inspect ./libecho.so
      Shows the tasks of a library, their arguments and their columns.
  simplegrid task new resize-images --lang rust
      Makes the folder resize-images, with a task to start from.";

/// What may follow `simplegrid task`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TaskArgs {
    /// What to show.
    #[command(subcommand)]
    pub verb: TaskVerb,
}

/// The word after `simplegrid task`.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskVerb {
    /// Shows what a library says about itself
    Inspect {
        /// The library: a path, or a name as for `run --task`.
        #[arg(value_name = "FILE|NAME")]
        file: String,
        /// Prints the library's manifest as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lists the libraries in SIMPLEGRID_TASK_PATH and beside this program
    List,
    /// Makes a folder with a task in it, which builds and passes its tests as it is
    New {
        /// The task's name, and that of the new folder: `resize-images`.
        name: String,
        /// What the task is written in.
        #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
        lang: TaskLanguage,
        /// A version of simplegrid-plugin-api, or the path of its source. Only for Rust.
        #[arg(long, value_name = "PATH|VERSION")]
        plugin_api: Option<String>,
    },
}

/// What a new task is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TaskLanguage {
    /// A library in Rust.
    Rust,
    /// A library in C.
    C,
    /// Any program, here a shell script, for the task `exec`.
    Exec,
}
