//! How long it takes until something happens.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

use anyhow::Context;

use super::Wishes;
use super::findings::Findings;
use super::sample::{Finding, Target};
use crate::grid::Grid;

/// Workers of a slave that has many.
const MANY: usize = 256;

/// Measures a `run` of one record, and a slave with many workers.
///
/// # Errors
/// If a program fails.
pub(super) fn run(wishes: &Wishes, findings: &mut Findings) -> anyhow::Result<()> {
    let grid = Grid::new();
    let input = grid.write("input", "one record\n");
    let one_record = || -> anyhow::Result<f64> {
        let mut command = grid.run("echo").arg(&input).into_command();
        let began = Instant::now();
        let ended = command.stdin(Stdio::null()).output()?;
        let ms = began.elapsed().as_secs_f64() * 1e3;
        anyhow::ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        Ok(ms)
    };
    let samples = (0..wishes.rounds * 4).map(|_| one_record()).collect::<Result<_, _>>()?;
    let finding = Finding::new("startup", "`run` of one record, start to end", "ms", samples);
    findings.add(finding.should_be(Target::AtMost(50.0)));

    let samples = (0..wishes.rounds.min(5)).map(|_| slave_seconds(&grid)).collect::<Result<_, _>>()?;
    let finding = Finding::new("startup", format!("a slave with {MANY} workers listens"), "s", samples);
    findings.add(finding.should_be(Target::AtMost(2.0)));
    Ok(())
}

fn slave_seconds(grid: &Grid) -> anyhow::Result<f64> {
    let mut command = grid.slave_call("echo").arg("-m").arg(MANY.to_string()).into_command();
    let began = Instant::now();
    let mut slave = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let stderr = slave.stderr.take().context("its stderr is a pipe")?;
    let line = BufReader::new(stderr)
        .lines()
        .find(|line| line.as_ref().is_ok_and(|line| line.contains("listening on")));
    let seconds = began.elapsed().as_secs_f64();
    crate::kill(i32::try_from(slave.id())?, nix::sys::signal::Signal::SIGTERM);
    slave.wait()?;
    anyhow::ensure!(line.is_some(), "the slave has not listened");
    Ok(seconds)
}
