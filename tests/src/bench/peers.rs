//! What people use today, measured beside SimpleGrid, on the same records and the same machine: GNU Parallel,
//! xargs and gearmand, where they are installed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::findings::Findings;
use super::sample::{Finding, median};
use super::throughput::seconds_of;
use super::{Wishes, gearman, records};
use crate::grid::Grid;
use crate::wait;

/// Measures every peer that is installed.
///
/// # Errors
/// If an installed peer fails.
pub(super) fn run(wishes: &Wishes, findings: &mut Findings) -> anyhow::Result<()> {
    let grid = Grid::new();
    let lines = grid.path("lines");
    let count = if wishes.quick { 200_000 } else { 2_000_000 };
    records::write_lines(&lines, count)?;
    // Peers that start a process or a conversation for each record get fewer of them.
    let few = grid.path("few");
    let few_count = if wishes.quick { 500 } else { 3000 };
    records::write_lines(&few, few_count)?;
    let many = grid.path("many");
    let many_count = if wishes.quick { 10_000 } else { 50_000 };
    records::write_lines(&many, many_count)?;

    let _slave = grid.slave("echo");
    let rounds = wishes.rounds.min(5);
    let mut add = |name: &str, samples: Vec<f64>, ours: f64| {
        let finding = Finding::new("peers", name, "k records/s", samples);
        findings.add(if ours.is_nan() { finding } else { finding.against(ours) });
    };
    let ours: Vec<_> = (0..rounds)
        .map(|_| rate(count, || seconds_of(&grid, grid.master().arg("-k").arg(&lines), count as u64)))
        .collect::<Result<_, _>>()?;
    let our_median = median(&ours);
    add("`slave` and `master -k`", ours, f64::NAN);
    let commands: [(&str, &str, &Path, usize); 3] = [
        ("`parallel -k --pipe --block 1M -j2 cat`", "parallel", &lines, count),
        ("`parallel -k -j2 echo` (a process for each record)", "parallel", &few, few_count),
        ("`xargs -P2 -n1 echo` (a process for each record)", "xargs", &few, few_count),
    ];
    for (name, program, input, count) in commands {
        if !is_installed(program) {
            println!("({program} is not installed)");
            continue;
        }
        let words: Vec<_> = name.trim_matches('`').split('`').next().unwrap_or_default().split(' ').collect();
        let samples = (0..rounds)
            .map(|_| rate(count, || seconds_of_command(&words, input)))
            .collect::<Result<_, _>>()?;
        add(name, samples, our_median);
    }
    if is_installed("gearmand") {
        let server = Gearmand::start()?;
        for in_flight in [100, 1] {
            let (input, count) = if in_flight == 1 { (&few, few_count) } else { (&many, many_count) };
            let seconds = || gearman::seconds(server.port, input, 2, in_flight);
            let samples = (0..rounds).map(|_| rate(count, seconds)).collect::<Result<_, _>>()?;
            add(&format!("gearmand, 2 workers, {in_flight} jobs in flight"), samples, our_median);
        }
    } else {
        println!("(gearmand is not installed)");
    }
    Ok(())
}

fn rate(count: usize, seconds: impl FnOnce() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    Ok(count as f64 / seconds()? / 1e3)
}

/// Whether there is such a program.
pub(super) fn is_installed(program: &str) -> bool {
    let found =
        Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Runs a command on a file, and returns the seconds that it took.
///
/// # Errors
/// If it fails.
pub(super) fn seconds_of_command(words: &[&str], input: &Path) -> anyhow::Result<f64> {
    let mut command = Command::new(words[0]);
    let command = command.args(&words[1..]).stdin(File::open(input)?).stdout(File::create("/dev/null")?);
    let began = Instant::now();
    let status = command.stderr(Stdio::null()).status()?;
    let seconds = began.elapsed().as_secs_f64();
    anyhow::ensure!(status.success(), "{words:?} has ended with {status}");
    Ok(seconds)
}

/// A server of its own, which ends with it.
struct Gearmand {
    process: Child,
    port: u16,
}

impl Gearmand {
    fn start() -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("gearmand");
        let command = command.args(["-L", "127.0.0.1", "-l", "none", "-p", &port.to_string()]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let server = Self { process, port };
        wait::until("gearmand listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Ok(server)
    }
}

impl Drop for Gearmand {
    fn drop(&mut self) {
        // The process can have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The lines of a file, for clients that send them one by one.
pub(super) fn lines_of(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    Ok(BufReader::new(File::open(path)?).split(b'\n').collect::<Result<_, _>>()?)
}
