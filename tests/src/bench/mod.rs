//! How fast it all is: every case against a ceiling, in turns, on the same records, with ratios that hold
//! where absolute figures drift.
//!
//! [`run`] plays everything and prints tables; [`ceiling`] is what cases are compared with; [`instructions`]
//! counts instead of timing, so that a change can be judged on a busy machine.

pub mod ceiling;
mod commands;
mod findings;
mod gearman;
pub mod instructions;
pub mod kernels;
mod latency;
mod machine;
mod memory;
mod peers;
mod plot;
mod records;
mod sample;
mod scale;
mod simulation;
mod sinks;
mod sleepy;
mod startup;
mod throughput;

use std::path::PathBuf;

use anyhow::Context;

pub use findings::Findings;
pub use sample::{Finding, Target};

/// What the user asks for.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// Fewer records and rounds: seconds instead of minutes.
    pub quick: bool,
    /// Rounds of each timed case.
    pub rounds: usize,
    /// Only the parts with one of these words in their names; all parts, if there are no words.
    pub only: Vec<String>,
    /// Where all samples are written.
    pub json: Option<PathBuf>,
    /// Where the plots are drawn.
    pub plots: Option<PathBuf>,
}

/// A part of the benches: its name, and what it measures.
type Part = (&'static str, fn(&Wishes, &mut Findings) -> anyhow::Result<()>);

/// All parts. If one fails, the benches end: half a table would be mistaken for a whole one.
const PARTS: [Part; 10] = [
    ("throughput", throughput::run),
    ("latency", latency::run),
    ("sleepy", sleepy::run),
    ("memory", memory::run),
    ("startup", startup::run),
    ("sinks", sinks::run),
    ("scale", scale::run),
    ("simulation", simulation::run),
    ("peers", peers::run),
    ("commands", commands::run),
];

/// Runs all parts, or those that were asked for, and prints what they found.
///
/// # Errors
/// If a part fails, or the results cannot be written.
pub fn run(wishes: &Wishes) -> anyhow::Result<()> {
    let mut findings = Findings::on(machine::facts());
    println!("{}", findings.heading());
    let wanted = |name: &str| wishes.only.is_empty() || wishes.only.iter().any(|word| name.contains(&**word));
    for (name, part) in PARTS.iter().filter(|(name, _)| wanted(name)) {
        let before = findings.len();
        println!("\n## {name}\n");
        part(wishes, &mut findings).with_context(|| format!("the part {name}"))?;
        println!("{}", findings.table_from(before));
    }
    if let Some(path) = &wishes.json {
        findings.write(path).with_context(|| format!("writing {}", path.display()))?;
    }
    if let Some(directory) = &wishes.plots {
        plot::draw_all(&findings, directory).with_context(|| format!("plots in {}", directory.display()))?;
    }
    Ok(())
}
