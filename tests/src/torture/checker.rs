//! Judges a round by what can be seen from outside. The rules are those of `docs/guarantees.md`; each is a
//! function here, and returns what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::deed::{Cost, Deed};
use super::evidence::{Evidence, losses_from_outside};
use super::patience::{Standing, Standstill};
use super::plan::Plan;
use super::records::{Order, Poison};

/// Complaints of one rule that are shown: more would hide those of other rules.
const SHOWN_MAX: usize = 10;

/// Everything that is wrong with a round.
pub(super) fn judge(evidence: &Evidence<'_>) -> Vec<String> {
    if is_out_of_patience(&evidence.standstills) {
        // It was killed, so there is nothing else to judge.
        return it_ends_or_says_why(evidence);
    }
    let rules: [fn(&Evidence<'_>) -> Vec<String>; 10] = [
        it_ends_or_says_why,
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

/// Whether a run that has stood still so often is given up: it has not said why, or nothing was in its way
/// any more.
pub(super) fn is_out_of_patience(standstills: &[Standstill]) -> bool {
    let is_silent = |still: &Standstill| !matches!(still.standing, Standing::HasSaidWhy(_));
    standstills.len() > 1 || standstills.iter().any(is_silent)
}

/// Liveness: a run ends in time, or it says in time why it cannot, what it says is true, and it ends once
/// what held it up is healed.
fn it_ends_or_says_why(evidence: &Evidence<'_>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (nth, Standstill { standing, after }) in evidence.standstills.iter().enumerate() {
        let deeds = &evidence.deeds[..*after];
        match standing {
            Standing::HasSaidWhy(why) if nth > 0 => {
                complaints.push(format!("everything was healed, and the run still stands still: {why}"));
            }
            Standing::HasSaidWhy(why) => {
                let is_true = REASONS.iter().any(|(words, may_be)| {
                    why.contains(words) && may_be(evidence.plan, &|deed| deeds.contains(&deed))
                });
                if !is_true {
                    complaints.push(format!("nothing explains why the run should say: {why}"));
                }
            }
            _ => complaints.push(format!(
                "the run neither ends nor says why ({standing:?}, after {deeds:?}):\n{}",
                last_lines(&evidence.master.stderr)
            )),
        }
    }
    complaints
}

/// Why a run stands still, in its words, and whether that can be so after what was broken.
type Reason = (&'static str, fn(&Plan, &dyn Fn(Deed) -> bool) -> bool);

const REASONS: [Reason; 7] = [
    ("lines were dropped here", |_, was_done| was_done(Deed::MasterLogStop)),
    ("the reader of the output takes no more rows", |_, was_done| was_done(Deed::ReaderStop)),
    ("the run has no node", |plan, was_done| {
        let killer = Order::Poison(Poison::KillSlave);
        let costs_nodes = |deed: &Deed| deed.cost() == Cost::Nodes && was_done(*deed);
        Deed::LASTING.iter().chain(&Deed::HEALED).any(costs_nodes)
            || plan.records.iter().any(|record| record.order == killer)
    }),
    (" is at slot ", a_record_can_wait),
    (" are at slot ", a_record_can_wait),
    ("and does not finish it", a_record_can_wait),
    ("is in its last flush", a_record_can_wait),
];

/// With a time limit for records, whatever has begun ends.
fn a_record_can_wait(plan: &Plan, was_done: &dyn Fn(Deed) -> bool) -> bool {
    was_done(Deed::WorkerFreeze) && plan.record_timeout_ms.is_none()
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
    let kills = evidence.has_done(|deed| deed.cost() == Cost::Workers);
    // Nodes that a record has brought down are no reason for another one to fail.
    let may_lose_nodes = evidence.nodes_lost() > 4 && evidence.has_done(|deed| deed.cost() == Cost::Nodes);
    for (id, failed) in &evidence.failed {
        let Some(record) = evidence.plan.records.get(*id) else {
            complaints.push(format!("a record failed that there is not: {failed:?}"));
            continue;
        };
        let attempts = failed.attempts as usize;
        let is_accident = match failed.reason.as_str() {
            // The worker was killed from outside, or was stopped, as often as a record can be tried.
            "crash" | "timeout" => kills && attempts >= attempts_max,
            "lost" => may_lose_nodes,
            _ => false,
        };
        let own = match record.order {
            Order::Poison(poison @ (Poison::Reject | Poison::Leak | Poison::KillSlave)) => {
                failed.reason == poison.reason()
            }
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
        let is_bounded = evidence.master_kills() == 0 && evidence.has_whole_log();
        if is_bounded && attempts + evidence.nodes_lost() < evidence.runs(*id) {
            complaints.push(format!("record {id} was run {} times: {failed:?}", evidence.runs(*id)));
        }
    }
    complaints
}

/// G2: a record runs again only for a reason: its own retry, or a lost worker or node. A killed master counts
/// for as many executions as a record has attempts.
fn executions_are_bounded(evidence: &Evidence<'_>) -> Vec<String> {
    if !evidence.has_whole_log() {
        return Vec::new();
    }
    let losses = evidence.workers_lost() + evidence.nodes_lost();
    let most = (1 + evidence.plan.retries) * (1 + evidence.master_kills()) + losses;
    let too_many = evidence.runs.iter().filter(|(_, runs)| **runs > most);
    too_many
        .map(|(id, runs)| format!("record {id} was run {runs} times, and {most} would be too many"))
        .collect()
}

/// G2: the death of a worker costs at most the record that it was running. So where no node was lost, plain
/// records ran again at most once for each worker that was ended from outside, and the summary counts every
/// execution.
fn a_workers_death_costs_one_execution(evidence: &Evidence<'_>) -> Vec<String> {
    if evidence.has_node_trouble() || !evidence.has_whole_log() {
        return Vec::new();
    }
    let orders =
        evidence.runs.iter().filter_map(|(id, runs)| Some((evidence.plan.records.get(*id)?.order, *runs)));
    let mut complaints = Vec::from_iter(too_many_ran_again(orders, &evidence.master.stderr));
    // A worker that was killed after a record had begun, but before the task could note it, counts as well.
    let noted = evidence.executions() - evidence.runs.len();
    if !(noted..=noted + evidence.workers_ended_from_outside()).contains(&evidence.count("retried")) {
        complaints.push(format!("{noted} executions were not a record's first: {}", evidence.summary));
    }
    complaints
}

/// What is wrong if records with these orders were run so often, and this is the master's log.
fn too_many_ran_again(runs: impl IntoIterator<Item = (Order, usize)>, log: &str) -> Option<String> {
    let plain = runs.into_iter().filter(|(order, _)| order.is_plain());
    let again: usize = plain.map(|(_, runs)| runs - 1).sum();
    let killed = losses_from_outside(log);
    (again > killed)
        .then(|| format!("{again} plain records were run again, and {killed} workers were killed"))
}

/// Partitioned runs: what ran once ran in the order of its key, as long as no node was lost. (Nodes that join
/// or drain do not matter. A record that is tried again runs after those that followed it.)
fn keys_are_in_order(evidence: &Evidence<'_>) -> Vec<String> {
    let may_know = evidence.has_whole_log() && !evidence.has_node_trouble();
    if !evidence.plan.mode.is_partitioned() || !may_know {
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

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
simplegrid: warning: a worker was lost: the worker was ended by signal SIGSEGV node=\"n\" slot=0
simplegrid: warning: a worker was lost: it took longer than the limit of 2s node=\"n\" slot=0
simplegrid: warning: a worker was lost: the worker was ended by signal SIGABRT node=\"n\" slot=0
simplegrid: warning: a worker was lost: the worker was ended by signal SIGABRT node=\"n\" slot=0
";

    #[test]
    fn a_poisonous_record_that_its_neighbour_strikes_hides_no_worker_that_was_stopped() {
        // The first run of the one that crashes a flush ended with its neighbour's.
        let poison = [Poison::Segv, Poison::FlushAbort].map(Order::Poison);
        let runs = [(poison[0], 1), (poison[1], 3), (Order::Ok, 2), (Order::Ok, 1)];
        assert_eq!(too_many_ran_again(runs, LOG), None);
    }

    #[test]
    fn a_plain_record_that_ran_again_for_no_reason_is_found() {
        let runs = [(Order::Poison(Poison::Segv), 3), (Order::Ok, 2), (Order::Rows(2), 2)];
        let wrong = "2 plain records were run again, and 1 workers were killed";
        assert_eq!(too_many_ran_again(runs, LOG).as_deref(), Some(wrong));
    }
}
