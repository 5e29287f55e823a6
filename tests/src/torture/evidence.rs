//! What a round has left behind, as far as it can be seen from outside.

use std::collections::BTreeMap;

use serde_json::Value;

use super::deed::{Cost, Deed};
use super::patience::Standstill;
use super::plan::Plan;
use super::records::Planned;
use super::rival::Rival;
use crate::call::Finished;
use crate::failed_record::FailedRecord;
use crate::grid::Grid;

/// How it is said that a worker was ended by something other than the record that it ran: it was killed, it
/// was stopped and its record took too long, or it was stopped and began nothing.
const FROM_OUTSIDE: [&str; 3] = ["SIGKILL", "it took longer than the limit", "began none"];

/// A row of the output, taken apart (`hostile-plugin/src/tagged.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// Its record.
    pub id: usize,
    /// Its record's key.
    pub key: usize,
    /// The worker that wrote it.
    pub process: u32,
    /// Which of its record's rows it is.
    pub index: usize,
    /// How long its record was.
    pub bytes: usize,
}

/// What a round has left behind.
#[derive(Debug)]
pub(super) struct Evidence<'p> {
    /// What was meant to happen.
    pub plan: &'p Plan,
    /// The output.
    pub rows: Vec<Result<Row, String>>,
    /// The failed records, by id,
    pub failed: BTreeMap<usize, FailedRecord>,
    /// and how many lines they have.
    pub failed_lines: usize,
    /// The summary.
    pub summary: Value,
    /// How the master ended.
    pub master: Finished,
    /// Whether it was told to end before its input was over.
    pub was_drained: bool,
    /// What was broken.
    pub deeds: &'p [Deed],
    /// When the run stood still.
    pub standstills: Vec<Standstill>,
    /// Executions in the order in which they began: id and worker.
    pub log: Vec<(usize, u32)>,
    /// How often each record was run.
    pub runs: BTreeMap<usize, usize>,
}

impl<'p> Evidence<'p> {
    /// Reads everything that a round has written.
    pub(super) fn gather(
        grid: &Grid,
        plan: &'p Plan,
        master: Finished,
        was_drained: bool,
        deeds: &'p [Deed],
        standstills: Vec<Standstill>,
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
            standstills,
            log,
            runs,
        }
    }

    /// How many executions there were.
    pub(super) fn executions(&self) -> usize {
        self.log.len()
    }

    /// A number of the summary.
    pub(super) fn count(&self, name: &str) -> usize {
        self.summary[name].as_u64().unwrap_or_default() as usize
    }

    /// Records that failed.
    pub(super) fn failures(&self) -> usize {
        self.failed.len()
    }

    /// How often a record was run.
    pub(super) fn runs(&self, id: usize) -> usize {
        self.runs.get(&id).copied().unwrap_or_default()
    }

    /// Workers whose death the master has seen.
    pub(super) fn workers_lost(&self) -> usize {
        self.master.stderr.matches("a worker was lost").count()
    }

    /// Workers among them that did not die of what they ran.
    pub(super) fn workers_ended_from_outside(&self) -> usize {
        losses_from_outside(&self.master.stderr)
    }

    /// Nodes that the master has lost, summed over all its processes.
    pub(super) fn nodes_lost(&self) -> usize {
        self.master.stderr.matches("a node was lost").count()
    }

    /// How often the master was killed, or another one took its place. Each time the work since the last
    /// checkpoint can run again, or all of it, and what had failed can be tried as often as before.
    pub(super) fn master_kills(&self) -> usize {
        self.deeds.iter().filter(|deed| matches!(deed, Deed::MasterKill | Deed::MasterFreeze)).count()
    }

    /// Whether everything that the master has said was heard: if its log has no reader, lines are left out.
    pub(super) fn has_whole_log(&self) -> bool {
        !self.has_done(|deed| deed == Deed::MasterLogStop)
    }

    /// Whether a deed could have cost nodes, or the master has lost any.
    pub(super) fn has_node_trouble(&self) -> bool {
        self.nodes_lost() > 0 || self.has_done(|deed| deed.cost() == Cost::Nodes)
    }

    /// Records that the master has read, with their ids.
    pub(super) fn read(&self) -> impl Iterator<Item = (usize, &Planned)> {
        self.plan.records.iter().enumerate().take(self.count("read"))
    }

    pub(super) fn has_done(&self, deed: impl Fn(Deed) -> bool) -> bool {
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

/// How many workers did not die of what they ran, by what the master said of their deaths. Those of poisonous
/// records cannot be counted and subtracted: one that is held can be struck by the death of a neighbour, and
/// has no death of its own then.
pub(super) fn losses_from_outside(log: &str) -> usize {
    let causes =
        log.lines().filter_map(|line| line.split_once("a worker was lost: ")).map(|(_, cause)| cause);
    causes.filter(|cause| FROM_OUTSIDE.iter().any(|sign| cause.contains(sign))).count()
}

fn tagged_id((record, worker): (&str, u32)) -> Option<(usize, u32)> {
    Some((record.strip_prefix('@')?.parse().ok()?, worker))
}
