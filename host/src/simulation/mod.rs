//! The program under simulation: master, nodes, links, sessions, pools, worker links and the registry's
//! handle run as they are, in one thread, by a clock that jumps to the next thing that is due, with a seeded
//! order of turns (`turns`). What they touch of the world is made up: `worker` and its `vitals` stand for
//! worker processes, `pipe` and `network` for connections, the registry's table is in memory, and the output
//! is a string.
//!
//! `plan` says what a simulation is about, `world` plays it, and `checker` judges what it leaves behind.
//! `docs/decisions/simulation.md` says what it can find, and what it cannot.

mod checker;
mod evidence;
mod executions;
mod fault;
mod fleet;
mod local;
mod network;
mod nursery;
mod order;
mod pipe;
mod plan;
mod quirk;
#[cfg(feature = "simulation")]
pub(crate) mod seeds;
#[cfg(test)]
mod tests;
mod trace;
mod vitals;
mod worker;
mod world;

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use checker::judge;
pub(crate) use evidence::Evidence;
pub(crate) use plan::Plan;
pub(crate) use world::play;

/// Plays a plan, and judges it.
///
/// # Errors
/// What is wrong, with all that has happened.
pub(crate) fn try_plan(plan: &Plan) -> Result<Evidence, String> {
    let played = catch_unwind(AssertUnwindSafe(|| play(plan)));
    let evidence = match played {
        Ok(evidence) => evidence,
        Err(panic) => {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            return Err(format!("seed {} panics: {}\n{plan:#?}", plan.seed, message.unwrap_or_default()));
        }
    };
    let complaints = judge(plan, &evidence);
    if complaints.is_empty() {
        return Ok(evidence);
    }
    Err(report(plan, &evidence, &complaints))
}

fn report(plan: &Plan, evidence: &Evidence, complaints: &[String]) -> String {
    let what = if complaints.is_empty() { "is fine" } else { "has failed" };
    let mut report = format!("seed {} {what}\n", plan.seed);
    // A text takes all that it is given.
    let _ = writeln!(report, "{plan:?}");
    for line in &evidence.trace {
        let _ = writeln!(report, "{line}");
    }
    for complaint in complaints {
        let _ = writeln!(report, "- {complaint}");
    }
    report
}
