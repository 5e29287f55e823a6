//! What the user says about the command.

use std::path::PathBuf;

use serde::Deserialize;
use simplegrid_network::Timeout;

use crate::mode::Mode;
use crate::statuses::Statuses;

/// `--task-arg name=value` for each of them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Args {
    /// The command and its arguments, in words as a shell would split them. `{}` in a word stands for the
    /// record; if there is none, the record is the command's standard input.
    pub command: String,
    /// Which records share a process: `per-record`, `per-batch` or `stream`.
    #[serde(default)]
    pub mode: Mode,
    /// With `mode=per-batch`: whether the command answers each record with exactly one line, which is its
    /// row. If not, its lines are rows of the batch. True if there is no such argument.
    pub one_to_one: Option<bool>,
    /// With `mode=per-batch` and `mode=stream`: how many records are given to the command together at most.
    pub batch_max: Option<usize>,
    /// With `mode=stream`: whether the command runs under `stdbuf -oL`, so that it writes each line at once.
    #[serde(default)]
    pub line_buffered: bool,
    /// Whether a shell reads the command. `{}` then becomes `"$1"`, so that a record is never taken for
    /// shell code.
    #[serde(default)]
    pub shell: bool,
    /// The directory that the command runs in; the slave's own if there is none.
    pub cwd: Option<PathBuf>,
    /// Variables to add to the slave's own, in words of the form `NAME=VALUE`.
    pub env: Option<String>,
    /// How long one record may take. After that its command is killed, and the record may be tried again. A
    /// minute with `mode=stream`, otherwise as long as it wants, if there is no such argument.
    pub timeout: Option<Timeout>,
    /// Exit statuses after which the record may be tried again; 75 (`EX_TEMPFAIL`) if there is no such
    /// argument.
    pub retry_status: Option<Statuses>,
    /// Exit statuses after which it may not. They are only needed beside `retry-status=any`.
    pub reject_status: Option<Statuses>,
}
