//! A run on thousands of slots that do not exist: the dispatcher's state alone, in virtual time, with random
//! service times and losses. The same seed gives the same run.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs;
use std::time::{Duration, Instant};

use bytes::Bytes;
use simplegrid::internals::ids::{BatchId, Epoch, NodeId, SlotId, SlotIndex};
use simplegrid::internals::master::{Action, DispatchState, RunRules};
use simplegrid::internals::record::{Format, Records};
use simplegrid::internals::wire::{Blame, LossKind, ReportHead, SlotLost};

use super::Wishes;
use super::findings::Findings;
use super::sample::{Finding, Target};
use crate::dice::Dice;

const SLOTS_PER_NODE: u16 = 100;

/// The average time of a record; the times are exponentially distributed.
const SERVICE: Duration = Duration::from_millis(1);

/// The time that a report takes to the master, and its answer back.
const ROUND_TRIP: Duration = Duration::from_micros(200);

/// One batch in so many loses its worker.
const LOSS_ONE_IN: usize = 10_000;

/// How often the state is told that time has passed.
const TICK: Duration = Duration::from_millis(100);

/// Records of the block that is read again and again.
const BLOCK_RECORDS: usize = 16 * 1024;

/// Simulates runs with more and more slots; the last is the large one.
///
/// # Errors
/// If a run does not end as it should.
pub(super) fn run(wishes: &Wishes, findings: &mut Findings) -> anyhow::Result<()> {
    let per_slot = if wishes.quick { 2000 } else { 10_000 };
    for nodes in [1, 10, 100] {
        let slots = nodes * u32::from(SLOTS_PER_NODE);
        let before = resident_mib();
        let played = Simulation::new(nodes, u64::from(slots) * per_slot).play()?;
        let of = |name: &str, unit, figure: f64| {
            let name = format!("{name}, {slots} slots, {} records", played.records);
            Finding::new("simulation", name, unit, vec![figure]).at(f64::from(slots))
        };
        findings
            .add(of("makespan", "of ideal", played.makespan / played.ideal).should_be(Target::AtMost(1.05)));
        findings.add(of("busiest slot", "of average", played.busiest));
        findings.add(of("idlest slot", "of average", played.idlest));
        findings.add(of("time of the dispatcher", "µs per batch", played.us_per_batch));
        findings.add(of("records per batch", "records", played.records as f64 / played.batches as f64));
        findings.add(of("memory of the state", "MiB", (played.peak_mib - before).max(0.0)));
    }
    Ok(())
}

/// What was seen of a run.
struct Played {
    records: u64,
    batches: u64,
    /// Virtual seconds.
    makespan: f64,
    ideal: f64,
    busiest: f64,
    idlest: f64,
    us_per_batch: f64,
    peak_mib: f64,
}

/// What happens, in the order of time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick,
    Done(SlotId, Epoch, BatchId),
    Lost(SlotId, Epoch, BatchId),
    Up(SlotId),
}

struct Slot {
    epoch: Epoch,
    free_at: Duration,
    busy: Duration,
}

struct Simulation {
    state: DispatchState,
    began: Instant,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    /// Events that happen at the same time keep the order in which they were planned.
    planned: u64,
    slots: HashMap<SlotId, Slot>,
    service: HashMap<BatchId, Duration>,
    dice: Dice,
    block: Records,
    total: u64,
    read: u64,
    batches: u64,
}

impl Simulation {
    fn new(nodes: u32, records: u64) -> Self {
        let rules = RunRules { retries: 2, keep_order: false, format: Format::Lines, keys: None };
        let mut new = Self {
            state: DispatchState::new(rules),
            began: Instant::now(),
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            planned: 0,
            slots: HashMap::new(),
            service: HashMap::new(),
            dice: Dice::new(42),
            block: Records::from_iter((0..BLOCK_RECORDS).map(|_| "\n")),
            total: records,
            read: 0,
            batches: 0,
        };
        for node in (0..nodes).map(NodeId) {
            let actions =
                new.state.on_node_joined(node, &format!("node{}:1", node.0), SLOTS_PER_NODE, false, new.at());
            new.perform(actions);
            new.state.on_round_trip(node, ROUND_TRIP);
            for index in (0..SLOTS_PER_NODE).map(SlotIndex) {
                let slot = SlotId { node, index };
                let (free_at, busy) = (Duration::ZERO, Duration::ZERO);
                new.slots.insert(slot, Slot { epoch: Epoch(0), free_at, busy });
                new.plan(Duration::ZERO, Event::Up(slot));
            }
        }
        new.plan(TICK, Event::Tick);
        new
    }

    fn play(mut self) -> anyhow::Result<Played> {
        let began = Instant::now();
        let mut peak_mib = 0.0_f64;
        while !self.state.is_finished() {
            self.read();
            let Some(Reverse((at, _, event))) = self.events.pop() else {
                anyhow::bail!("nothing happens any more")
            };
            self.now = at;
            self.happen(event);
            if self.batches.is_multiple_of(100_000) {
                peak_mib = peak_mib.max(resident_mib());
            }
        }
        let real = began.elapsed();
        self.state.sanity_check();
        let counts = self.state.counts();
        anyhow::ensure!(counts.done == self.total, "{counts:?} of {} records", self.total);
        let slots = self.slots.len() as f64;
        let busy = |slot: &Slot| slot.busy.as_secs_f64();
        let average = self.slots.values().map(busy).sum::<f64>() / slots;
        Ok(Played {
            records: self.total,
            batches: self.batches,
            makespan: self.now.as_secs_f64(),
            ideal: average,
            busiest: self.slots.values().map(busy).fold(0.0, f64::max) / average,
            idlest: self.slots.values().map(busy).fold(f64::INFINITY, f64::min) / average,
            us_per_batch: real.as_secs_f64() * 1e6 / self.batches as f64,
            peak_mib: peak_mib.max(resident_mib()),
        })
    }

    fn read(&mut self) {
        while self.read < self.total && self.state.wants_records() {
            let count = (self.total - self.read).min(BLOCK_RECORDS as u64);
            self.read += count;
            let (records, rest) = (self.block.slice(0..count as usize), self.total - self.read);
            let actions = self.state.on_records_read(records, Some(rest), self.at());
            self.perform(actions);
            if rest == 0 {
                let actions = self.state.on_input_end(self.at());
                self.perform(actions);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        let at = self.at();
        let actions = match event {
            Event::Tick => {
                self.plan(self.now + TICK, Event::Tick);
                self.state.on_tick(at)
            }
            Event::Up(slot) => self.state.on_slot_up(slot, self.slots[&slot].epoch, at),
            // A lost worker took along what was waiting for it.
            Event::Done(slot, epoch, batch) if epoch == self.slots[&slot].epoch => {
                // If it is not a batch, it was a flush.
                let busy = self.service.remove(&batch);
                let (all_done, busy_ns) = (busy.is_some(), busy.unwrap_or_default().as_nanos() as u64);
                let report = ReportHead { slot: slot.index, epoch, batch, all_done, last: true, busy_ns };
                self.state.on_report(slot.node, &report, &Bytes::new(), &Bytes::new(), at)
            }
            Event::Lost(slot, epoch, batch) if epoch == self.slots[&slot].epoch => {
                let blame = Some(Blame { batch, index: 0, records: 1 });
                let (kind, message) = (LossKind::Crash, "SIGSEGV".to_owned());
                let lost = SlotLost { slot: slot.index, epoch, blame, kind, message };
                if let Some(slot) = self.slots.get_mut(&slot) {
                    slot.epoch = slot.epoch.next();
                    slot.free_at = self.now + ROUND_TRIP;
                }
                self.plan(self.now + ROUND_TRIP, Event::Up(slot));
                self.state.on_slot_lost(slot.node, &lost, at)
            }
            Event::Done(..) | Event::Lost(..) => Vec::new(),
        };
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { slot, epoch, batch, records, .. } => {
                    self.serve(slot, epoch, batch, records.len())
                }
                Action::Flush { slot, epoch, batch } => {
                    self.plan(self.now + ROUND_TRIP, Event::Done(slot, epoch, batch));
                }
                other => panic!("nothing fails, and nothing is held: {other:?}"),
            }
        }
    }

    fn serve(&mut self, slot: SlotId, epoch: Epoch, batch: BatchId, records: usize) {
        self.batches += 1;
        let service = (0..records).map(|_| exponential(&mut self.dice)).sum();
        let is_lost = self.dice.once_in(LOSS_ONE_IN);
        let Some(served) = self.slots.get_mut(&slot) else { panic!("there is no {slot:?}") };
        let begins = served.free_at.max(self.now + ROUND_TRIP / 2);
        served.free_at = begins + service;
        served.busy += if is_lost { Duration::ZERO } else { service };
        let reports = served.free_at + ROUND_TRIP / 2;
        if is_lost {
            self.plan(begins + ROUND_TRIP / 2, Event::Lost(slot, epoch, batch));
        } else {
            self.service.insert(batch, service);
            self.plan(reports, Event::Done(slot, epoch, batch));
        }
    }

    fn plan(&mut self, at: Duration, event: Event) {
        self.planned += 1;
        self.events.push(Reverse((at, self.planned, event)));
    }

    fn at(&self) -> Instant {
        self.began + self.now
    }
}

/// A service time.
fn exponential(dice: &mut Dice) -> Duration {
    // An f64 holds 53 bits; never 0.
    let uniform = ((dice.number() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
    SERVICE.mul_f64(-uniform.ln())
}

/// The memory of this process.
fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
