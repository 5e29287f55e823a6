//! A run whose slaves are the test itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::ids::{BatchId, Epoch, NodeId, SlotId, SlotIndex};
use crate::master::decisions::{Action, DispatchState, Earlier, FailedRecord, KeyOf, KeySource, RunRules};
use crate::record::{Format, Records};
use crate::scoreboard::{Outcome, Status};
use crate::wire::{Blame, LossKind, ReportHead, SlotLost};

/// A batch that the run has sent.
#[derive(Debug, Clone)]
pub(super) struct SentBatch {
    pub slot: SlotId,
    pub epoch: Epoch,
    pub batch: BatchId,
    pub records: Vec<String>,
    pub with_row_ends: bool,
}

/// What a worker says of one record: its status, and its rows or its message.
pub(super) type Said = (u16, Status, String);

pub(super) struct TestRun {
    pub state: DispatchState,
    pub now: Instant,
    pub sent: Vec<SentBatch>,
    pub flushes: Vec<(SlotId, Epoch, BatchId)>,
    pub written: Vec<String>,
    pub failed: Vec<FailedRecord>,
    pub let_go: Vec<NodeId>,
    pub given_up: Vec<(NodeId, String)>,
    pub finished: bool,
    epochs: BTreeMap<SlotId, Epoch>,
}

/// The key of a record is its first letter; a record without one has none.
struct FirstLetter;

impl KeyOf for FirstLetter {
    fn key_into(&mut self, content: &[u8], key: &mut Vec<u8>) -> Result<(), String> {
        key.push(*content.first().ok_or("it is empty")?);
        Ok(())
    }
}

pub(super) fn rules() -> RunRules {
    RunRules { retries: 2, keep_order: false, format: Format::Lines, keys: None }
}

pub(super) fn in_order() -> RunRules {
    RunRules { keep_order: true, ..rules() }
}

pub(super) fn by_first_letter() -> RunRules {
    RunRules { keys: Some(KeySource::Here(Box::new(FirstLetter))), ..rules() }
}

pub(super) fn slot(node: u32, index: u16) -> SlotId {
    SlotId { node: NodeId(node), index: SlotIndex(index) }
}

impl TestRun {
    /// A run with nodes 0, 1, … of so many slots each, all of them up.
    pub(super) fn new(rules: RunRules, slots_of_nodes: &[u16]) -> Self {
        Self::with_state(DispatchState::new(rules), slots_of_nodes)
    }

    /// The same, for a run that goes on after others.
    pub(super) fn resume(rules: RunRules, earlier: &Earlier, slots_of_nodes: &[u16]) -> Self {
        Self::with_state(DispatchState::resume(rules, earlier), slots_of_nodes)
    }

    fn with_state(state: DispatchState, slots_of_nodes: &[u16]) -> Self {
        let mut run = Self {
            state,
            now: Instant::now(),
            sent: Vec::new(),
            flushes: Vec::new(),
            written: Vec::new(),
            failed: Vec::new(),
            let_go: Vec::new(),
            given_up: Vec::new(),
            finished: false,
            epochs: BTreeMap::new(),
        };
        for (node, slots) in slots_of_nodes.iter().enumerate() {
            run.join(node as u32, *slots);
        }
        run
    }

    pub(super) fn join(&mut self, node: u32, slots: u16) {
        let actions = self.state.on_node_joined(NodeId(node), &format!("n{node}:1"), slots, false, self.now);
        self.take(actions);
        for index in 0..slots {
            self.up(slot(node, index));
        }
    }

    pub(super) fn up(&mut self, slot: SlotId) {
        let epoch = self.epochs.entry(slot).or_default();
        let actions = self.state.on_slot_up(slot, *epoch, self.now);
        self.take(actions);
    }

    /// Reads lines, if the run wants any.
    pub(super) fn read<S: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = S>) {
        self.read_with_rest(lines, None);
    }

    /// The same, when it is known how many bytes follow.
    pub(super) fn read_with_rest<S: AsRef<str>>(
        &mut self,
        lines: impl IntoIterator<Item = S>,
        remaining_bytes: Option<u64>,
    ) {
        assert!(self.state.wants_records(), "nothing is read that cannot be placed");
        let records = Records::from_iter(lines.into_iter().map(|line| format!("{}\n", line.as_ref())));
        let actions = self.state.on_records_read(records, remaining_bytes, self.now);
        self.take(actions);
    }

    pub(super) fn end_input(&mut self) {
        let actions = self.state.on_input_end(self.now);
        self.take(actions);
    }

    /// The batch that was sent last, taken from those that are not answered.
    pub(super) fn last_sent(&mut self) -> SentBatch {
        self.sent.pop().expect("a batch was sent")
    }

    /// The oldest batch that was sent to a slot and is not answered.
    pub(super) fn sent_to(&mut self, slot: SlotId) -> SentBatch {
        let at = self.sent.iter().position(|sent| sent.slot == slot).expect("a batch was sent there");
        self.sent.remove(at)
    }

    /// A worker finishes a batch: every record is done, and its row is the record itself.
    pub(super) fn echo(&mut self, batch: &SentBatch) {
        if batch.with_row_ends {
            let said = batch.records.iter().enumerate();
            let said: Vec<Said> =
                said.map(|(index, row)| (index as u16, Status::Done, format!("{row}\n"))).collect();
            return self.say(batch, batch.batch, &said, true);
        }
        let body: String = batch.records.iter().map(|record| format!("{record}\n")).collect();
        self.report(batch, true, true, Bytes::new(), body.into());
    }

    /// A worker says something of single records, of this batch or, through `about`, of another.
    pub(super) fn say(&mut self, batch: &SentBatch, about: BatchId, said: &[Said], last: bool) {
        let mut outcomes = Vec::new();
        let mut body = String::new();
        for (index, status, text) in said {
            body.push_str(text);
            let (end, batch_low) = (body.len() as u64, about.0 as u32);
            outcomes.push(Outcome { end, batch_low, index: *index, status: *status });
        }
        self.report(batch, false, last, Outcome::table(outcomes), body.into());
    }

    pub(super) fn flushed(
        &mut self,
        flush: (SlotId, Epoch, BatchId),
        about: BatchId,
        said: &[Said],
        loose: &str,
    ) {
        let (slot, epoch, batch) = flush;
        let records = Vec::new();
        let item = SentBatch { slot, epoch, batch, records, with_row_ends: false };
        if loose.is_empty() {
            return self.say(&item, about, said, true);
        }
        assert!(said.is_empty(), "loose rows come alone here");
        self.report(&item, false, true, Bytes::new(), loose.to_owned().into());
    }

    fn report(&mut self, batch: &SentBatch, all_done: bool, last: bool, table: Bytes, body: Bytes) {
        let report = ReportHead {
            slot: batch.slot.index,
            epoch: batch.epoch,
            batch: batch.batch,
            all_done,
            last,
            busy_ns: 1_000 * batch.records.len() as u64,
        };
        let actions = self.state.on_report(batch.slot.node, &report, &table, &body, self.now);
        self.take(actions);
    }

    /// A worker dies, on a record or not. Its successor is not up yet.
    pub(super) fn kill(&mut self, slot: SlotId, kind: LossKind, blame: Option<(BatchId, u16)>) {
        let epoch = self.epochs.entry(slot).or_default();
        let lost = SlotLost {
            slot: slot.index,
            epoch: *epoch,
            blame: blame.map(|(batch, index)| Blame { batch, index, records: 1 }),
            kind,
            message: "killed".to_owned(),
        };
        *epoch = epoch.next();
        let actions = self.state.on_slot_lost(slot.node, &lost, self.now);
        self.take(actions);
        self.sent.retain(|sent| sent.slot != slot);
        self.flushes.retain(|flush| flush.0 != slot);
    }

    pub(super) fn lose_node(&mut self, node: u32) {
        let actions = self.state.on_node_lost(NodeId(node), "silent", self.now);
        self.take(actions);
        self.flushes.retain(|flush| flush.0.node != NodeId(node));
    }

    pub(super) fn drain(&mut self, node: u32) {
        let actions = self.state.on_node_draining(NodeId(node), self.now);
        self.take(actions);
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        let actions = self.state.on_tick(self.now);
        self.take(actions);
    }

    /// What was written since the last time, as one text.
    pub(super) fn take_written(&mut self) -> String {
        std::mem::take(&mut self.written).concat()
    }

    pub(super) fn take(&mut self, actions: Vec<Action>) {
        assert!(!self.finished || actions.is_empty(), "nothing happens after the end, but {actions:?}");
        for action in actions {
            match action {
                Action::Send { slot, epoch, batch, records, with_row_ends, .. } => {
                    let text = |record| String::from_utf8_lossy(Format::Lines.content(record)).into_owned();
                    let records = records.iter().map(text).collect();
                    self.sent.push(SentBatch { slot, epoch, batch, records, with_row_ends });
                }
                Action::Flush { slot, epoch, batch } => self.flushes.push((slot, epoch, batch)),
                Action::Write(ready) => {
                    self.written
                        .extend(ready.rows.iter().map(|rows| String::from_utf8_lossy(rows).into_owned()));
                }
                Action::Fail(failed) => self.failed.push(failed),
                Action::GiveUp { node, reason } => self.given_up.push((node, reason)),
                Action::LetGo(node) => self.let_go.push(node),
            }
        }
        self.finished = self.state.is_finished();
        self.state.sanity_check();
    }
}
