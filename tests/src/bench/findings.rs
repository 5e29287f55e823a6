//! Everything that was measured, as a table, as JSON, and for plots.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::machine::Facts;
use super::sample::{Finding, Target};

/// Everything that the benches found.
#[derive(Debug, Serialize)]
pub struct Findings {
    machine: Facts,
    findings: Vec<Finding>,
}

impl Findings {
    /// Nothing yet.
    pub fn on(machine: Facts) -> Self {
        Self { machine, findings: Vec::new() }
    }

    /// The machine, in a line.
    pub fn heading(&self) -> String {
        self.machine.to_string()
    }

    /// Adds one.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Those of one series.
    pub fn of(&self, series: &str) -> Vec<&Finding> {
        self.findings.iter().filter(|finding| finding.series == series).collect()
    }

    /// Those from this index on, as a Markdown table.
    pub fn table_from(&self, first: usize) -> String {
        let mut table =
            "| | median | from | to | unit | ratio | target | |\n|---|--:|--:|--:|---|--:|--:|---|\n"
                .to_owned();
        for finding in &self.findings[first.min(self.findings.len())..] {
            let (least, most) = finding.range();
            let row = [
                finding.name.clone(),
                figure(finding.median()),
                figure(least),
                figure(most),
                finding.unit.to_owned(),
                finding.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                finding.target.map_or_else(String::new, |target| match target {
                    Target::AtLeast(least) => format!("≥ {least}"),
                    Target::AtMost(most) => format!("≤ {most}"),
                }),
                match finding.is_met() {
                    None => String::new(),
                    Some(true) => "met".to_owned(),
                    Some(false) => "**not met**".to_owned(),
                },
            ];
            table.push_str(&format!("| {} |\n", row.join(" | ")));
        }
        table
    }

    /// Writes everything as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        Ok(fs::write(path, serde_json::to_vec_pretty(self)?)?)
    }
}

/// Three significant figures.
fn figure(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
