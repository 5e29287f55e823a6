//! `mode=per-record`: a process for each record.

use simplegrid_plugin_api::{Line, Output, Result};

use crate::command::Command;
use crate::rows::Rows;
use crate::runner::Runner;

/// Runs the command for one record.
///
/// # Errors
/// If the record fails.
pub(crate) fn run(
    command: &Command,
    runner: &mut Runner,
    record: &[u8],
    output: &mut Output<'_, Line>,
) -> Result {
    let call = command.call(record)?;
    let input = call.is_read.then(|| [record, b"\n"].concat());
    let mut rows = Rows::to(output);
    let patience = runner.patience();
    let ending = runner.run(command, &call, input.as_deref(), patience, &mut rows)?;
    rows.finish()?;
    command.judge(ending, runner.last_words())
}
