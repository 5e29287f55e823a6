//! What the user says about the command.

use std::path::PathBuf;

use serde::Deserialize;
use simplegrid_network::Timeout;

use crate::statuses::Statuses;

/// `--task-arg name=value` for each of them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Args {
    /// The command and its arguments, in words as a shell would split them. `{}` in a word stands for the
    /// record; if there is none, the record is the command's standard input.
    pub command: String,
    /// Whether a shell reads the command. `{}` then becomes `"$1"`, so that a record is never taken for
    /// shell code.
    #[serde(default)]
    pub shell: bool,
    /// The directory that the command runs in; the slave's own if there is none.
    pub cwd: Option<PathBuf>,
    /// Variables to add to the slave's own, in words of the form `NAME=VALUE`.
    pub env: Option<String>,
    /// How long one record may take. After that its command is killed, and the record may be tried again.
    pub timeout: Option<Timeout>,
    /// Exit statuses after which the record may be tried again; 75 (`EX_TEMPFAIL`) if there is no such
    /// argument.
    pub retry_status: Option<Statuses>,
    /// Exit statuses after which it may not. They are only needed beside `retry-status=any`.
    pub reject_status: Option<Statuses>,
}
