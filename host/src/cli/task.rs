//! The verbs of `simplegrid task`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::value;

const EXAMPLES: &str = "\
EXAMPLES:
  simplegrid task list
      Shows every library that can be named without its path.
  simplegrid task inspect ./libecho.so
      Shows the tasks of a library, their arguments and their columns.";

/// How long a library may take to load, unless `--start-timeout` says otherwise: as long as in a slave.
const START_TIMEOUT: &str = "60s";

/// What may follow `simplegrid task`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TaskArgs {
    /// Gives up a library that takes longer than this to load.
    #[arg(long, value_name = "DURATION", value_parser = value::interval, default_value = START_TIMEOUT, global = true)]
    pub start_timeout: Duration,

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
}
