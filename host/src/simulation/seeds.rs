//! Seeds that are played by hand.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use super::plan::Plan;
use super::{report, try_plan};

/// What was played.
#[derive(Debug, Clone, Copy, Default)]
pub struct Played {
    records: usize,
    failed: usize,
    executions: usize,
    workers: usize,
    turns: u64,
    took: Duration,
}

impl AddAssign for Played {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.failed += other.failed;
        self.executions += other.executions;
        self.workers += other.workers;
        self.turns += other.turns;
        self.took += other.took;
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, failed, executions, workers, turns, took } = self;
        let took = took.as_secs();
        write!(
            f,
            "{records} records, {failed} of them failed, {executions} executions, {workers} workers, "
        )?;
        write!(f, "{turns} turns, {took} s of their time")
    }
}

/// Plays the plan of a seed.
///
/// # Errors
/// What is wrong, with all that has happened.
pub fn play(seed: u64) -> Result<Played, String> {
    let evidence = try_plan(&Plan::of_seed(seed))?;
    Ok(Played {
        records: evidence.count("read"),
        failed: evidence.count("failed"),
        executions: evidence.executions.len(),
        workers: evidence.births,
        turns: evidence.fingerprint.1,
        took: evidence.took,
    })
}

/// Plays the plan of a seed, and tells all that has happened.
///
/// # Errors
/// As [`play`].
pub fn play_and_tell(seed: u64) -> Result<String, String> {
    let plan = Plan::of_seed(seed);
    try_plan(&plan).map(|evidence| report(&plan, &evidence, &[]))
}
