//! What does the work of a round, a master or a run without slaves: one process, or with a journal as many as
//! it takes, each of which goes on where the one before it was killed.

use nix::sys::signal::Signal;

use super::feeder::Feeder;
use super::fleet::{NEW_HANGS, START_TIMEOUT};
use super::nemesis::plugin;
use super::plan::{Feeding, Plan, Subject};
use super::reader::Reader;
use crate::call::{Call, Finished};
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
    reader: Option<Reader>,
    /// Processes that were stopped for ever.
    frozen: Vec<Process>,
    /// The stderr of the processes that have ended.
    said: String,
    was_drained: bool,
    is_given_up: bool,
}

impl<'g> Master<'g> {
    /// Starts it.
    pub(super) fn start(grid: &'g Grid, plan: &'g Plan) -> Self {
        let parts = parts(plan);
        grid.write("input", parts.iter().map(|(_, part)| part.as_str()).collect::<String>());
        let mut master = Self {
            grid,
            plan,
            process: None,
            feeder: None,
            reader: plan.to_fifo.then(|| Reader::start(grid)),
            frozen: Vec::new(),
            said: String::new(),
            was_drained: false,
            is_given_up: false,
        };
        let mut process = master.call().start();
        if plan.feeding != Feeding::File {
            master.feeder = Some(Feeder::start(parts, process.take_input()));
        }
        master.process = Some(process);
        master
    }

    /// Its process.
    pub(super) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Who reads its output, if that goes through a FIFO.
    pub(super) fn reader(&mut self) -> Option<&mut Reader> {
        self.reader.as_mut()
    }

    /// Everything that it has said, with the processes before it.
    pub(super) fn said(&self) -> String {
        let says = self.process.as_ref().map(Process::stderr).unwrap_or_default();
        format!("{}{says}", self.said)
    }

    /// Heals what was done to its readers.
    pub(super) fn heal(&mut self) {
        self.go_on_reading_stderr();
        if let Some(reader) = &mut self.reader {
            reader.go_on();
        }
    }

    /// Reads what it says, if that had stopped.
    pub(super) fn go_on_reading_stderr(&self) {
        if let Some(process) = &self.process {
            process.go_on_reading_stderr();
        }
    }

    /// Kills it; with a journal, too, it is not started again.
    pub(super) fn kill(&mut self) {
        self.is_given_up = true;
        if let Some(process) = &self.process {
            process.signal(Signal::SIGKILL);
        }
    }

    /// Stops it for ever, and has another one do the same work from the beginning.
    pub(super) fn freeze(&mut self) -> bool {
        let Some(process) = self.process.take() else { return false };
        process.signal(Signal::SIGSTOP);
        self.said.push_str(&process.stderr());
        self.frozen.push(process);
        self.process = Some(self.call().start());
        true
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
        if let Some(reader) = &mut self.reader {
            reader.step();
        }
        if self.process.as_mut().is_some_and(Process::is_running) {
            return None;
        }
        let mut ended = self.process.take()?.wait();
        self.said.push_str(&ended.stderr);
        if self.plan.journal && !self.is_given_up && [-9, 143].contains(&ended.status) {
            self.process = Some(self.call().start());
            return None;
        }
        ended.stderr = std::mem::take(&mut self.said);
        if let Some(reader) = &mut self.reader {
            reader.go_on();
            reader.step();
        }
        Some(ended)
    }

    fn call(&self) -> Call<'g> {
        let (grid, plan) = (self.grid, self.plan);
        let output = if plan.to_fifo { Reader::fifo(grid) } else { grid.path("output") };
        let mut call = self
            .subject()
            .args(&plan.flags())
            .args(&format!("--retries {}", plan.retries))
            .path("-o", output)
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

    fn subject(&self) -> Call<'g> {
        let (grid, plan) = (self.grid, self.plan);
        if plan.subject == Subject::Grid {
            return grid.master().args("--wait-nodes 60s --reallocate-every 200ms --drain-timeout 10m");
        }
        let task = plugin(grid).display().to_string();
        let call = grid.run(&task).task_arg("side-log", grid.path("log"));
        let mut call = call.args(&format!("--drain-timeout 10m -m {}", plan.slaves[0]));
        if plan.worker_memory {
            call = call.args("--worker-memory 1GiB");
        }
        call.args(START_TIMEOUT).task_arg("new-hangs-once", grid.path(NEW_HANGS))
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
