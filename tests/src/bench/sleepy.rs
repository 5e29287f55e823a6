//! Tasks that take some time: how much of it the grid wastes, compared with a schedule that wastes none.

use anyhow::Context;

use super::Wishes;
use super::findings::Findings;
use super::sample::{Finding, Target};
use crate::dice::Dice;
use crate::grid::Grid;
use crate::slave::Slave;
use crate::wait;

const SLAVES: usize = 2;
const WORKERS: usize = 4;

/// Measures even tasks and a mix with a heavy tail.
///
/// # Errors
/// If a run fails.
pub(super) fn run(wishes: &Wishes, findings: &mut Findings) -> anyhow::Result<()> {
    let grid = Grid::new();
    let slave = || Slave::start(grid.slave_call("bench:sleep").arg("-m").arg(WORKERS.to_string()));
    let _slaves: [Slave; SLAVES] = std::array::from_fn(|_| slave());
    let count = if wishes.quick { 2000 } else { 12_000 };
    let mut dice = Dice::new(7);
    let heavy = |dice: &mut Dice| match dice.roll(1000) {
        0..900 => 300,
        900..990 => 3000,
        990..999 => 20_000,
        _ => 100_000,
    };
    let mixes = [
        ("1 ms tasks", "1000\n".repeat(count), 0.95),
        ("heavy tail (0.3–100 ms)", (0..count).map(|_| format!("{}\n", heavy(&mut dice))).collect(), 0.9),
    ];
    for (name, input, least) in mixes {
        let path = grid.write("input", &input);
        let samples = (0..wishes.rounds).map(|_| efficiency(&grid, &path)).collect::<Result<_, _>>()?;
        let name = format!("{name}, {SLAVES} × {WORKERS} workers");
        findings.add(Finding::new("sleepy", name, "of ideal", samples).should_be(Target::AtLeast(least)));
    }
    Ok(())
}

/// The shortest time in which the workers could have done it, given how long each record really took, as a
/// share of the time that it took.
fn efficiency(grid: &Grid, input: &std::path::Path) -> anyhow::Result<f64> {
    wait::until("all slaves are free", || grid.nodes().iter().all(|node| node["state"] == "enabled"));
    let rows = grid.path("rows");
    let summary = grid.path("summary.json");
    let call = grid.master().path("-o", &rows).path("--summary-json", &summary).arg(input);
    let ended = call.finish();
    anyhow::ensure!(ended.status == 0, "the run has failed: {}", ended.stderr);
    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(summary)?)?;
    let seconds = summary["seconds"].as_f64().context("a summary says how long a run took")?;
    let text = std::fs::read_to_string(rows)?;
    let times = text.lines().map(|ns| Ok(ns.parse::<f64>()? / 1e9)).collect::<anyhow::Result<Vec<_>>>()?;
    let shared = times.iter().sum::<f64>() / (SLAVES * WORKERS) as f64;
    let longest = times.iter().copied().fold(0.0, f64::max);
    Ok(shared.max(longest) / seconds)
}
