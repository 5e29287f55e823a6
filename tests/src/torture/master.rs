//! The master of a round: one process, or with a journal as many as it takes, each of which goes on where the
//! one before it was killed.

use nix::sys::signal::Signal;

use super::feeder::Feeder;
use super::plan::{Feeding, Plan};
use crate::call::Finished;
use crate::grid::Grid;
use crate::process::Process;

/// What follows a record's id in the side log, and what precedes it, has at least so many bytes: `@`, a tab,
/// a process number, and the end of the line.
const AROUND_ID: usize = 5;

/// A master.
#[derive(Debug)]
pub(super) struct Master<'g> {
    grid: &'g Grid,
    plan: &'g Plan,
    process: Option<Process>,
    feeder: Option<Feeder>,
    /// The stderr of the processes that have ended.
    said: String,
    was_drained: bool,
}

impl<'g> Master<'g> {
    /// Starts it.
    pub(super) fn start(grid: &'g Grid, plan: &'g Plan) -> Self {
        let parts = parts(plan);
        grid.write("input", parts.iter().map(|(_, part)| part.as_str()).collect::<String>());
        let mut master =
            Self { grid, plan, process: None, feeder: None, said: String::new(), was_drained: false };
        let mut process = master.call().start();
        if plan.feeding != Feeding::File {
            master.feeder = Some(Feeder::start(parts, process.take_input()));
        }
        master.process = Some(process);
        master
    }

    /// Its process.
    pub(super) fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Whether it was told to end before its input was over.
    pub(super) fn was_drained(&self) -> bool {
        self.was_drained
    }

    /// Tells it once to finish what it has read.
    pub(super) fn drain(&mut self) {
        if !self.was_drained
            && let Some(process) = &self.process
        {
            self.was_drained = true;
            process.signal(Signal::SIGTERM);
        }
    }

    /// Hands it the parts that are due when the side log has this size, and starts it again if it has a
    /// journal and was killed or told to end. Returns how it ended, with everything that it has ever written
    /// to stderr.
    pub(super) fn step(&mut self, noted_bytes: u64) -> Option<Finished> {
        if let Some(feeder) = &mut self.feeder {
            feeder.step(noted_bytes);
        }
        if self.process.as_mut().is_some_and(Process::is_running) {
            return None;
        }
        let mut ended = self.process.take()?.wait();
        self.said.push_str(&ended.stderr);
        if self.plan.journal && [-9, 143].contains(&ended.status) {
            self.process = Some(self.call().start());
            return None;
        }
        ended.stderr = std::mem::take(&mut self.said);
        Some(ended)
    }

    fn call(&self) -> crate::call::Call<'g> {
        let (grid, plan) = (self.grid, self.plan);
        let mut call = grid
            .master()
            .args("--wait-nodes 60s --reallocate-every 200ms --drain-timeout 10m")
            .args(&plan.flags())
            .args(&format!("--retries {}", plan.retries))
            .path("-o", grid.path("output"))
            .path("--failed", grid.path("failed"))
            .path("--summary-json", grid.path("summary"));
        if let Some(ms) = plan.record_timeout_ms {
            call = call.args(&format!("--record-timeout {ms}ms"));
        }
        if plan.journal {
            call = call.path("--journal", grid.path("journal"));
        }
        if plan.feeding == Feeding::File { call.arg(grid.path("input")) } else { call }
    }
}

/// The input, cut into parts, each with the size of the side log at which it is due.
fn parts(plan: &Plan) -> Vec<(u64, String)> {
    let count = if let Feeding::Parts(count) = plan.feeding { count } else { 1 };
    let per_part = plan.records.len().div_ceil(count).max(1);
    let lines = |first: usize| {
        let ids = first..plan.records.len().min(first + per_part);
        ids.fold(String::new(), |mut part, id| {
            part.push_str(&plan.text(id));
            part.push(plan.form.end());
            part
        })
    };
    (0..plan.records.len()).step_by(per_part).map(|first| (work_bytes(plan, first), lines(first))).collect()
}

/// The least size of the side log once each of the first records has run.
pub(super) fn work_bytes(plan: &Plan, records: usize) -> u64 {
    let ids = 0..records.min(plan.records.len());
    ids.map(|id| (id.max(1).ilog10() as usize + 1 + AROUND_ID) as u64).sum()
}
