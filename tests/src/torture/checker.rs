//! Judges a round by what can be seen from outside. The rules are those of `docs/guarantees.md`; each is a
//! function here, and returns what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::deed::Deed;
use super::plan::Plan;
use super::records::{Order, Planned, Poison};
use super::rival::Rival;
use crate::call::Finished;
use crate::failed_record::FailedRecord;
use crate::grid::Grid;

/// Complaints of one rule that are shown: more would hide those of other rules.
const SHOWN_MAX: usize = 10;

/// A row of the output, taken apart (`hostile-plugin/src/tagged.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    id: usize,
    key: usize,
    process: u32,
    index: usize,
    bytes: usize,
}

/// What a round has left behind.
#[derive(Debug)]
pub struct Evidence<'p> {
    plan: &'p Plan,
    rows: Vec<Result<Row, String>>,
    failed: BTreeMap<usize, FailedRecord>,
    failed_lines: usize,
    summary: Value,
    master: Finished,
    was_drained: bool,
    deeds: &'p [Deed],
    /// Executions in the order in which they began: id and worker.
    log: Vec<(usize, u32)>,
    /// How often each record was run.
    runs: BTreeMap<usize, usize>,
}

impl<'p> Evidence<'p> {
    /// Reads everything that a round has written.
    pub fn gather(
        grid: &Grid,
        plan: &'p Plan,
        master: Finished,
        was_drained: bool,
        deeds: &'p [Deed],
    ) -> Self {
        let output = String::from_utf8_lossy(&grid.read("output")).into_owned();
        let failed = grid.failed("failed");
        let log: Vec<_> = grid.side_log("log").executions().filter_map(tagged_id).collect();
        let log: Vec<_> = log.into_iter().filter(|(id, _)| !Rival::owns(*id)).collect();
        let mut runs = BTreeMap::new();
        log.iter().for_each(|(id, _)| *runs.entry(*id).or_default() += 1);
        Self {
            plan,
            rows: output.lines().map(|line| Row::parse(line).ok_or_else(|| line.to_owned())).collect(),
            failed_lines: failed.len(),
            failed: failed.into_iter().map(|failed| (failed.seq as usize, failed)).collect(),
            summary: serde_json::from_slice(&grid.read("summary")).unwrap_or_default(),
            master,
            was_drained,
            deeds,
            log,
            runs,
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        self.plan
    }

    /// What was broken.
    pub fn deeds(&self) -> &[Deed] {
        self.deeds
    }

    /// How many executions there were.
    pub fn executions(&self) -> usize {
        self.log.len()
    }

    /// A number of the summary.
    pub fn count(&self, name: &str) -> usize {
        self.summary[name].as_u64().unwrap_or_default() as usize
    }

    /// Records that failed.
    pub fn failures(&self) -> usize {
        self.failed.len()
    }

    fn runs(&self, id: usize) -> usize {
        self.runs.get(&id).copied().unwrap_or_default()
    }

    /// Workers whose death the master has seen.
    fn workers_lost(&self) -> usize {
        self.master.stderr.matches("a worker was lost").count()
    }

    /// Workers among them that were killed: from outside, or for a record that never ended.
    fn workers_killed(&self) -> usize {
        let losses = self.master.stderr.lines().filter(|line| line.contains("a worker was lost"));
        losses.filter(|line| line.contains("SIGKILL")).count()
    }

    /// Nodes that the master has lost, summed over all its processes.
    pub fn nodes_lost(&self) -> usize {
        self.master.stderr.matches("a node was lost").count()
    }

    /// How often the master was killed. Each time the work since the last checkpoint can run again, and what
    /// had failed can be tried as often as before.
    fn master_kills(&self) -> usize {
        self.deeds.iter().filter(|deed| **deed == Deed::MasterKill).count()
    }

    /// Whether a deed could have cost nodes, or the master has lost any.
    fn has_node_trouble(&self) -> bool {
        self.nodes_lost() > 0 || self.has_done(|deed| !deed.spares_nodes() && deed != Deed::WorkerStop)
    }

    /// Records that the master has read, with their ids.
    fn read(&self) -> impl Iterator<Item = (usize, &Planned)> {
        self.plan.records.iter().enumerate().take(self.count("read"))
    }

    fn has_done(&self, deed: impl Fn(Deed) -> bool) -> bool {
        self.deeds.iter().any(|done| deed(*done))
    }
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(6, ',');
        let mut number = || fields.next()?.parse::<usize>().ok();
        let (id, key, process, index, bytes) = (number()?, number()?, number()?, number()?, number()?);
        Some(Self { id, key, process: process.try_into().ok()?, index, bytes })
    }
}

fn tagged_id((record, worker): (&str, u32)) -> Option<(usize, u32)> {
    Some((record.strip_prefix('@')?.parse().ok()?, worker))
}

/// Everything that is wrong with a round.
pub(super) fn judge(evidence: &Evidence<'_>) -> Vec<String> {
    let rules: [fn(&Evidence<'_>) -> Vec<String>; 9] = [
        the_summary_agrees,
        every_record_ends_once,
        rows_are_whole_and_of_one_execution,
        rows_are_in_order,
        failures_have_reasons,
        executions_are_bounded,
        a_workers_death_costs_one_execution,
        keys_are_in_order,
        the_master_has_no_bug,
    ];
    rules
        .iter()
        .flat_map(|rule| {
            let mut complaints = rule(evidence);
            let more = complaints.len().saturating_sub(SHOWN_MAX);
            complaints.truncate(SHOWN_MAX);
            complaints.extend((more > 0).then(|| format!("… and {more} more of these")));
            complaints
        })
        .collect()
}

/// G1: read = done + failed, the summary agrees with the files, and the exit status follows from it.
fn the_summary_agrees(evidence: &Evidence<'_>) -> Vec<String> {
    let [read, done, failed, unfinished] =
        ["read", "done", "failed", "unfinished"].map(|name| evidence.count(name));
    let complete = evidence.summary["complete"] == true;
    let may_be_partial = evidence.was_drained && !evidence.plan.journal;
    let right_status = if !complete { 143 } else { i32::from(failed > 0) };
    let expected_read = if complete { evidence.plan.records.len() } else { read };
    let checks = [
        (read == done + failed && unfinished == 0, "read = done + failed"),
        (read == expected_read, "a complete run has read everything"),
        (complete || may_be_partial, "only a run that is told to end, and has no journal, is not complete"),
        (failed == evidence.failed_lines, "there is a line for each failed record"),
        (failed == evidence.failed.len(), "no record is in the failed file twice"),
        (evidence.master.status == right_status, "the exit status is right"),
        (evidence.summary["exit_status"] == right_status, "the summary has the exit status"),
    ];
    let wrong = checks.iter().filter(|(is_right, _)| !is_right);
    let said = |what: &str| {
        format!(
            "this does not hold: {what}: status {}, summary {}, {} failed lines; the master said:\n{}",
            evidence.master.status,
            evidence.summary,
            evidence.failed_lines,
            last_lines(&evidence.master.stderr)
        )
    };
    wrong.take(1).map(|(_, what)| said(what)).collect()
}

/// G1, G3: each record that was read has all its rows, once, or is in the failed file, never both. A record
/// that was not read has left no trace.
fn every_record_ends_once(evidence: &Evidence<'_>) -> Vec<String> {
    let mut indexes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for row in evidence.rows.iter().flatten() {
        indexes.entry(row.id).or_default().push(row.index);
    }
    let mut complaints = Vec::new();
    for (id, record) in evidence.read() {
        let mut found = indexes.remove(&id).unwrap_or_default();
        found.sort_unstable();
        let failed = evidence.failed.get(&id);
        let expected = if failed.is_some() { 0 } else { record.order.rows() };
        if found != (0..expected).collect::<Vec<_>>() {
            complaints
                .push(format!("record {id} ({:?}) has the rows {found:?}; failed: {failed:?}", record.order));
        }
        if failed.is_none() && evidence.runs(id) == 0 {
            complaints.push(format!("record {id} ({:?}) is done, and was never run", record.order));
        }
        if failed.is_none() && matches!(record.order, Order::Poison(_)) {
            complaints.push(format!("record {id} ({:?}) is poison, and done", record.order));
        }
        if failed.is_some_and(|failed| failed.record != evidence.plan.text(id)) {
            complaints.push(format!("record {id} is in the failed file with other bytes: {failed:?}"));
        }
    }
    complaints.extend(indexes.keys().map(|id| format!("record {id} was not read, and has rows")));
    let unread = |id: &&usize| **id >= evidence.count("read");
    complaints
        .extend(evidence.runs.keys().filter(unread).map(|id| format!("record {id} was run, and not read")));
    complaints
}

/// G3: every row was written by the task, for the record as it was sent, in one execution that took place.
fn rows_are_whole_and_of_one_execution(evidence: &Evidence<'_>) -> Vec<String> {
    let executions: BTreeSet<_> = evidence.log.iter().copied().collect();
    let mut writers: BTreeMap<usize, u32> = BTreeMap::new();
    let mut complaints = Vec::new();
    for row in &evidence.rows {
        let row = match row {
            Ok(row) => row,
            Err(line) => {
                complaints.push(format!("not a row: {:?}", line.get(..200).unwrap_or(line)));
                continue;
            }
        };
        let Some(record) = evidence.plan.records.get(row.id) else {
            complaints.push(format!("a row of no record: {row:?}"));
            continue;
        };
        if row.key != record.key || row.bytes != evidence.plan.text(row.id).len() {
            complaints.push(format!("the record of {row:?} came with other bytes than were sent"));
        }
        if !executions.contains(&(row.id, row.process)) {
            complaints.push(format!("an execution that was never noted has written {row:?}"));
        }
        if *writers.entry(row.id).or_insert(row.process) != row.process {
            complaints.push(format!("two executions have written rows of record {}", row.id));
        }
    }
    complaints
}

/// `--keep-order`: rows stand in the order of the records, whatever happened.
fn rows_are_in_order(evidence: &Evidence<'_>) -> Vec<String> {
    if !evidence.plan.mode.keeps_order() {
        return Vec::new();
    }
    let places: Vec<_> = evidence.rows.iter().flatten().map(|row| (row.id, row.index)).collect();
    let wrong = places.windows(2).filter(|pair| pair[0] >= pair[1]);
    wrong.map(|pair| format!("out of order: {:?} before {:?}", pair[0], pair[1])).collect()
}

/// G4: a record that asks for failure fails for its own reason, after its retries; another record fails only
/// if its workers or nodes were lost too often. The failed file does not name fewer attempts than there were
/// executions.
fn failures_have_reasons(evidence: &Evidence<'_>) -> Vec<String> {
    let mut complaints = Vec::new();
    let attempts_max = evidence.plan.retries + 1;
    let kills = evidence.has_done(|deed| {
        matches!(deed, Deed::WorkerKill | Deed::WorkersKill | Deed::WorkerStop | Deed::PluginReplace)
    });
    for (id, failed) in &evidence.failed {
        let Some(record) = evidence.plan.records.get(*id) else {
            complaints.push(format!("a record failed that there is not: {failed:?}"));
            continue;
        };
        let attempts = failed.attempts as usize;
        let is_accident = match failed.reason.as_str() {
            // The worker was killed from outside, or was stopped, as often as a record can be tried.
            "crash" | "timeout" => kills && attempts >= attempts_max,
            "lost" => evidence.nodes_lost() > 4,
            _ => false,
        };
        let own = match record.order {
            Order::Poison(poison @ (Poison::Reject | Poison::Leak)) => failed.reason == poison.reason(),
            Order::Poison(poison) => failed.reason == poison.reason() && attempts >= attempts_max,
            Order::RetryOnce | Order::LeakOnce => failed.reason == "error" && evidence.plan.retries == 0,
            _ => false,
        };
        if !own && !is_accident {
            complaints
                .push(format!("record {id} ({:?}) should not have failed so: {failed:?}", record.order));
        }
        // The next master does not know what was tried before the last one was killed.
        // Nor does a master know how far a node has come that was cut off.
        if attempts + evidence.nodes_lost() < evidence.runs(*id) && evidence.master_kills() == 0 {
            complaints.push(format!("record {id} was run {} times: {failed:?}", evidence.runs(*id)));
        }
    }
    complaints
}

/// G2: a record runs again only for a reason: its own retry, or a lost worker or node. A killed master counts
/// for as many executions as a record has attempts.
fn executions_are_bounded(evidence: &Evidence<'_>) -> Vec<String> {
    let losses = evidence.workers_lost() + evidence.nodes_lost();
    let most = (1 + evidence.plan.retries) * (1 + evidence.master_kills()) + losses;
    let too_many = evidence.runs.iter().filter(|(_, runs)| **runs > most);
    too_many
        .map(|(id, runs)| format!("record {id} was run {runs} times, and {most} would be too many"))
        .collect()
}

/// G2: the death of a worker costs at most the record that it was running. So where no node was lost, plain
/// records ran again at most once for each worker that died of something other than poison, and the summary
/// counts every execution.
fn a_workers_death_costs_one_execution(evidence: &Evidence<'_>) -> Vec<String> {
    if evidence.has_node_trouble() {
        return Vec::new();
    }
    let orders =
        evidence.runs.iter().filter_map(|(id, runs)| Some((evidence.plan.records.get(*id)?.order, *runs)));
    let (mut again, mut poisonings) = (0, 0);
    for (order, runs) in orders {
        again += if order.is_plain() { runs - 1 } else { 0 };
        poisonings += if matches!(order, Order::Poison(poison) if poison.kills()) { runs } else { 0 };
    }
    // Not each run of a poisonous record is a death of its own: one that is held for a flush can be struck by
    // the death of another, or by a kill.
    let others = evidence.workers_lost().saturating_sub(poisonings).max(evidence.workers_killed());
    let mut complaints = Vec::new();
    if again > others {
        complaints.push(format!("{again} plain records were run again, and {others} workers were killed"));
    }
    // A worker that was killed after a record had begun, but before the task could note it, counts as well.
    let noted = evidence.executions() - evidence.runs.len();
    if !(noted..=noted + others).contains(&evidence.count("retried")) {
        complaints.push(format!("{noted} executions were not a record's first: {}", evidence.summary));
    }
    complaints
}

/// Partitioned runs: what ran once ran in the order of its key, as long as no node was lost. (Nodes that join
/// or drain do not matter. A record that is tried again runs after those that followed it.)
fn keys_are_in_order(evidence: &Evidence<'_>) -> Vec<String> {
    if !evidence.plan.mode.is_partitioned() || evidence.has_node_trouble() {
        return Vec::new();
    }
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    let mut complaints = Vec::new();
    for (id, _) in evidence.log.iter().filter(|(id, _)| evidence.runs(*id) == 1) {
        let Some(record) = evidence.plan.records.get(*id) else { continue };
        let before = last.insert(record.key, *id);
        if let Some(before) = before.filter(|before| before > id) {
            complaints.push(format!("key {}: record {before} was run before {id}", record.key));
        }
    }
    complaints
}

/// Nothing that the master reports is its own bug.
fn the_master_has_no_bug(evidence: &Evidence<'_>) -> Vec<String> {
    let signs =
        ["panicked at", "a report lacks", "a report holds", "broke the protocol", "simplegrid: error"];
    let wrong = evidence.master.stderr.lines().filter(|line| signs.iter().any(|sign| line.contains(sign)));
    wrong
        .filter(|line| !line.contains("told to panic"))
        .map(|line| format!("the master said: {line}"))
        .collect()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
