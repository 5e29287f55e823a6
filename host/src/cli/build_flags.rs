//! The flag that says which file is expected, for everything that has to do with a task.

use clap::Args;

use super::value;
use crate::build::Digest;

/// Which file is expected.
#[derive(Debug, Args)]
pub(crate) struct BuildFlags {
    /// Uses the task only from a library file with this SHA-256, as `simplegrid task inspect` shows it;
    /// slaves with another file take no part.
    #[arg(long, value_name = "SHA256", value_parser = value::digest)]
    pub expect_task: Option<Digest>,
}
