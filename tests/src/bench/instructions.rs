//! Counts instructions instead of seconds: the same on a busy machine as on an idle one, so a change that
//! makes something slower is seen by a machine, and not only by someone who looks for it.
//!
//! Valgrind's callgrind counts. Where it is not installed, the check is skipped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::kernels::{self, Kernel};
use super::records;
use crate::Need;
use crate::grid::Grid;

/// The first word of a call that runs a kernel.
pub const WORD: &str = "kernel";

/// How far a count can exceed its baseline.
const GRACE: f64 = 0.15;

/// Calls of a kernel in the two runs whose difference is counted: what comes before and after drops out.
const CALLS: [u64; 2] = [20, 220];

/// Records of the two runs of a whole grid.
const RECORDS: [usize; 2] = [100_000, 400_000];

/// Where the baselines are kept.
pub fn baselines() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baselines/instructions.json")
}

/// What was counted once.
#[derive(Debug, Serialize, Deserialize)]
struct Baselines {
    /// The compiler that it was built with: another one generates other code, whose counts say nothing about
    /// a change of ours.
    compiler: String,
    counts: BTreeMap<String, f64>,
}

impl Baselines {
    /// Whether counts of this compiler's code can be compared with them; if not, why.
    fn are_of(&self, compiler: &str) -> Result<(), String> {
        let of = &self.compiler;
        if of == compiler {
            Ok(())
        } else {
            Err(format!("the baselines are for {of}, and this is {compiler}"))
        }
    }
}

/// Runs a kernel so many times. Called under callgrind.
///
/// # Errors
/// If the words name no kernel.
pub fn play(words: &[String]) -> anyhow::Result<()> {
    let [name, calls] = words else { bail!("`{WORD}` is for the benches themselves") };
    let kernel =
        kernels::ALL.into_iter().find(|kernel| kernel.name == *name).context("there is no such kernel")?;
    let mut work = (kernel.prepare)();
    (0..calls.parse::<u64>()?).for_each(|_| work());
    Ok(())
}

/// Counts everything, and compares it with the baselines; with `record`, the counts become the baselines.
///
/// # Errors
/// If something takes more instructions than it should, or cannot be counted.
pub fn check(record: bool) -> anyhow::Result<()> {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    let valgrind = valgrind.map_err(|error| format!("`valgrind` cannot be run: {error}"));
    if Need::Valgrind.check(valgrind).is_none() {
        return Ok(());
    }
    let compiler = compiler()?;
    if !record && Need::Baselines.check(read_baselines()?.are_of(&compiler)).is_none() {
        return Ok(());
    }
    let mut counts = BTreeMap::new();
    for kernel in &kernels::ALL {
        counts.insert(kernel.name.to_owned(), of_kernel(kernel)?);
    }
    counts.insert("master, acknowledged record".to_owned(), of_record()?);
    if record {
        let recorded = Baselines { compiler, counts: counts.clone() };
        fs::write(baselines(), serde_json::to_string_pretty(&recorded)? + "\n")?;
    }
    let Baselines { counts: baselines, .. } = read_baselines()?;
    let mut worse = Vec::new();
    println!("| | instructions | baseline | |\n|---|--:|--:|---|");
    for (name, count) in &counts {
        let baseline = *baselines.get(name).with_context(|| format!("{name} has no baseline"))?;
        let ratio = count / baseline;
        println!("| {name} | {count:.0} | {baseline:.0} | {ratio:.2} |");
        if ratio > 1.0 + GRACE {
            worse.push(format!("{name} takes {ratio:.2} times the instructions of its baseline"));
        }
    }
    if worse.is_empty() { Ok(()) } else { bail!("{}", worse.join("; ")) }
}

fn read_baselines() -> anyhow::Result<Baselines> {
    let path = baselines();
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))
}

fn compiler() -> anyhow::Result<String> {
    let said =
        Command::new("rustc").arg("--version").output().context("asking the compiler for its version")?;
    let architecture = std::env::consts::ARCH;
    Ok(format!("{} on {architecture}", String::from_utf8_lossy(&said.stdout).trim()))
}

/// Instructions of one call.
fn of_kernel(kernel: &Kernel) -> anyhow::Result<f64> {
    let count = |calls: u64| {
        let mut command = callgrind();
        command.arg(std::env::current_exe()?).args([WORD, kernel.name, &calls.to_string()]);
        counted(command)
    };
    let [few, many] = CALLS;
    Ok((count(many)? - count(few)?) / (many - few) as f64)
}

/// Instructions that one more record costs a master whose slave only acknowledges. (Slaves cannot be counted:
/// their workers are started through `/proc/self/exe`, which under Valgrind is Valgrind.)
fn of_record() -> anyhow::Result<f64> {
    let grid = Grid::new();
    let _slave = grid.slave("bench:count");
    let count = |records: usize| {
        let input = grid.path("input");
        records::write_lines(&input, records)?;
        let mut command = grid.master().arg(&input).behind_command(callgrind()).into_command();
        command.stdin(Stdio::null());
        counted(command)
    };
    let [few, many] = RECORDS;
    Ok((count(many)? - count(few)?) / (many - few) as f64)
}

fn callgrind() -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--trace-children=yes", "--callgrind-out-file=/dev/null"]);
    command
}

/// Runs a command to its end, and adds up what callgrind reports for each of its processes.
fn counted(mut command: Command) -> anyhow::Result<f64> {
    let ended = command.stdout(Stdio::null()).output().context("valgrind cannot be run")?;
    let said = String::from_utf8_lossy(&ended.stderr);
    anyhow::ensure!(ended.status.success(), "what callgrind watched has failed: {said}");
    let counts =
        said.lines().filter_map(|line| line.split_once("Collected : ")?.1.trim().parse::<f64>().ok());
    let counts: Vec<_> = counts.collect();
    anyhow::ensure!(!counts.is_empty(), "callgrind has counted nothing: {said}");
    Ok(counts.iter().sum())
}
