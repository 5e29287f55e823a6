//! How many processes a command is.

use serde::Deserialize;
use simplegrid_plugin_api::{Error, Result};

use crate::Args;

/// Records of one batch at most, unless the user says otherwise: enough that starting a process for them
/// hardly counts, and few enough that running them again one by one takes no longer than a second or so.
const BATCH_MAX: usize = 1000;

/// Which records share a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Each record has one of its own.
    #[default]
    PerRecord,
    /// Records that came together have one: they are its standard input.
    PerBatch,
    /// All records of a worker have one, which answers each line with one line.
    Stream,
}

impl Mode {
    /// Refuses what means nothing in this mode.
    ///
    /// # Errors
    /// It says so.
    pub(crate) fn check(args: &Args, place: &str) -> Result {
        let mode = args.mode;
        let reads_many = mode != Self::PerRecord;
        let refusals = [
            (
                args.one_to_one.is_some() && mode != Self::PerBatch,
                "`one-to-one` is for `mode=per-batch`".to_owned(),
            ),
            (
                args.batch_max.is_some() && !reads_many,
                "`batch-max` is for `mode=per-batch` and `mode=stream`".to_owned(),
            ),
            (args.batch_max == Some(0), "`batch-max` is at least 1".to_owned()),
            (
                args.line_buffered && mode != Self::Stream,
                "`line-buffered` is for `mode=stream`; in the other modes, what a command writes is complete \
                 when it has ended"
                    .to_owned(),
            ),
            (
                reads_many && args.command.contains(place),
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
    pub(crate) fn batch_max(args: &Args) -> usize {
        if args.mode == Self::PerRecord { 1 } else { args.batch_max.unwrap_or(BATCH_MAX) }
    }
}
