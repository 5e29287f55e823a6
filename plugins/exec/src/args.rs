//! What the user says about the command.

use std::path::PathBuf;

use serde::Deserialize;
use simplegrid_network::Timeout;
use simplegrid_plugin_api::{Error, Result};

use crate::mode::Mode;
use crate::statuses::Statuses;

/// Records of one batch at most, unless the user says otherwise: enough that starting a process for them
/// hardly counts, and few enough that running them again one by one takes no longer than a second or so.
const BATCH_MAX: usize = 1000;

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

impl Args {
    /// Refuses what means nothing in the mode. `place` stands for the record in a command.
    ///
    /// # Errors
    /// It says so.
    pub(crate) fn check(&self, place: &str) -> Result {
        let mode = self.mode;
        let reads_many = mode != Mode::PerRecord;
        let refusals = [
            (
                self.one_to_one.is_some() && mode != Mode::PerBatch,
                "`one-to-one` is for `mode=per-batch`".to_owned(),
            ),
            (
                self.batch_max.is_some() && !reads_many,
                "`batch-max` is for `mode=per-batch` and `mode=stream`".to_owned(),
            ),
            (self.batch_max == Some(0), "`batch-max` is at least 1".to_owned()),
            (
                self.line_buffered && mode != Mode::Stream,
                "`line-buffered` is for `mode=stream`; in the other modes, what a command writes is complete \
                 when it has ended"
                    .to_owned(),
            ),
            (
                reads_many && self.command.contains(place),
                format!(
                    "`{place}` stands for one record, but in this mode the command reads many: leave it out, or use \
                     `mode=per-record` (and if it means something to the command, write `{{ }}`)"
                ),
            ),
        ];
        match refusals.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, why)) => Err(Error::fatal(why)),
            None => Ok(()),
        }
    }

    /// How many records the task takes in one call.
    pub(crate) fn batch_max(&self) -> usize {
        if self.mode == Mode::PerRecord { 1 } else { self.batch_max.unwrap_or(BATCH_MAX) }
    }
}
