//! More slaves, more workers, more rows: what should not get slower.

use std::time::{Duration, Instant};

use anyhow::Context;
use simplegrid::internals::build::{Build, Digest};
use simplegrid::internals::registry::{Announcement, NodeKey, Registry, RegistryUrl, Reservation};

use super::findings::Findings;
use super::sample::{Finding, Target, median};
use super::throughput::seconds_of;
use super::{Wishes, records};
use crate::grid::Grid;
use crate::slave::Slave;
use crate::wait;

/// Slaves of the largest grid.
const MANY_SLAVES: usize = 200;

/// Rows of the largest registry.
const MANY_ROWS: u16 = 10_000;

/// Measures throughput by slaves and by workers, a grid of many slaves, and a registry of many rows.
///
/// # Errors
/// If a run fails.
pub(super) fn run(wishes: &Wishes, findings: &mut Findings) -> anyhow::Result<()> {
    let input = Grid::new();
    let path = input.path("lines");
    let count = if wishes.quick { 500_000 } else { 5_000_000 };
    records::write_lines(&path, count)?;
    let rounds = wishes.rounds.min(5);
    let rate_of = |grid: &Grid, passes: usize| -> anyhow::Result<f64> {
        wait::until("all slaves are free", || grid.nodes().iter().all(|node| node["state"] == "enabled"));
        let call = (0..passes).fold(grid.master().args("-k -m -1"), |call, _| call.arg(&path));
        let records = count * passes;
        Ok(records as f64 / seconds_of(grid, call, records as u64)? / 1e6)
    };
    let rate = |grid: &Grid| rate_of(grid, 1);
    // Long enough that connecting to so many slaves is not most of it.
    let long_rate = |grid: &Grid| rate_of(grid, 8);
    for workers in [1_usize, 2, 4, 16, 64] {
        let (grid, _slaves) = grid_of(1, workers);
        let samples = (0..rounds).map(|_| rate(&grid)).collect::<Result<_, _>>()?;
        let name = format!("echo, `-k`, 1 slave, {workers} workers");
        findings.add(Finding::new("workers", name, "M records/s", samples).at(workers as f64));
    }
    let mut with_two = f64::NAN;
    for slaves in [1, 2, 4, 8] {
        let (grid, _slaves) = grid_of(slaves, 1);
        let samples: Vec<_> = (0..rounds).map(|_| rate(&grid)).collect::<Result<_, _>>()?;
        if slaves == 2 {
            let long = (0..rounds).map(|_| long_rate(&grid)).collect::<Result<Vec<_>, _>>()?;
            with_two = median(&long);
        }
        let name = format!("echo, `-k`, {slaves} slaves of 1 worker");
        findings.add(Finding::new("slaves", name, "M records/s", samples).at(slaves as f64));
    }
    many_slaves(findings, rounds, with_two, long_rate)?;
    many_rows(findings, rounds)
}

fn grid_of(slaves: usize, workers: usize) -> (Grid, Vec<Slave>) {
    let grid = Grid::new();
    let call = || grid.slave_call("echo").arg("-m").arg(workers.to_string());
    let processes: Vec<_> = (0..slaves).map(|_| call().start()).collect();
    let slaves = processes.into_iter().map(Slave::when_ready).collect();
    (grid, slaves)
}

fn many_slaves(
    findings: &mut Findings,
    rounds: usize,
    with_two: f64,
    rate: impl Fn(&Grid) -> anyhow::Result<f64>,
) -> anyhow::Result<()> {
    let (grid, _slaves) = grid_of(MANY_SLAVES, 1);
    let registry = rusqlite::Connection::open(grid.path("grid.db"))?;
    let reserved = || -> Option<usize> {
        let count = "SELECT count(*) FROM nodes WHERE state = 'reserved'";
        // While it is locked, it does not answer.
        let count: i64 = registry.query_row(count, [], |row| row.get(0)).ok()?;
        usize::try_from(count).ok()
    };
    let mut samples = Vec::new();
    for _ in 0..rounds {
        wait::until("all slaves are free", || reserved() == Some(0));
        let began = Instant::now();
        let mut master = grid.master().args("-m -1").start();
        master.write("one record\n");
        wait::until("all slaves are reserved", || reserved() == Some(MANY_SLAVES));
        samples.push(began.elapsed().as_secs_f64());
        let ended = master.finish();
        anyhow::ensure!(ended.status == 0, "the run has failed: {}", ended.stderr);
    }
    let finding = Finding::new("scale", format!("{MANY_SLAVES} slaves are reserved"), "s", samples);
    findings.add(finding.should_be(Target::AtMost(2.0)));
    let samples = (0..rounds).map(|_| rate(&grid)).collect::<Result<_, _>>()?;
    let name = format!("echo, `-k`, {MANY_SLAVES} slaves of 1 worker, against 2");
    let finding = Finding::new("scale", name, "M records/s", samples).at(MANY_SLAVES as f64);
    findings.add(finding.against(with_two).should_be(Target::AtLeast(0.7)));
    Ok(())
}

fn many_rows(findings: &mut Findings, rounds: usize) -> anyhow::Result<()> {
    let grid = Grid::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let samples = runtime.block_on(async {
        let registry = Registry::open(&RegistryUrl::sqlite(grid.path("many.db"))).await?;
        for port in 1..=MANY_ROWS {
            let key = NodeKey::new("host", port);
            registry.announce(&announcement(key.clone())).await?;
            registry.enable(&key).await?;
        }
        let mut samples = Vec::new();
        for round in 0..rounds * 4 {
            let reservation = Reservation::from_text(format!("bench-{round}"));
            let began = Instant::now();
            let nodes = registry.reserve(&reservation, 20, Some("echo"), Duration::from_secs(60)).await?;
            samples.push(began.elapsed().as_secs_f64() * 1e3);
            anyhow::ensure!(nodes.len() == 20, "{} nodes were reserved", nodes.len());
        }
        Ok(samples)
    });
    let samples = samples.context("a registry of many rows")?;
    let finding = Finding::new("scale", format!("20 of {MANY_ROWS} rows are reserved"), "ms", samples);
    findings.add(finding.should_be(Target::AtMost(50.0)));
    Ok(())
}

fn announcement(key: NodeKey) -> Announcement {
    Announcement {
        key,
        children: 1,
        task: "echo".to_owned(),
        task_version: None,
        columns: Digest::default(),
        build: Build::default(),
        advertise: None,
        pid: 1,
        version: "0".to_owned(),
        dead_pid: None,
    }
}
