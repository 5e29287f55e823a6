//! The run, its honest slave, and what the other slave has been sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use simplegrid::internals::ids::{BatchId, Epoch, NodeId, SlotId, SlotIndex};
use simplegrid::internals::limits::BATCHES_PER_SLOT_MAX;
use simplegrid::internals::master::{Action, DispatchState, KeyOf, KeySource, RunRules};
use simplegrid::internals::record::{Format, Records};
use simplegrid::internals::scoreboard::{Outcome, Status};
use simplegrid::internals::wire::ReportHead;

use super::bad_slave;
use crate::script::Script;

/// Slots of each slave.
pub(super) const SLOTS: u16 = 2;

const HONEST: NodeId = NodeId(0);

/// How many bad slaves come, one after the other.
const BAD_SLAVES_MAX: u32 = 4;

/// Something that a slot was sent.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub slot: SlotId,
    pub epoch: Epoch,
    pub batch: BatchId,
    /// `None` for a flush.
    pub records: Option<Vec<Vec<u8>>>,
    pub with_row_ends: bool,
}

/// A run and its two slaves.
pub(super) struct Grid {
    pub state: DispatchState,
    pub now: Instant,
    /// What the bad slave's slots have in flight.
    pub at_bad: BTreeMap<SlotId, Vec<Item>>,
    pub bad: NodeId,
    at_honest: Vec<Item>,
    written: Vec<u8>,
    keeps_order: bool,
    read: usize,
}

/// A record's first letter is its key.
struct FirstLetter;

impl KeyOf for FirstLetter {
    fn key_into(&mut self, content: &[u8], key: &mut Vec<u8>) -> Result<(), String> {
        key.push(*content.first().ok_or("it is empty")?);
        Ok(())
    }
}

impl Grid {
    /// Both slaves are there, with all their workers.
    pub(super) fn new(choices: u8) -> Self {
        let keeps_order = choices & 1 == 1;
        let keys = (choices & 2 == 2).then(|| KeySource::Here(Box::new(FirstLetter)));
        let rules = RunRules { retries: 2, keep_order: keeps_order, format: Format::Lines, keys };
        let mut grid = Self {
            state: DispatchState::new(rules),
            now: Instant::now(),
            at_bad: BTreeMap::new(),
            bad: HONEST,
            at_honest: Vec::new(),
            written: Vec::new(),
            keeps_order,
            read: 0,
        };
        grid.join(HONEST);
        grid.replace_bad_slave();
        grid
    }

    fn join(&mut self, node: NodeId) {
        let actions = self.state.on_node_joined(node, &format!("n{}:1", node.0), SLOTS, false, self.now);
        self.take(actions);
        for index in (0..SLOTS).map(SlotIndex) {
            let actions = self.state.on_slot_up(SlotId { node, index }, Epoch(0), self.now);
            self.take(actions);
        }
    }

    /// The bad slave is lost, and another one joins.
    pub(super) fn replace_bad_slave(&mut self) {
        if self.bad.0 < BAD_SLAVES_MAX {
            self.lose_bad_slave();
            self.bad = NodeId(self.bad.0 + 1);
            self.join(self.bad);
        }
    }

    /// The bad slave is lost.
    pub(super) fn lose_bad_slave(&mut self) {
        if self.bad != HONEST {
            self.at_bad.clear();
            let actions = self.state.on_node_lost(self.bad, "it went", self.now);
            self.take(actions);
        }
    }

    /// The bad slave says something.
    pub(super) fn hear_bad_slave(&mut self, script: &mut Script<'_>) {
        let actions = bad_slave::say(self, script);
        self.take(actions);
    }

    /// Reads records, if the run wants any. Each is a letter, which is its key, and its number.
    pub(super) fn read(&mut self, records: u8) {
        if self.state.wants_records() {
            let numbers = self.read..self.read + usize::from(records);
            self.read = numbers.end;
            let letter = |number: usize| char::from(b'a' + (number % 7) as u8);
            let lines = numbers.map(|number| format!("{}{number}\n", letter(number)));
            let actions = self.state.on_records_read(Records::from_iter(lines), None, self.now);
            self.take(actions);
        }
    }

    /// The input is over.
    pub(super) fn end_input(&mut self) {
        let actions = self.state.on_input_end(self.now);
        self.take(actions);
    }

    /// Time passes.
    pub(super) fn pass(&mut self, time_ms: u64) {
        self.now += Duration::from_millis(time_ms);
        let actions = self.state.on_tick(self.now);
        self.take(actions);
    }

    /// The honest slave does the oldest work that it was sent. The row of a record is an `H` and the record.
    pub(super) fn answer_honestly(&mut self) {
        if self.at_honest.is_empty() {
            return;
        }
        let Item { slot, epoch, batch, records, with_row_ends } = self.at_honest.remove(0);
        let (mut outcomes, mut body) = (Vec::new(), Vec::new());
        for (index, record) in records.iter().flatten().enumerate() {
            body.extend([b"H", &record[..]].concat());
            let (end, batch_low) = (body.len() as u64, batch.0 as u32);
            outcomes.push(Outcome { end, batch_low, index: index as u16, status: Status::Done });
        }
        let all_done = records.is_some() && !with_row_ends;
        if all_done {
            outcomes.clear();
        }
        let report =
            ReportHead { slot: slot.index, epoch, batch, all_done, last: true, busy_ns: body.len() as u64 };
        let (table, body) = (Outcome::table(outcomes), Bytes::from(body));
        let actions = self.state.on_report(slot.node, &report, &table, &body, self.now);
        self.take(actions);
    }

    /// Whether the run is over.
    pub(super) fn is_finished(&self) -> bool {
        self.state.is_finished()
    }

    /// At the end, every record has ended, and no honest row was written twice.
    pub(super) fn check_end(&self) {
        let counts = self.state.counts();
        assert_eq!(counts.read, self.read as u64);
        assert_eq!(counts.read, counts.done + counts.failed);
        let rows = self.written.split(|byte| *byte == b'H').skip(1).filter_map(|row| {
            let digits = row.iter().skip(1).take_while(|byte| byte.is_ascii_digit());
            String::from_utf8_lossy(&digits.copied().collect::<Vec<_>>()).parse::<u64>().ok()
        });
        let rows: Vec<_> = rows.collect();
        assert!(!self.keeps_order || rows.is_sorted(), "rows come in the order of the input: {rows:?}");
        let different: BTreeSet<_> = rows.iter().collect();
        assert_eq!(different.len(), rows.len(), "a row is written once");
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { slot, epoch, batch, records, with_row_ends, .. } => {
                    let records = Some(records.iter().map(<[u8]>::to_vec).collect());
                    self.sent(Item { slot, epoch, batch, records, with_row_ends });
                }
                Action::Flush { slot, epoch, batch } => {
                    self.sent(Item { slot, epoch, batch, records: None, with_row_ends: false });
                }
                Action::Write(ready) => {
                    ready.rows.iter().for_each(|rows| self.written.extend_from_slice(rows))
                }
                Action::Fail(_) => {}
                Action::GiveUp { node, reason } => {
                    assert_ne!(node, HONEST, "the honest slave keeps the rules: {reason}");
                    self.at_bad.clear();
                }
                Action::LetGo(node) => assert_ne!(node, HONEST, "the honest slave does not drain"),
            }
        }
        self.state.sanity_check();
        for items in self.at_bad.values() {
            let batches = items.iter().filter(|item| item.records.is_some()).count();
            assert!(batches <= BATCHES_PER_SLOT_MAX, "a slot has more in flight than its credit");
        }
    }

    fn sent(&mut self, item: Item) {
        match item.slot.node {
            HONEST => self.at_honest.push(item),
            _ => self.at_bad.entry(item.slot).or_default().push(item),
        }
    }
}
