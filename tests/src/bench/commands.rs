//! Commands as tasks, beside what people use to run them: a bare loop that starts processes, xargs, GNU
//! Parallel, and the command alone.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;

use super::findings::Findings;
use super::peers::{is_installed, lines_of, seconds_of_command};
use super::sample::{Finding, Target, median};
use super::throughput::seconds_of;
use super::{Wishes, records};
use crate::call::Call;
use crate::grid::Grid;

/// Cores, and so workers, of all that is compared here.
const WORKERS: usize = 2;

/// The block that both batches of ours and of GNU Parallel have at most.
const BLOCK: &str = "256k";

/// More records than a block has.
const BATCH_MAX: &str = "65535";

/// Measures all modes, and the peers that are installed.
///
/// # Errors
/// If a run or an installed peer fails.
pub(super) fn run(wishes: &Wishes, findings: &mut Findings) -> anyhow::Result<()> {
    let grid = Grid::new();
    let file = |name: &str, count: usize| {
        let path = grid.path(name);
        records::write_lines(&path, count).map(|_| (path, count))
    };
    let (few, few_count) = file("few", if wishes.quick { 1000 } else { 6000 })?;
    let (some, some_count) = file("some", if wishes.quick { 20_000 } else { 200_000 })?;
    let (many, many_count) = file("many", if wishes.quick { 500_000 } else { 5_000_000 })?;
    let rounds = wishes.rounds.min(5);
    let mut add = |name: &str, samples: Vec<f64>, than: Option<(f64, f64)>| {
        let finding = Finding::new("commands", name, "k records/s", samples);
        findings.add(match than {
            Some((other, least)) => finding.against(other).should_be(Target::AtLeast(least)),
            None => finding,
        });
    };
    let exec = |args: &[(&str, &str)]| {
        let call = grid.run("exec").env("SIMPLEGRID_MAX_WORKERS", WORKERS.to_string());
        args.iter().fold(call, |call, (name, value)| call.task_arg(name, value))
    };
    let ours = |call: Call<'_>, input: &Path, count: usize| -> anyhow::Result<f64> {
        Ok(count as f64 / seconds_of(&grid, call.arg(input), count as u64)? / 1e3)
    };
    let peer = |words: &[&str], input: &Path, count: usize| -> anyhow::Result<f64> {
        Ok(count as f64 / seconds_of_command(words, input)? / 1e3)
    };

    // A process for each record: in turns, because a machine is not always as fast.
    let (mut bare, mut xargs, mut per_record) = (Vec::new(), Vec::new(), Vec::new());
    let has_xargs = is_installed("xargs");
    for _ in 0..rounds {
        bare.push(few_count as f64 / bare_loop(&few)? / 1e3);
        if has_xargs {
            xargs.push(peer(&["xargs", "-P2", "-n1", "-d\n", "true"], &few, few_count)?);
        }
        per_record.push(ours(exec(&[("command", "true")]), &few, few_count)?);
    }
    let bare_median = median(&bare);
    add("a bare loop of `true` with two pipes, 2 threads", bare, None);
    add("`exec`, a process for each record", per_record.clone(), Some((bare_median, 0.8)));
    if has_xargs {
        let xargs_median = median(&xargs);
        add("`xargs -P2 -n1 -d'\\n' true`", xargs, None);
        add("`exec`, against xargs", per_record, Some((xargs_median, 1.4)));
    } else {
        println!("(xargs is not installed)");
    }

    // A process for each batch.
    let per_batch = [("mode", "per-batch"), ("command", "cat"), ("batch-max", BATCH_MAX)];
    let (mut parallel, mut batches, mut small_batches) = (Vec::new(), Vec::new(), Vec::new());
    let has_parallel = is_installed("parallel");
    for _ in 0..rounds {
        if has_parallel {
            let words = ["parallel", "--pipe", "--block", BLOCK, "-j2", "cat"];
            parallel.push(peer(&words, &many, many_count)?);
        }
        batches.push(ours(exec(&per_batch), &many, many_count)?);
        small_batches.push(ours(exec(&per_batch[..2]), &many, many_count)?);
    }
    if has_parallel {
        let parallel_median = median(&parallel);
        add("`parallel --pipe --block 256k -j2 cat`", parallel, None);
        add("`exec`, `mode=per-batch`, `cat`, such blocks", batches, Some((parallel_median, 1.5)));
    } else {
        println!("(parallel is not installed)");
        add("`exec`, `mode=per-batch`, `cat`, blocks of 256 KiB", batches, None);
    }
    add("`exec`, `mode=per-batch`, `cat`, as it is by default", small_batches, None);

    // One process for all.
    let stream = [("mode", "stream"), ("command", "sed -u s/fox/FOX/")];
    let (mut alone, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        alone.push(peer(&["sed", "-u", "s/fox/FOX/"], &some, some_count)?);
        streams.push(ours(exec(&stream), &some, some_count)? / WORKERS as f64);
    }
    let alone_median = median(&alone);
    add("`sed -u` alone, on one core", alone, None);
    add("`exec`, `mode=stream`, `sed -u`, for each core", streams, Some((alone_median, 0.7)));
    Ok(())
}

/// Starts `true` for each line of a file, in as many threads as there are workers, and returns the seconds.
fn bare_loop(input: &Path) -> anyhow::Result<f64> {
    let lines = lines_of(input)?;
    let share = lines.len().div_ceil(WORKERS);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = lines
            .chunks(share)
            .map(|lines| scope.spawn(|| lines.iter().try_for_each(|line| start_true(line))))
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("the thread does not panic"))
    })?;
    Ok(began.elapsed().as_secs_f64())
}

fn start_true(line: &[u8]) -> anyhow::Result<()> {
    let mut command = Command::new("/bin/true");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("it has a pipe")?;
    // It need not read.
    let _ = input.write_all(line);
    drop(input);
    child.stdout.take().context("it has a pipe")?.read_to_end(&mut Vec::new())?;
    anyhow::ensure!(child.wait()?.success(), "`true` has failed");
    Ok(())
}
