//! The verbs of `simplegrid task`.

use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
EXAMPLES:
  simplegrid task list
      Shows every library that can be named without its path.
  simplegrid task inspect ./libecho.so
      Shows the tasks of a library, their arguments and their columns.";

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
}
