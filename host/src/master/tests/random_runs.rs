//! Thousands of random events, from a seed: whatever slaves do, and however often the master is killed and
//! goes on from its journal, every record ends once.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRng;

use super::test_run::{SentBatch, TestRun, by_first_letter, in_order, rules, slot};
use crate::ids::{BatchId, Epoch, SlotId};
use crate::master::decisions::{Earlier, FailedRecord, RunRules};
use crate::master::output::{Checkpoint, FileMark, Saved};
use crate::scoreboard::Status;
use crate::wire::LossKind;

const NODES: u32 = 3;
const SLOTS: u16 = 2;
const RECORDS: usize = 300;

struct RandomRun {
    run: TestRun,
    rng: TestRng,
    next_record: usize,
    /// Records that each slot's task holds.
    held: BTreeMap<SlotId, Vec<(BatchId, u16, String)>>,
    /// Answers of nodes and workers that were given up, and may still come.
    late: Vec<SentBatch>,
    nodes: Vec<u32>,
    next_node: u32,
    down: Vec<SlotId>,
    epochs: BTreeMap<SlotId, Epoch>,
}

/// What outlives a killed master: its journal, and its files up to the last checkpoint.
#[derive(Default)]
struct OnDisk {
    journal: Saved,
    rows: String,
    failed: Vec<FailedRecord>,
}

impl RandomRun {
    fn new(rules: RunRules, earlier: &Earlier, rng: TestRng) -> Self {
        let run = TestRun::resume(rules, earlier, &[SLOTS; NODES as usize]);
        Self {
            run,
            rng,
            next_record: 0,
            held: BTreeMap::new(),
            late: Vec::new(),
            nodes: (0..NODES).collect(),
            next_node: NODES,
            down: Vec::new(),
            epochs: BTreeMap::new(),
        }
    }

    /// Like the dispatcher: everything that was handed out so far is in the files when the checkpoint is
    /// written.
    fn checkpoint(&mut self, files: &mut OnDisk) {
        let Some(progress) = self.run.state.take_progress() else { return };
        files.rows += &self.run.take_written();
        files.failed.append(&mut self.run.failed);
        let mark = |bytes: usize| FileMark { bytes: bytes as u64, tail: 0 };
        let checkpoint =
            Checkpoint::new(&progress, self.run.finished).with_failed_file(mark(files.failed.len()));
        let whole = files.journal.add(&checkpoint.with_output(mark(files.rows.len())));
        assert!(whole, "a checkpoint adds up: {progress:?} after {:?}", files.journal);
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.rng.next_u64() % limit.max(1) as u64) as usize
    }

    fn step(&mut self) {
        match self.below(100) {
            0..25 => self.read(),
            25..80 => self.answer(),
            80..84 => self.kill_worker(),
            84..92 => self.revive_workers(),
            92..94 => self.lose_or_join_node(),
            94..97 => self.answer_late(),
            _ => self.run.pass(Duration::from_millis(200)),
        }
    }

    fn read(&mut self) {
        if !self.run.state.wants_records() || self.next_record >= RECORDS {
            return;
        }
        let count = 1 + self.below(20.min(RECORDS - self.next_record));
        let letter = |number: usize| char::from(b'a' + (number % 7) as u8);
        let lines =
            (self.next_record..self.next_record + count).map(|number| format!("{}{number}", letter(number)));
        self.run.read(lines.collect::<Vec<_>>());
        self.next_record += count;
    }

    /// A worker answers its oldest batch, or finishes a flush.
    fn answer(&mut self) {
        if !self.run.flushes.is_empty() {
            let flush = self.run.flushes.remove(0);
            return self.finish_flush(flush);
        }
        if self.run.sent.is_empty() {
            return self.flush_idle();
        }
        let at = self.below(self.run.sent.len());
        let slot = self.run.sent[at].slot;
        let batch = self.run.sent_to(slot);
        let plain = self.below(2) == 0;
        if plain {
            return self.run.echo(&batch);
        }
        let mut said = Vec::new();
        for (index, record) in batch.records.clone().into_iter().enumerate() {
            let index = index as u16;
            said.push(match self.below(20) {
                0 => (index, Status::Retry, "later".to_owned()),
                1..4 => {
                    self.held.entry(slot).or_default().push((batch.batch, index, record));
                    (index, Status::Held, String::new())
                }
                _ => (index, Status::Done, format!("{record}\n")),
            });
        }
        self.run.say(&batch, batch.batch, &said, true);
    }

    /// Tasks finish what they hold by and by, as a slave that is idle asks them to.
    fn flush_idle(&mut self) {
        let slots: Vec<_> = self.held.keys().copied().collect();
        for slot in slots {
            let epoch = self.epochs.get(&slot).copied().unwrap_or_default();
            self.finish_flush((slot, epoch, BatchId::OWN_FLUSH));
        }
    }

    fn finish_flush(&mut self, flush: (SlotId, Epoch, BatchId)) {
        let held = self.held.remove(&flush.0).unwrap_or_default();
        if held.is_empty() {
            return self.run.flushed(flush, BatchId(0), &[], "");
        }
        let count = held.len();
        for (at, (batch, index, record)) in held.into_iter().enumerate() {
            let said = [(index, Status::Done, format!("{record}\n"))];
            let item = SentBatch {
                slot: flush.0,
                epoch: flush.1,
                batch: flush.2,
                records: Vec::new(),
                with_row_ends: false,
            };
            self.run.say(&item, batch, &said, at + 1 == count);
        }
    }

    fn kill_worker(&mut self) {
        let at = self.below(self.nodes.len());
        let node = self.nodes[at];
        let slot = slot(node, self.below(SLOTS.into()) as u16);
        if self.down.contains(&slot) {
            return;
        }
        let victim = self.run.sent.iter().find(|sent| sent.slot == slot).cloned();
        let on_record = self.below(2) == 0;
        let blame = victim.as_ref().filter(|_| on_record).map(|batch| (batch.batch, 0));
        let kind = if blame.is_some() || self.below(2) == 0 { LossKind::Crash } else { LossKind::Flush };
        self.late.extend(victim);
        self.held.remove(&slot);
        self.run.kill(slot, kind, blame);
        let epoch = self.epochs.entry(slot).or_default();
        *epoch = epoch.next();
        self.down.push(slot);
    }

    fn revive_workers(&mut self) {
        for slot in std::mem::take(&mut self.down) {
            self.run.up(slot);
        }
    }

    fn lose_or_join_node(&mut self) {
        if self.nodes.len() > 1 && self.below(2) == 0 {
            let at = self.below(self.nodes.len());
            let node = self.nodes.remove(at);
            let (gone, sent): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.run.sent).into_iter().partition(|sent| sent.slot.node.0 == node);
            self.late.extend(gone);
            self.run.sent = sent;
            self.held.retain(|slot, _| slot.node.0 != node);
            self.down.retain(|slot| slot.node.0 != node);
            self.run.lose_node(node);
        } else if self.nodes.len() < 5 {
            self.nodes.push(self.next_node);
            self.run.join(self.next_node, SLOTS);
            self.next_node += 1;
        }
    }

    fn answer_late(&mut self) {
        if !self.late.is_empty() {
            let at = self.below(self.late.len());
            let batch = self.late.remove(at);
            self.run.echo(&batch);
        }
    }

    fn finish(&mut self) {
        while self.next_record < RECORDS {
            self.read();
            self.answer();
            self.revive_workers();
            self.run.pass(Duration::from_millis(50));
        }
        self.run.end_input();
        for _ in 0..20_000 {
            if self.run.finished {
                return;
            }
            self.revive_workers();
            self.answer();
            self.run.pass(Duration::from_secs(1));
        }
        panic!("the run does not end: {:?} {:?}", self.run.state.counts(), self.run.sent);
    }

    fn check(mut self, mut files: OnDisk, in_order: bool) {
        self.checkpoint(&mut files);
        assert!(files.journal.complete);
        let mut ended: Vec<usize> = Vec::new();
        let number = |line: &str| line[1..].parse::<usize>().unwrap();
        let rows: Vec<usize> = files.rows.lines().map(number).collect();
        if in_order {
            assert!(rows.is_sorted(), "rows come in the order of the input");
        }
        ended.extend(&rows);
        let failed = files.failed.iter();
        ended.extend(failed.map(|failed| number(String::from_utf8_lossy(&failed.record).trim_end())));
        ended.sort_unstable();
        assert_eq!(ended, (0..RECORDS).collect::<Vec<_>>(), "every record ends once");
        let counts = self.run.state.counts();
        assert_eq!((counts.read as usize, counts.done as usize), (RECORDS, rows.len()));
        assert_eq!((files.journal.earlier.done, files.journal.earlier.failed), (counts.done, counts.failed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_record_ends_once_whatever_slaves_do(
        seed in any::<[u8; 32]>(),
        kind in 0..4,
        kills in prop::collection::vec(0..250_usize, 0..4),
    ) {
        let rng = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
        let rules = || match kind {
            0 => rules(),
            1 => in_order(),
            2 => by_first_letter(),
            _ => RunRules { keep_order: true, ..by_first_letter() },
        };
        let mut files = OnDisk::default();
        let mut random = RandomRun::new(rules(), &files.journal.earlier, rng);
        for steps in kills {
            for _ in 0..steps {
                random.step();
                if random.below(10) == 0 {
                    random.checkpoint(&mut files);
                }
            }
            random = RandomRun::new(rules(), &files.journal.earlier, random.rng);
        }
        for _ in 0..400 {
            random.step();
        }
        random.finish();
        random.check(files, kind % 2 == 1);
    }
}
