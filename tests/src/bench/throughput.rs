//! Records per second: every way to run them, against the ceiling on the same records, in turns.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use super::ceiling::{self, Kind};
use super::findings::Findings;
use super::sample::{Finding, Target, median};
use super::{Wishes, records};
use crate::call::Call;
use crate::grid::Grid;
use crate::slave::Slave;

/// Which records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Of 59 bytes.
    Lines,
    /// With 10,000 keys.
    Keyed,
    /// Of so many bytes.
    Long(usize),
}

impl Input {
    const ALL: [Self; 4] = [Self::Lines, Self::Keyed, Self::Long(1000), Self::Long(100_000)];

    fn count(self, wishes: &Wishes) -> usize {
        let count = match self {
            Self::Lines => 5_000_000,
            Self::Keyed => 3_000_000,
            Self::Long(bytes) => 300_000_000 / bytes,
        };
        if wishes.quick { count / 10 } else { count }
    }
}

/// A way to run them.
struct Case {
    name: &'static str,
    task: &'static str,
    flags: &'static str,
    input: Input,
    against: Kind,
    /// Through `run`, without a network.
    local: bool,
    least: Option<f64>,
}

const fn case(name: &'static str, task: &'static str, flags: &'static str) -> Case {
    Case { name, task, flags, input: Input::Lines, against: Kind::Echo, local: false, least: None }
}

const CASES: [Case; 11] = [
    Case { against: Kind::Acknowledge, least: Some(0.7), ..case("acknowledged only", "bench:count", "") },
    Case { least: Some(0.7), ..case("echo", "echo", "") },
    Case { least: Some(0.7), ..case("echo, `-k`", "echo", "-k") },
    Case { local: true, ..case("echo, `-k`, `run`", "echo", "-k") },
    Case { local: true, ..case("echo in batches, `-k`, `run`", "bench:echo-batch", "-k") },
    Case { least: Some(0.25), ..case("typed rows", "bench:typed", "") },
    Case { least: Some(0.3), ..case("CSV fields", "bench:fields", "--format csv") },
    Case {
        input: Input::Keyed,
        least: Some(0.25),
        ..case("by field, `-k`", "echo", "-k --partition-by field:0")
    },
    Case { input: Input::Keyed, ..case("by field", "echo", "--partition-by field:0") },
    Case { input: Input::Long(1000), ..case("1 KB records, `-k`", "echo", "-k") },
    Case { input: Input::Long(100_000), least: Some(0.5), ..case("100 KB records, `-k`", "echo", "-k") },
];

/// A slave of a task, with its own registry.
struct Station {
    task: &'static str,
    grid: Grid,
    _slave: Slave,
}

impl Station {
    fn start(task: &'static str) -> Self {
        let grid = Grid::new();
        let slave = grid.slave(task);
        Self { task, _slave: slave, grid }
    }
}

/// Measures all cases.
///
/// # Errors
/// If a run or the ceiling fails.
pub(super) fn run(wishes: &Wishes, findings: &mut Findings) -> anyhow::Result<()> {
    let files = Grid::new();
    let mut inputs = Vec::new();
    for input in Input::ALL {
        let (path, count) = (files.path(&format!("{input:?}")), input.count(wishes));
        match input {
            Input::Lines => records::write_lines(&path, count)?,
            Input::Keyed => records::write_keyed(&path, count, 10_000)?,
            Input::Long(bytes) => records::write_long(&path, count, bytes)?,
        };
        inputs.push((input, path, count as u64));
    }
    let mut stations: Vec<Station> = Vec::new();
    for case in &CASES {
        if !stations.iter().any(|station| station.task == case.task) {
            stations.push(Station::start(case.task));
        }
    }
    let mut rates = vec![Vec::new(); CASES.len()];
    let kinds = [Kind::Acknowledge, Kind::Echo];
    let mut ceilings = vec![Vec::new(); inputs.len() * kinds.len()];
    for _ in 0..wishes.rounds {
        for (at, (_, path, count)) in inputs.iter().enumerate() {
            for (kind_at, kind) in kinds.iter().enumerate() {
                let seconds = ceiling::pass(path, *count, *kind)?;
                ceilings[at * kinds.len() + kind_at].push(*count as f64 / seconds / 1e6);
            }
            for (case_at, case) in CASES.iter().enumerate().filter(|(_, case)| case.input == inputs[at].0) {
                let station = stations.iter().find(|station| station.task == case.task);
                let station = station.context("every task has its slave")?;
                rates[case_at].push(*count as f64 / seconds(case, &station.grid, path, *count)? / 1e6);
            }
        }
    }
    for (at, (input, ..)) in inputs.iter().enumerate() {
        for (kind_at, kind) in kinds.iter().enumerate() {
            let samples = ceilings[at * kinds.len() + kind_at].clone();
            findings.add(Finding::new(
                "ceiling",
                format!("ceiling, {kind:?}, {input:?}"),
                "M records/s",
                samples,
            ));
        }
    }
    for (case, samples) in CASES.iter().zip(rates) {
        let at =
            inputs.iter().position(|(input, ..)| *input == case.input).context("every case has its input")?;
        let kind_at =
            kinds.iter().position(|kind| *kind == case.against).context("every kind is measured")?;
        let finding = Finding::new("throughput", case.name, "M records/s", samples);
        let finding = finding.against(median(&ceilings[at * kinds.len() + kind_at]));
        findings.add(case.least.iter().fold(finding, |f, least| f.should_be(Target::AtLeast(*least))));
    }
    Ok(())
}

fn seconds(case: &Case, grid: &Grid, input: &Path, records: u64) -> anyhow::Result<f64> {
    let call = if case.local { grid.run(case.task) } else { grid.master() };
    seconds_of(grid, call.args(case.flags).arg(input), records)
}

/// Runs a call to its end, and returns the seconds that its summary says it took.
///
/// # Errors
/// If it fails, or not all records are done.
pub(super) fn seconds_of(grid: &Grid, call: Call<'_>, records: u64) -> anyhow::Result<f64> {
    let summary: PathBuf = grid.path("summary.json");
    let ended = call.path("-o", "/dev/null").path("--summary-json", &summary).finish();
    anyhow::ensure!(ended.status == 0, "a run has ended with {}: {}", ended.status, ended.stderr);
    let summary: Value = serde_json::from_slice(&std::fs::read(summary)?)?;
    anyhow::ensure!(summary["done"] == records, "not all of {records} records are done: {summary}");
    summary["seconds"].as_f64().context("a summary says how long a run took")
}
