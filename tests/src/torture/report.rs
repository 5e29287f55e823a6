//! The sum of all rounds.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::evidence::Evidence;
use super::records::Order;

/// A round that passed.
#[derive(Debug, Clone)]
pub struct RoundReport {
    seed: u64,
    records: usize,
    failures: usize,
    executions: usize,
    nodes_lost: usize,
    /// How often each thing was broken.
    faults: BTreeMap<String, usize>,
    took: Duration,
}

impl RoundReport {
    /// Sums a round up.
    pub(super) fn new(evidence: &Evidence<'_>, took: Duration) -> Self {
        let mut faults = BTreeMap::new();
        for deed in evidence.deeds {
            *faults.entry(format!("{deed:?}")).or_default() += 1;
        }
        for record in evidence.plan.records.iter().take(evidence.count("read")) {
            if let Order::Poison(_) | Order::RetryOnce | Order::LeakOnce | Order::Child = record.order {
                *faults.entry(record.order.kind()).or_default() += 1;
            }
        }
        Self {
            seed: evidence.plan.seed,
            records: evidence.count("read"),
            failures: evidence.failures(),
            executions: evidence.executions(),
            nodes_lost: evidence.nodes_lost(),
            faults,
            took,
        }
    }
}

impl fmt::Display for RoundReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, records, failures, executions, nodes_lost, took, .. } = self;
        let seconds = took.as_secs_f64();
        write!(
            f,
            "seed {seed}: {records} records, {failures} failed, {executions} executions, {nodes_lost} nodes lost, \
             {seconds:.1} s"
        )
    }
}

/// All rounds that passed.
#[derive(Debug, Clone, Default)]
pub struct Report {
    rounds: usize,
    records: usize,
    failures: usize,
    executions: usize,
    nodes_lost: usize,
    faults: BTreeMap<String, usize>,
    slowest: Option<RoundReport>,
}

impl Report {
    /// Adds a round.
    pub fn add(&mut self, round: RoundReport) {
        self.rounds += 1;
        self.records += round.records;
        self.failures += round.failures;
        self.executions += round.executions;
        self.nodes_lost += round.nodes_lost;
        for (fault, count) in &round.faults {
            *self.faults.entry(fault.clone()).or_default() += count;
        }
        if self.slowest.as_ref().is_none_or(|slowest| slowest.took < round.took) {
            self.slowest = Some(round);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, records, failures, executions, nodes_lost, .. } = self;
        writeln!(f, "{rounds} rounds: {records} records, {failures} of them failed as they should")?;
        writeln!(f, "{executions} executions, {nodes_lost} nodes lost")?;
        for (fault, count) in &self.faults {
            writeln!(f, "  {fault:<16} {count}")?;
        }
        match &self.slowest {
            Some(slowest) => write!(f, "the slowest: {slowest}"),
            None => write!(f, "no round went well"),
        }
    }
}
