//! The verbs of `simplegrid task`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::value::{self, InputFormat, Pair};

const EXAMPLES: &str = "\
EXAMPLES:
  simplegrid task list
      Shows every library that can be named without its path.
  simplegrid task inspect ./libecho.so
      Shows the tasks of a library, their arguments and their columns.
  simplegrid task check ./libecho.so records.txt
      Tries the task on some records: panics, wrong rows, what it leaves behind, its speed.
  simplegrid task new resize-images --lang rust
      Makes the folder resize-images, with a task to start from.";

/// How long a library may take to load, unless `--start-timeout` says otherwise: as long as in a slave.
const START_TIMEOUT: &str = "60s";

/// How long a record may take that is only tried, unless `--record-timeout` says otherwise.
const RECORD_TIMEOUT: &str = "10s";

/// What may follow `simplegrid task`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TaskArgs {
    /// What to show or make.
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
        /// How long it may take.
        #[command(flatten)]
        patience: LoadingFlags,
    },
    /// Lists the libraries in SIMPLEGRID_TASK_PATH and beside this program
    List {
        /// Prints a JSON array: for each library its name and its file, and what `inspect --json` shows, or
        /// the error.
        #[arg(long)]
        json: bool,
        /// How long each may take.
        #[command(flatten)]
        patience: LoadingFlags,
    },
    /// Tries a task on a sample, and says what is wrong with it
    Check {
        /// The library: a path, or a name as for `run --task`; `:TASK` picks one task of several.
        #[arg(value_name = "FILE|NAME[:TASK]")]
        task: String,
        /// Records to try, `-` for stdin; a few are built in. The task runs each of them many times.
        input: Option<PathBuf>,
        /// Passes an argument to the task; may be repeated.
        #[arg(long, value_name = "NAME=VALUE", value_parser = value::pair)]
        task_arg: Vec<Pair>,
        /// Cuts the input into records this way.
        #[arg(long, value_name = "FORMAT", value_enum, default_value = "lines")]
        format: InputFormat,
        /// Prints what was found as JSON.
        #[arg(long)]
        json: bool,
        /// Gives up a record that takes longer than this.
        #[arg(long, value_name = "DURATION", value_parser = value::interval, default_value = RECORD_TIMEOUT)]
        record_timeout: Duration,
        /// How long the library may take.
        #[command(flatten)]
        patience: LoadingFlags,
    },
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

/// How libraries are loaded.
#[derive(Debug, Args)]
pub(crate) struct LoadingFlags {
    /// Gives up a library that takes longer than this to load.
    #[arg(long, value_name = "DURATION", value_parser = value::interval, default_value = START_TIMEOUT)]
    pub start_timeout: Duration,
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
