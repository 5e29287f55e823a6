//! One record there and back, again and again: what someone sees who types them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;

use super::findings::Findings;
use super::sample::{Finding, Target, percentile};
use super::{Wishes, ceiling};
use crate::grid::Grid;

/// Records before those that are timed: the first ones find cold caches.
const WARM_UP: usize = 200;

/// Measures `master` and `run`, and a bare round trip over the same hops.
///
/// # Errors
/// If a program fails.
pub(super) fn run(wishes: &Wishes, findings: &mut Findings) -> anyhow::Result<()> {
    let grid = Grid::new();
    let _slave = grid.slave("echo");
    let count = if wishes.quick { 1000 } else { 5000 };
    let (mut bare, mut master, mut local) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..wishes.rounds {
        bare.push(ceiling::round_trips(count + WARM_UP)?.split_off(WARM_UP));
        master.push(round_trips(grid.master().into_command(), count)?);
        local.push(round_trips(grid.run("echo").into_command(), count)?);
    }
    let of = |name: &str, times: &[Vec<f64>], share: f64| {
        let samples = times.iter().map(|times| percentile(times, share) * 1e6).collect();
        Finding::new("latency", format!("{name}, p{:.0}", share * 100.0), "µs", samples)
    };
    let bare_median = of("", &bare, 0.5).median();
    findings.add(of("bare round trip", &bare, 0.5));
    findings.add(of("bare round trip", &bare, 0.99));
    findings.add(of("one record through `master`", &master, 0.5).should_be(Target::AtMost(100.0)));
    findings.add(
        of("the same, in bare round trips", &master, 0.5).against(bare_median).should_be(Target::AtMost(5.0)),
    );
    findings.add(of("one record through `master`", &master, 0.99));
    findings.add(of("one record through `run`", &local, 0.5));
    findings.add(of("one record through `run`", &local, 0.99));
    Ok(())
}

fn round_trips(mut command: Command, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut input = child.stdin.take().context("its input is a pipe")?;
    let mut output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
    let mut times = Vec::with_capacity(count);
    let mut row = String::new();
    for number in 0..count + WARM_UP {
        let began = Instant::now();
        input.write_all(b"one record\n")?;
        row.clear();
        output.read_line(&mut row)?;
        anyhow::ensure!(row == "one record\n", "{row:?} came back");
        if number >= WARM_UP {
            times.push(began.elapsed().as_secs_f64());
        }
    }
    drop(input);
    anyhow::ensure!(child.wait()?.success(), "the run has failed");
    Ok(times)
}
