//! Administrative commands (`-i NAME=VALUE`) that a slave is given by masters, administrators and clients
//! with lines.

use super::log_budget::LogBudget;

/// Characters of a name or a value that the log shows: the peer chose them, and their number.
const SHOWN_MAX: usize = 100;

/// Notes a command in the log, as often as its budget allows. There is nothing else to do: batches find their
/// slots in the master, so the commands that Net::SimpleGrid has for a slave's own scheduling have no effect.
pub(super) fn note(name: &str, value: &str, budget: &LogBudget) {
    if !budget.allows_one() {
        return;
    }
    let (name, value) = (&*format!("{name:.SHOWN_MAX$}"), &*format!("{value:.SHOWN_MAX$}"));
    match name {
        "done" => tracing::info!(value, "the master says whether this slave ends with its run"),
        "scheduler" => tracing::info!(scheduler = value, "the master names its scheduler"),
        _ => tracing::warn!(name, value, "unknown administrative command; ignored"),
    }
}
