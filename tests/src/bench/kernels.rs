//! The few pieces of the program that everything passes through, each alone: what `cargo bench` times, and
//! what [`instructions`](super::instructions) counts.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use simplegrid::internals::ids::{BatchId, Epoch, NodeId, SlotId, SlotIndex};
use simplegrid::internals::master::{Action, DispatchState, KeySource, RunRules};
use simplegrid::internals::plugin::{Cells, LoadedPlugin, TaskHost};
use simplegrid::internals::record::{Block, Format, Piece, Records};
use simplegrid::internals::schedule::{FieldKey, Rendezvous, node_identity};
use simplegrid::internals::scoreboard::{self, Outcome};
use simplegrid::internals::wire::{Batch, MasterToSlave, ReportHead, SeqRanges};
use simplegrid_fuzz_targets::codec;
use simplegrid_plugin_api::{Status, abi};

use crate::program;

/// Bytes of a batch, as fast tasks get them.
const BATCH_BYTES: usize = 256 * 1024;

const LINE: &[u8] = b"user0000001@site042.info,51847157,the quick brown fox\n";

/// Does its piece of work once per call.
pub type Work = Box<dyn FnMut()>;

/// A piece of the program.
pub struct Kernel {
    /// Its name.
    pub name: &'static str,
    /// What one call does.
    pub one_call: &'static str,
    /// Prepares it.
    pub prepare: fn() -> Work,
}

/// All of them.
pub const ALL: [Kernel; 6] = [
    Kernel { name: "frame", one_call: "encode and decode a batch of 256 KiB", prepare: frame },
    Kernel { name: "reader", one_call: "cut a block of 256 KiB into lines", prepare: reader },
    Kernel { name: "key", one_call: "find a record's field and its slot among 8 × 8", prepare: key },
    Kernel { name: "dispatch", one_call: "place a batch and settle its report, 64 slots", prepare: dispatch },
    Kernel { name: "weave", one_call: "the same by key and in order, two batches", prepare: weave },
    Kernel { name: "plugin", one_call: "call the task echo for a record", prepare: plugin },
];

fn batch() -> Records {
    Records::from_iter(std::iter::repeat_n(LINE, BATCH_BYTES / LINE.len()))
}

fn frame() -> Work {
    let records = batch();
    Box::new(move || {
        let batch = Batch {
            batch: BatchId(7),
            slot: SlotIndex(1),
            epoch: Epoch(0),
            records: records.clone(),
            with_row_ends: false,
            seqs: SeqRanges::default(),
        };
        let bytes = codec::encode(&batch.into_frame());
        black_box(codec::decode::<MasterToSlave>(&bytes).expect("it was just encoded"));
    })
}

fn reader() -> Work {
    let input = LINE.repeat(BATCH_BYTES / LINE.len());
    let mut block = Block::new(Format::Lines, 1 << 20, BATCH_BYTES);
    Box::new(move || {
        let mut rest = &input[..];
        while !rest.is_empty() {
            let room = block.room();
            let (now, later) = rest.split_at(rest.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            block.on_read(now.len());
            rest = later;
            while let Some(Piece::Records(records)) = block.take() {
                black_box(records);
            }
        }
    })
}

fn key() -> Work {
    let slots = (0..8).flat_map(|node| {
        let identity = node_identity(&format!("node{node}:1337"));
        (0..8).map(move |index| (SlotId { node: NodeId(node), index: SlotIndex(index) }, identity))
    });
    let rendezvous = Rendezvous::new(slots);
    let mut field = FieldKey::new(0, b'\n');
    let mut key = Vec::new();
    Box::new(move || {
        key.clear();
        field.key_into(LINE, &mut key).expect("the line has a first field");
        black_box(rendezvous.choose(&key));
    })
}

/// A run whose slots all have work, and that gets a report and gives a batch with each call.
struct Run {
    state: DispatchState,
    now: Instant,
    block: Records,
    sent: std::collections::VecDeque<(SlotId, Epoch, BatchId, Records)>,
}

impl Run {
    fn new(rules: RunRules, nodes: u32, slots: u16, block: Records) -> Self {
        let now = Instant::now();
        let mut run = Self { state: DispatchState::new(rules), now, block, sent: Default::default() };
        for node in (0..nodes).map(NodeId) {
            let actions = run.state.on_node_joined(node, &format!("node{}:1", node.0), slots, false, now);
            run.perform(actions);
            run.state.on_round_trip(node, Duration::from_micros(100));
            for index in (0..slots).map(SlotIndex) {
                let actions = run.state.on_slot_up(SlotId { node, index }, Epoch(0), now);
                run.perform(actions);
            }
        }
        run
    }

    fn step(&mut self) {
        while self.state.wants_records() {
            let actions = self.state.on_records_read(self.block.clone(), None, self.now);
            self.perform(actions);
        }
        let (slot, epoch, batch, records) = self.sent.pop_front().expect("a slot has work");
        let busy_ns = 50 * records.len() as u64;
        let head = ReportHead { slot: slot.index, epoch, batch, all_done: true, last: true, busy_ns };
        let (table, rows) = (ends_of(batch, &records), records.data().clone());
        let actions = self.state.on_report(slot.node, &head, &table, &rows, self.now);
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { slot, epoch, batch, records, with_row_ends, .. } => {
                    let records = if with_row_ends { records } else { records.slice(0..0) };
                    self.sent.push_back((slot, epoch, batch, records));
                }
                other => drop(black_box(other)),
            }
        }
    }
}

/// A report's table that says where the rows of each record end.
fn ends_of(batch: BatchId, records: &Records) -> Bytes {
    let mut end = 0;
    Outcome::table(records.iter().enumerate().map(|(index, record)| {
        end += record.len() as u64;
        Outcome { end, batch_low: batch.0 as u32, index: index as u16, status: scoreboard::Status::Done }
    }))
}

fn dispatch() -> Work {
    let rules = RunRules { retries: 2, keep_order: true, format: Format::Lines, keys: None };
    let mut run = Run::new(rules, 8, 8, batch());
    Box::new(move || run.step())
}

struct ByField(FieldKey);

impl simplegrid::internals::master::KeyOf for ByField {
    fn key_into(&mut self, content: &[u8], key: &mut Vec<u8>) -> Result<(), String> {
        self.0.key_into(content, key).map_err(|error| error.to_string())
    }
}

fn weave() -> Work {
    let keys = Some(KeySource::Here(Box::new(ByField(FieldKey::new(0, b'\n')))));
    let rules = RunRules { retries: 2, keep_order: true, format: Format::Lines, keys };
    let lines =
        (0..4096).map(|number| format!("key{},the quick brown fox jumps over a dog\n", number % 1009));
    let mut run = Run::new(rules, 2, 1, lines.collect());
    Box::new(move || {
        run.step();
        run.step();
    })
}

/// A host that only counts.
struct Counting(Arc<AtomicBool>, usize);

impl TaskHost for Counting {
    fn emit(&mut self, _: Cells<'_>) -> Status {
        Status::Ok
    }

    fn line(&mut self, line: &[u8]) -> Status {
        self.1 += line.len();
        Status::Ok
    }

    fn fields(&mut self, _: &[u8]) -> &[abi::Bytes] {
        &[]
    }

    fn done(&mut self, _: u64, _: Status, _: &[u8]) {}

    fn stopping(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

fn plugin() -> Work {
    let plugin = LoadedPlugin::open(&program::library("echo")).expect("cargo has built it");
    let mut task = plugin.create("echo", &[], Counting(Arc::default(), 0)).expect("it takes no arguments");
    let mut record = 0;
    Box::new(move || {
        record += 1;
        black_box(task.handle(record, LINE));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_works_again_and_again() {
        for kernel in &ALL {
            let mut work = (kernel.prepare)();
            (0..200).for_each(|_| work());
        }
    }
}
