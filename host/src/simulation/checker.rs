//! Judges a simulation by what can be seen from outside. The rules are those of `docs/guarantees.md`, as in
//! `tests/src/torture/checker.rs`; each is a function here, and returns what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::evidence::Evidence;
use super::fault::Fault;
use super::plan::Plan;
use crate::registry::NodeState;

/// A row of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SimulatedRow {
    id: usize,
    index: usize,
    execution: usize,
}

impl SimulatedRow {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(',');
        let mut number = || fields.next()?.parse::<usize>().ok();
        Some(Self { id: number()?, index: number()?, execution: number()? })
    }
}

/// What the rules look at.
struct Case<'a> {
    plan: &'a Plan,
    evidence: &'a Evidence,
    rows: Vec<SimulatedRow>,
    failed: BTreeMap<usize, &'a Value>,
    runs: BTreeMap<usize, usize>,
}

/// Everything that is wrong with a simulation.
pub(crate) fn judge(plan: &Plan, evidence: &Evidence) -> Vec<String> {
    let rows = evidence.output.lines().map(SimulatedRow::parse).collect::<Option<Vec<_>>>();
    let Some(rows) = rows else { return vec![format!("the output has other rows: {:?}", evidence.output)] };
    let number = |failed: &Value| failed["seq"].as_u64().unwrap_or(u64::MAX) as usize;
    let failed = evidence.failed.iter().map(|failed| (number(failed), failed)).collect();
    let mut runs = BTreeMap::new();
    evidence.executions.iter().for_each(|id| *runs.entry(*id).or_default() += 1);
    let case = Case { plan, evidence, rows, failed, runs };
    if let Some(complaint) = it_ends_or_says_why(&case) {
        return vec![complaint];
    }
    if evidence.end.is_none() {
        return nodes_are_free_in_the_end(&case);
    }
    let rules: [fn(&Case<'_>) -> Vec<String>; 6] = [
        the_summary_agrees,
        every_record_ends_once,
        rows_are_in_order,
        failures_have_reasons,
        executions_are_bounded,
        nodes_are_free_in_the_end,
    ];
    rules.iter().flat_map(|rule| rule(&case)).collect()
}

/// The rule over all: within its time it ends, or has said why it cannot. Only what lasts for ever is a
/// reason.
fn it_ends_or_says_why(case: &Case<'_>) -> Option<String> {
    if let Some(why) = &case.evidence.refusal {
        return (!case.has_worker_trouble()).then(|| format!("it has not begun: {why}"));
    }
    if case.evidence.end.is_some() || case.evidence.said("the master has ended") > 0 {
        return None;
    }
    let has_reason = case.plan.can_stand_still();
    let has_said = case.evidence.said("nothing has ended for") > 0;
    let said = if has_said { "and has said why" } else { "and has not said why" };
    (!has_reason || !has_said).then(|| format!("it has not ended within {:?}, {said}", case.plan.patience))
}

impl Case<'_> {
    fn nodes_lost(&self) -> usize {
        self.evidence.said("a node was lost")
    }

    fn workers_lost(&self) -> usize {
        self.evidence.said("a worker was lost")
    }

    fn runs(&self, id: usize) -> usize {
        self.runs.get(&id).copied().unwrap_or_default()
    }

    /// Whether anything but records can have cost a worker.
    fn has_worker_trouble(&self) -> bool {
        !self.plan.quirks.is_empty() || self.plan.faults.iter().any(|(_, fault)| fault.can_cost_worker())
    }
}

/// G1: read = done + failed, and the summary agrees with the files.
fn the_summary_agrees(case: &Case<'_>) -> Vec<String> {
    let [read, done, failed, unfinished] =
        ["read", "done", "failed", "unfinished"].map(|name| case.evidence.count(name));
    let (end, summary) = case.evidence.end.as_ref().expect("it has ended");
    let is_drained = case.plan.faults.iter().any(|(_, fault)| *fault == Fault::DrainMaster);
    let checks = [
        (read == done + failed && unfinished == 0, "read = done + failed"),
        (summary["complete"] == true || is_drained, "only a run that is asked to end is not complete"),
        (read == case.plan.records.len() || is_drained, "a complete run has read everything"),
        (failed == case.evidence.failed.len(), "there is a line for each failed record"),
        (failed == case.failed.len(), "no record is in the failed file twice"),
    ];
    let wrong = checks.iter().filter(|(is_right, _)| !is_right);
    wrong.map(|(_, what)| format!("this does not hold: {what}: {end}, {summary}")).collect()
}

/// G1, G3: each record that was read has all its rows once, of one execution, or is in the failed file.
fn every_record_ends_once(case: &Case<'_>) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut rows: BTreeMap<usize, Vec<&SimulatedRow>> = BTreeMap::new();
    case.rows.iter().for_each(|row| rows.entry(row.id).or_default().push(row));
    let read = case.evidence.count("read");
    for (id, order) in case.plan.records.iter().enumerate().take(read) {
        let found = rows.remove(&id).unwrap_or_default();
        let failed = case.failed.get(&id);
        let expected = if failed.is_some() { 0 } else { order.rows() };
        let mut indexes: Vec<_> = found.iter().map(|row| row.index).collect();
        indexes.sort_unstable();
        if indexes != (0..expected).collect::<Vec<_>>() {
            complaints.push(format!("record {id} ({order:?}) has the rows {found:?}; failed: {failed:?}"));
        }
        let executions: BTreeSet<_> = found.iter().map(|row| row.execution).collect();
        if executions.len() > 1
            || executions.iter().any(|one| case.evidence.executions.get(*one) != Some(&id))
        {
            complaints.push(format!("the rows of record {id} are of other executions: {found:?}"));
        }
        if failed.is_none() && (case.runs(id) == 0 || order.reason().is_some()) {
            complaints.push(format!("record {id} ({order:?}) is done, after {} runs", case.runs(id)));
        }
    }
    complaints.extend(rows.keys().map(|id| format!("record {id} was not read, and has rows")));
    complaints
}

/// `--keep-order`: rows stand in the order of the records.
fn rows_are_in_order(case: &Case<'_>) -> Vec<String> {
    let places: Vec<_> = case.rows.iter().map(|row| (row.id, row.index)).collect();
    let wrong = places.windows(2).filter(|pair| case.plan.keep_order && pair[0] >= pair[1]);
    wrong.map(|pair| format!("out of order: {:?} before {:?}", pair[0], pair[1])).collect()
}

/// G4: a record that asks for failure fails for its own reason, after its retries; another one only if it was
/// struck from outside too often.
fn failures_have_reasons(case: &Case<'_>) -> Vec<String> {
    let mut complaints = Vec::new();
    let attempts_max = case.plan.retries as usize + 1;
    for (id, failed) in &case.failed {
        let Some(order) = case.plan.records.get(*id) else {
            complaints.push(format!("a record failed that there is not: {failed}"));
            continue;
        };
        let attempts = failed["attempts"].as_u64().unwrap_or_default() as usize;
        let reason = failed["reason"].as_str().unwrap_or_default();
        let is_own = order.reason() == Some(reason) && (reason == "rejected" || attempts >= attempts_max);
        let was_retried = *order == super::order::Order::RetryOnce && case.plan.retries == 0;
        let is_accident = match reason {
            "crash" | "timeout" => case.has_worker_trouble() && attempts >= attempts_max,
            "lost" => case.nodes_lost() > 4 || case.workers_lost() > 10,
            "error" => was_retried,
            _ => false,
        };
        if !is_own && !is_accident {
            complaints.push(format!("record {id} ({order:?}) should not have failed so: {failed}"));
        }
        if attempts + case.nodes_lost() < case.runs(*id) {
            complaints.push(format!("record {id} was run {} times: {failed}", case.runs(*id)));
        }
    }
    complaints
}

/// G2: a record runs again only for a reason: its own retry, or a lost worker or node.
fn executions_are_bounded(case: &Case<'_>) -> Vec<String> {
    let most = 1 + case.plan.retries as usize + case.workers_lost() + case.nodes_lost();
    let too_many = case.runs.iter().filter(|(_, runs)| **runs > most);
    too_many
        .map(|(id, runs)| format!("record {id} was run {runs} times, and {most} would be too many"))
        .collect()
}

/// G6: when the run is over, no node is reserved any more.
fn nodes_are_free_in_the_end(case: &Case<'_>) -> Vec<String> {
    let is_held = |fault: &Fault| fault.length().is_none();
    if case.plan.faults.iter().any(|(_, fault)| is_held(fault))
        || case.evidence.said("the master has ended") == 0
    {
        return Vec::new();
    }
    let reserved = case.evidence.nodes.iter().filter(|node| node.state == NodeState::Reserved);
    reserved.map(|node| format!("{} is still reserved", node.key)).collect()
}

impl Plan {
    /// Whether something lasts for ever for which no limit is set.
    fn can_stand_still(&self) -> bool {
        let is_endless = |fault: &Fault| match fault {
            Fault::StopWorker { length: None, .. } => self.record_timeout.is_none(),
            fault => fault.length().is_none(),
        };
        let is_hang = self.records.iter().any(|order| order.reason() == Some("timeout"));
        let quirks = self.quirks.values().flatten();
        self.faults.iter().any(|(_, fault)| is_endless(fault))
            || (is_hang && self.record_timeout.is_none())
            || quirks.into_iter().any(|quirk| quirk.lasts_for_ever(self.record_timeout.is_some()))
    }
}
