//! The flags that say which task runs, for everything that runs one.

use clap::Args;

use super::value::{self, Pair};

/// Which task runs.
#[derive(Debug, Args)]
pub(crate) struct TaskFlags {
    /// The library with the task to run: a path, or a name looked up in SIMPLEGRID_TASK_PATH and beside this
    /// program; `:TASK` picks one task of several.
    #[arg(short, long, alias = "task-class", value_name = "FILE|NAME[:TASK]")]
    pub task: String,

    /// Passes an argument to the task; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = value::pair)]
    pub task_arg: Vec<Pair>,
}
