//! Every choice that a round leaves to chance, made before it begins: the same seed and wishes give the same
//! plan.

use std::fmt;

use super::deed::{Cost, Deed, Strike};
use super::records::{Form, Mix, Planned};
use crate::dice::Dice;
use crate::program::library;

/// Where records go, and in which order rows come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Anywhere, in any order.
    Unordered,
    /// Anywhere; rows in the order of the records.
    KeepOrder,
    /// Equal keys to one worker.
    Partitioned,
    /// Equal keys to one worker; rows in the order of the records.
    PartitionedKeepOrder,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Unordered, Self::KeepOrder, Self::Partitioned, Self::PartitionedKeepOrder];

    /// Whether rows come out in the order of the records.
    pub fn keeps_order(self) -> bool {
        matches!(self, Self::KeepOrder | Self::PartitionedKeepOrder)
    }

    /// Whether equal keys meet.
    pub fn is_partitioned(self) -> bool {
        matches!(self, Self::Partitioned | Self::PartitionedKeepOrder)
    }
}

/// What runs the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// A master and slaves.
    Grid,
    /// `simplegrid run`.
    LocalRun,
}

/// What becomes of faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Faults {
    /// They are healed after a while.
    #[default]
    Healed,
    /// They stay until the run has ended, or has said why it cannot end.
    NeverHealed,
}

/// What the user asks of all rounds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// How many records a round has; `None` leaves it to the dice.
    pub records: Option<usize>,
    /// The mode; `None` leaves it to the dice.
    pub mode: Option<Mode>,
    /// Rounds that take seconds, not minutes, for a suite of tests.
    pub small: bool,
    /// What becomes of faults.
    pub faults: Faults,
    /// All rounds are runs without slaves; otherwise those whose faults are healed are on a grid, and the
    /// dice decide about the others.
    pub local: bool,
}

/// How the records reach the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feeding {
    /// As a file whose size is known.
    File,
    /// Through a pipe, as fast as they are read.
    Pipe,
    /// Through a pipe, in so many parts, each one after the part before it has run.
    Parts(usize),
}

/// The plan of a round.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The seed that it was thrown with.
    pub seed: u64,
    /// What runs the records.
    pub subject: Subject,
    /// What becomes of faults.
    pub faults: Faults,
    /// The input.
    pub records: Vec<Planned>,
    /// Where records go, and in which order rows come out.
    pub mode: Mode,
    /// How the records are written.
    pub form: Form,
    /// Whether a plugin computes the keys, where keys matter.
    pub plugin_keys: bool,
    /// Workers of each slave, or of the run that has no slaves.
    pub slaves: Vec<usize>,
    /// `--retries`.
    pub retries: usize,
    /// `--record-timeout`, in milliseconds.
    pub record_timeout_ms: Option<usize>,
    /// Whether workers have a memory limit.
    pub worker_memory: bool,
    /// How the records reach the master.
    pub feeding: Feeding,
    /// Whether the output goes through a FIFO.
    pub to_fifo: bool,
    /// Whether the master keeps a journal, and is started again after it was killed or told to end.
    pub journal: bool,
    /// The share of the work, in thousandths, after which the master is told to end.
    pub drained_at: Option<usize>,
    /// What is broken, in this order.
    pub strikes: Vec<Strike>,
}

impl Plan {
    /// Makes the plan of a round.
    pub(super) fn throw(seed: u64, wishes: &Wishes) -> Self {
        let mut dice = Dice::new(seed);
        // Rounds whose faults are healed throw the dice as often as before there were others.
        let is_lasting = wishes.faults == Faults::NeverHealed;
        let is_local = wishes.local || is_lasting && dice.once_in(4);
        let subject = if is_local { Subject::LocalRun } else { Subject::Grid };
        let mode = wishes.mode.unwrap_or_else(|| dice.pick(&Mode::ALL));
        let hangs = dice.once_in(3);
        let mix = mix(&mut dice, wishes, hangs, subject);
        let (form, plugin_keys) = (dice.pick(&Form::ALL), dice.once_in(2));
        let record_timeout_ms = (hangs || dice.once_in(3)).then(|| dice.between(1500, 2500));
        let slaves: Vec<_> = (0..dice.between(1, 3)).map(|_| dice.between(1, 4)).collect();
        let to_fifo = is_lasting && dice.once_in(3);
        // A FIFO cannot be cut back to a checkpoint.
        let journal = dice.once_in(3) && !to_fifo;
        let feeding = match dice.roll(3) {
            // A master that goes on after another one needs its input again.
            _ if journal => Feeding::File,
            0 => Feeding::File,
            1 => Feeding::Pipe,
            _ => Feeding::Parts(dice.between(2, 8)),
        };
        let plan = Self {
            seed,
            subject,
            faults: wishes.faults,
            records: mix.throw(&mut dice),
            mode,
            form,
            plugin_keys,
            slaves,
            retries: dice.pick(&[0, 1, 2, 2, 5]),
            record_timeout_ms,
            worker_memory: dice.once_in(3),
            feeding,
            to_fifo,
            journal,
            drained_at: dice.once_in(8).then(|| dice.between(100, 900)),
            strikes: Vec::new(),
        };
        let mut strikes = match wishes.faults {
            Faults::Healed => healed_strikes(&mut dice, wishes, &plan),
            Faults::NeverHealed => lasting_strikes(&mut dice, wishes, &plan),
        };
        strikes.sort_by_key(|strike| strike.at);
        Self { strikes, ..plan }
    }

    /// Whether a kind of fault is possible in it.
    fn allows(&self, deed: Deed) -> bool {
        let fits = match deed {
            Deed::ReaderStop => self.to_fifo,
            // The next master of a journal must find the nodes of its task first, and the file in use by
            // none.
            Deed::OtherTask | Deed::OtherColumns => !self.journal,
            Deed::MasterFreeze => !self.journal && !self.to_fifo && self.feeding == Feeding::File,
            _ => true,
        };
        fits && (self.subject == Subject::Grid || deed.concerns_local_runs())
    }

    /// A record as it is sent, without its end.
    pub(super) fn text(&self, id: usize) -> String {
        self.records[id].text(id, self.form)
    }

    /// The flags for the order and the format.
    pub(super) fn flags(&self) -> String {
        let mut flags = format!("--format {}", self.form.word());
        if self.mode.keeps_order() {
            flags.push_str(" -k");
        }
        if self.mode.is_partitioned() {
            flags.push_str(" --partition-by ");
            let by_tag = || format!("{}:by-tag", library("hostile").display());
            flags.push_str(&if self.plugin_keys { by_tag() } else { "field:0".to_owned() });
        }
        flags
    }
}

fn mix(dice: &mut Dice, wishes: &Wishes, hangs: bool, subject: Subject) -> Mix {
    let is_lasting = wishes.faults == Faults::NeverHealed;
    let sizes: &[usize] = match (is_lasting, wishes.small) {
        (false, true) => &[1, 60, 300, 800],
        (false, false) => &[1, 300, 2_000, 10_000, 40_000],
        // A single record would be over before anything could break.
        (true, true) => &[60, 300, 800],
        (true, false) => &[300, 2_000, 10_000],
    };
    let records = wishes.records.unwrap_or_else(|| dice.pick(sizes));
    let held_one_in = dice.pick(&[0, 0, 3, 20]);
    // A record that is held beside one that crashes a flush is tried alone later, which takes a tenth of a
    // second.
    let may_crash_flushes = held_one_in == 0 || records / held_one_in <= 30;
    Mix {
        records,
        keys: dice.pick(&[1, 5, 40, 1000]),
        // Each poisonous record costs some processes: a few dozen at most.
        poison_one_in: if dice.once_in(4) { 0 } else { dice.pick(&[12, 60]).max(records / 40) },
        hangs,
        flush_aborts: if may_crash_flushes { dice.pick(&[0, 0, 1, 2]) } else { 0 },
        orphans: if is_lasting { dice.roll(3) } else { 0 },
        slave_kills: if is_lasting && subject == Subject::Grid { dice.pick(&[0, 0, 1]) } else { 0 },
        loud_one_in: if is_lasting { dice.pick(&[0, 3, 20]) } else { 0 },
        held_one_in,
        // A round should last some seconds, or nothing can break in it.
        slow_one_in: dice.pick(&[4, 10]).max(records / 1500),
        long_one_in: dice.pick(&[10, 100, 1000]),
        padding_max: dice.pick(&[100, 5_000, 600_000 / (records / 100).max(1)]).max(21),
    }
}

fn healed_strikes(dice: &mut Dice, wishes: &Wishes, plan: &Plan) -> Vec<Strike> {
    let count = if wishes.small { dice.between(2, 5) } else { dice.between(3, 12) };
    // Half of the rounds break few kinds of things, so that the checker can ask more of them.
    let mut deeds = Deed::HEALED.to_vec();
    match dice.roll(4) {
        0 => deeds.retain(|deed| deed.cost() < Cost::Nodes && *deed != Deed::WorkerStop),
        1 => deeds.retain(|deed| deed.cost() == Cost::Nothing),
        _ => {}
    }
    if plan.subject == Subject::LocalRun {
        deeds.retain(|deed| deed.concerns_local_runs());
    }
    if plan.journal {
        // As often as everything else together: that is what a journal is for.
        deeds.extend(vec![Deed::MasterKill; deeds.len().max(1)]);
    }
    let times: &[usize] = if wishes.small { &[50, 300, 1000, 5500] } else { &[50, 300, 1500, 4000, 7000] };
    let count = if deeds.is_empty() { 0 } else { count };
    (0..count).map(|_| throw(dice, &deeds, times)).collect()
}

/// Few kinds, so that what the run says can be compared with them, and some kills beside them.
fn lasting_strikes(dice: &mut Dice, wishes: &Wishes, plan: &Plan) -> Vec<Strike> {
    let possible: Vec<_> = Deed::LASTING.into_iter().filter(|deed| plan.allows(*deed)).collect();
    let kinds: Vec<_> = (0..dice.between(1, 3)).map(|_| dice.pick(&possible)).collect();
    let passing = [Deed::WorkerKill, Deed::SlaveKill, Deed::SlaveDrain, Deed::SlaveJoin];
    let passing: Vec<_> = passing.into_iter().filter(|deed| plan.allows(*deed)).collect();
    let [lasting, passed] = if wishes.small { [2, 1] } else { [4, 4] };
    let mut strikes: Vec<_> = (0..dice.between(1, lasting)).map(|_| throw(dice, &kinds, &[0])).collect();
    strikes.extend((0..dice.roll(passed + 1)).map(|_| throw(dice, &passing, &[0])));
    strikes
}

fn throw(dice: &mut Dice, deeds: &[Deed], times: &[usize]) -> Strike {
    Strike { at: dice.roll(950), deed: dice.pick(deeds), victim: dice.roll(1000), ms: dice.pick(times) }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, mode, form, slaves, retries, feeding, .. } = self;
        write!(f, "{:?}, {} records, {form:?}, {mode:?}, ", self.subject, records.len())?;
        write!(f, "workers {slaves:?}, {retries} retries, {feeding:?}")?;
        if self.mode.is_partitioned() && self.plugin_keys {
            write!(f, ", keys by a plugin")?;
        }
        if let Some(ms) = self.record_timeout_ms {
            write!(f, ", limit {ms} ms")?;
        }
        if self.to_fifo {
            write!(f, ", through a FIFO")?;
        }
        if self.journal {
            write!(f, ", journal")?;
        }
        if let Some(at) = self.drained_at {
            write!(f, ", drained at {at}‰")?;
        }
        if self.faults == Faults::NeverHealed {
            write!(f, ", never healed")?;
        }
        write!(f, ";")?;
        self.strikes.iter().try_for_each(|strike| write!(f, " {strike}"))
    }
}
