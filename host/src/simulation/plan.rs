//! What a simulation is about: its nodes, its records, and what is broken when. A seed gives a plan; a
//! scenario writes its own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fault::Fault;
use super::nursery::Birth;
use super::order::Order;
use super::quirk::Quirk;
use crate::turns::Dice;

/// A plan.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// What the dice make of it.
    pub seed: u64,
    /// How many workers each node has.
    pub nodes: Vec<u16>,
    /// Master and slave are one process, as in `run`; there is one node.
    pub is_local: bool,
    /// What becomes of the records.
    pub records: Vec<Order>,
    /// The longest pause between two records of the input.
    pub input_pause: Duration,
    /// Rows come out in the order of the input.
    pub keep_order: bool,
    /// How often a record is tried again.
    pub retries: u32,
    /// The limit of one record.
    pub record_timeout: Option<Duration>,
    /// How long the master may be without nodes.
    pub wait_nodes: Duration,
    /// What is broken when.
    pub faults: Vec<(Duration, Fault)>,
    /// What is wrong with which worker.
    pub quirks: BTreeMap<Birth, Vec<Quirk>>,
    /// When it must be over, or must have said why it is not.
    pub patience: Duration,
}

impl Plan {
    /// One node with so many workers, and nothing that goes wrong.
    #[cfg(test)]
    pub(crate) fn calm(seed: u64, slots: u16, records: Vec<Order>) -> Self {
        Self {
            seed,
            nodes: vec![slots],
            is_local: false,
            records,
            input_pause: Duration::ZERO,
            keep_order: true,
            retries: 2,
            record_timeout: None,
            wait_nodes: WAIT_NODES,
            faults: Vec::new(),
            quirks: BTreeMap::new(),
            patience: PATIENCE,
        }
    }

    /// What a seed gives.
    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let is_local = dice.once_in(4);
        let count = if is_local { 1 } else { dice.between(1, 3) };
        let nodes: Vec<u16> = (0..count).map(|_| dice.between(1, 3) as u16).collect();
        let poison = dice.once_in(2);
        let records = (0..dice.between(1, RECORDS_MAX)).map(|_| order(&mut dice, poison)).collect();
        let input_pause = if dice.once_in(3) { INPUT_PAUSE_MAX } else { Duration::ZERO };
        let span = dice.duration(FAULTS_WITHIN_MIN, FAULTS_WITHIN_MAX);
        let count = dice.pick(&[0, 1, 1, 2, 3, 5, 8]);
        let mut faults: Vec<_> =
            (0..count).map(|_| (dice.duration(Duration::ZERO, span), fault(&mut dice, &nodes))).collect();
        if dice.once_in(20) {
            faults.push((
                dice.duration(Duration::ZERO, span),
                dice.pick(&[Fault::DrainMaster, Fault::KillMaster]),
            ));
        }
        faults.sort_by_key(|(at, _)| *at);
        let quirks = quirks(&mut dice, &nodes);
        Self {
            seed,
            nodes,
            is_local,
            records,
            input_pause,
            keep_order: dice.once_in(2),
            retries: dice.between(0, 3) as u32,
            record_timeout: Some(dice.pick(&RECORD_TIMEOUTS)),
            wait_nodes: WAIT_NODES,
            faults,
            quirks,
            patience: PATIENCE,
        }
    }
}

/// As many records as a simulation has: enough that several batches are in flight at each slot.
const RECORDS_MAX: usize = 120;
/// A user who types.
const INPUT_PAUSE_MAX: Duration = Duration::from_millis(60);
/// All at once,
const FAULTS_WITHIN_MIN: Duration = Duration::from_millis(200);
/// or until most runs are over.
const FAULTS_WITHIN_MAX: Duration = Duration::from_secs(8);
/// Longer than all that is broken lasts, and than the rest of a node that was given up.
const WAIT_NODES: Duration = Duration::from_secs(600);
/// Far longer than all limits and pauses of a plan together.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Far more than a record takes that is only slow.
const RECORD_TIMEOUTS: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(3), Duration::from_secs(20)];

fn order(dice: &mut Dice, poison: bool) -> Order {
    match dice.roll(if poison { 100 } else { 90 }) {
        0..50 => Order::Echo(dice.between(0, 3)),
        50..70 => Order::Slow(dice.between(1, 200) as u64),
        70..82 => Order::Hold,
        82..86 => Order::RetryOnce,
        86..88 => Order::Reject,
        88..90 => Order::Retry,
        90..92 => Order::Panic,
        92..94 => Order::Crash,
        94..96 => Order::Orphan,
        96 => Order::Hang,
        97 => Order::Stop,
        98 => Order::KillNode,
        _ => Order::HoldCrash,
    }
}

fn fault(dice: &mut Dice, nodes: &[u16]) -> Fault {
    let node = dice.roll(nodes.len());
    let slot = dice.roll(nodes[node].into()) as u16;
    let some = |dice: &mut Dice| Some(dice.duration(LENGTH_MIN, LENGTH_MAX));
    match dice.roll(21) {
        20 => Fault::DrainSlave { node },
        0..3 => Fault::KillWorker { node, slot },
        3 => Fault::StopWorker { node, slot, length: some(dice) },
        4 => Fault::StopWorker { node, slot, length: None },
        5 | 6 => Fault::KillSlave { node, length: some(dice) },
        7 | 8 => Fault::StopSlave { node, length: some(dice) },
        9 => Fault::StopMaster { length: some(dice) },
        10 => Fault::CutLink { node },
        11 | 12 => {
            let (to_slave, to_master) = dice.pick(&[(true, false), (false, true), (true, true)]);
            Fault::StallLink { node, to_slave, to_master, length: some(dice) }
        }
        13 => Fault::HalfCloseLink { node, to_slave: dice.once_in(2) },
        14 => {
            let delay = dice.duration(DELAY_MIN, DELAY_MAX);
            Fault::SlowLink { node, delay, length: some(dice) }
        }
        15 => Fault::RegistryDown { length: some(dice) },
        16 => {
            let delay = dice.duration(DELAY_MIN, DELAY_MAX);
            Fault::RegistrySlow { delay, length: some(dice) }
        }
        17 => Fault::RegistryReplaced,
        18 => Fault::RegistryJump { seconds: dice.between(0, 7200) as i64 - 3600 },
        _ => Fault::StallOutput { length: some(dice) },
    }
}

/// Long enough to be noticed.
const LENGTH_MIN: Duration = Duration::from_millis(10);
/// Shorter and longer than the silence after which a peer is given up.
const LENGTH_MAX: Duration = Duration::from_secs(12);
/// What can be noticed,
const DELAY_MIN: Duration = Duration::from_millis(1);
/// and far less than that silence.
const DELAY_MAX: Duration = Duration::from_millis(800);

/// Idle times of workers are seldom longer.
const IDLE_MAX: Duration = Duration::from_secs(1);

fn quirks(dice: &mut Dice, nodes: &[u16]) -> BTreeMap<Birth, Vec<Quirk>> {
    let mut quirks = BTreeMap::new();
    if dice.once_in(3) {
        return quirks;
    }
    for (node, slots) in nodes.iter().enumerate() {
        for slot in 0..*slots {
            for birth in 0..4 {
                if dice.once_in(3) {
                    quirks.insert((node, slot, birth), vec![quirk(dice, birth)]);
                }
            }
        }
    }
    quirks
}

fn quirk(dice: &mut Dice, birth: usize) -> Quirk {
    let step = dice.between(1, 60) as u32;
    let items = dice.between(1, 5) as u32;
    match dice.roll(20) {
        18 if birth > 0 => Quirk::HangInLoad,
        16 => Quirk::DieWhenIdle(dice.duration(Duration::ZERO, IDLE_MAX)),
        17 => Quirk::WrongItem(items),
        0 => Quirk::SlowLoad(dice.duration(Duration::ZERO, LENGTH_MAX)),
        // The first worker of a slot must start: a slave whose library refuses ends, and rightly.
        1 if birth > 0 => Quirk::DieInLoad,
        2 if birth > 0 => Quirk::DieInNew,
        3 if birth > 0 && dice.once_in(3) => Quirk::HangInNew,
        3 => Quirk::HangInDrop,
        4..7 => Quirk::KilledAtStep(step),
        7 | 8 => Quirk::CrashAtStep(step),
        9 => Quirk::StopAtStep(step, Some(dice.duration(LENGTH_MIN, LENGTH_MAX))),
        10 => Quirk::StopAtStep(step, None),
        11 => Quirk::StopWhenIdle(dice.duration(Duration::ZERO, IDLE_MAX)),
        12 => Quirk::BeginNothing(items),
        13 => Quirk::Garbage(items),
        14 => Quirk::DoneTwice(items),
        15 => Quirk::HangInKernel(step),
        _ => Quirk::ManyParts,
    }
}
