//! Where the workers of a simulation come to be, and who lives.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::executions::Executions;
use super::pipe::Pipe;
use super::quirk::Quirk;
use super::trace::Trace;
use super::vitals::{SimulatedBody, Vitals};
use super::worker::{self, Newborn};
use crate::owned_task::{outcome, spawn_local_in};
use crate::scoreboard::BoardReader;
use crate::turns::{Dice, Schedule};
use crate::wire::{FrameLimits, FrameReader, FrameWriter};
use crate::worker::{Hatched, Hatchery, WorkerLabel};

/// How long a worker's socket takes.
const SOCKET: (Duration, Duration) = (Duration::ZERO, Duration::from_micros(200));

/// Which worker of a simulation: of which node, in which slot, and how many the slot has had before.
pub(crate) type Birth = (usize, u16, usize);

/// Knows all workers. Clones are the same one.
#[derive(Clone)]
pub(super) struct Nursery(Arc<Mutex<Cradles>>);

struct Cradles {
    schedule: Schedule,
    trace: Trace,
    executions: Executions,
    dice: Dice,
    born: mpsc::UnboundedSender<Newborn>,
    /// Takes the nodes that workers bring down.
    victims: mpsc::UnboundedSender<usize>,
    /// What is wrong with whom.
    quirks: BTreeMap<Birth, Vec<Quirk>>,
    /// How many there were in each slot.
    births: BTreeMap<(usize, u16), usize>,
    /// The last one of each slot.
    living: BTreeMap<(usize, u16), Arc<Vitals>>,
}

/// Workers that were born and do not live yet.
pub(super) struct Newborns(mpsc::UnboundedReceiver<Newborn>);

impl Nursery {
    /// A nursery, and those that it brings forth. `victims` takes the nodes that they bring down.
    pub(super) fn new(
        schedule: Schedule,
        trace: Trace,
        executions: Executions,
        quirks: BTreeMap<Birth, Vec<Quirk>>,
        victims: mpsc::UnboundedSender<usize>,
        dice: Dice,
    ) -> (Self, Newborns) {
        let (born, newborns) = mpsc::unbounded_channel();
        let (births, living) = (BTreeMap::new(), BTreeMap::new());
        let cradles = Cradles { schedule, trace, executions, dice, born, victims, quirks, births, living };
        (Self(Arc::new(Mutex::new(cradles))), Newborns(newborns))
    }

    /// Where the workers of a node come from.
    pub(super) fn hatchery(&self, node: usize) -> Hatchery {
        let nursery = self.clone();
        Hatchery::new(move |label, _| nursery.cradles().hatch(node, label))
    }

    /// The last worker of a slot.
    pub(super) fn worker(&self, node: usize, slot: u16) -> Option<Arc<Vitals>> {
        self.cradles().living.get(&(node, slot)).cloned()
    }

    /// How many workers there were.
    pub(super) fn births(&self) -> usize {
        self.cradles().births.values().sum()
    }

    fn cradles(&self) -> MutexGuard<'_, Cradles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cradles {
    fn hatch(&mut self, node: usize, label: &WorkerLabel) -> io::Result<Hatched> {
        let slot = label.slot.unwrap_or_default();
        let births = self.births.entry((node, slot)).or_default();
        let birth = (node, slot, *births);
        *births += 1;
        let process = self.schedule.new_process();
        let vitals = Arc::new(Vitals::new(process, self.schedule.clone(), self.trace.clone()));
        self.living.insert((node, slot), Arc::clone(&vitals));
        let quirks = self.quirks.get(&birth).cloned().unwrap_or_default();
        self.trace.say(format!("worker {} is born for slot {slot} of node {node}: {quirks:?}", process.0));
        let board = BoardReader::create()?;
        let (to_worker, from_worker) =
            (Pipe::new(SOCKET, self.dice.fork()), Pipe::new(SOCKET, self.dice.fork()));
        let (receipts, receipts_out) = mpsc::unbounded_channel();
        let newborn = Newborn {
            vitals: Arc::clone(&vitals),
            input: FrameReader::new(to_worker.read_end(), FrameLimits::SESSION),
            output: FrameWriter::new(from_worker.write_end()),
            socket: [to_worker.clone(), from_worker.clone()],
            node: (node, self.victims.clone()),
            board: board.file().try_clone()?,
            receipts: receipts_out,
            quirks,
            executions: self.executions.clone(),
            dice: self.dice.fork(),
        };
        // A nursery that is closed belongs to a simulation that is over.
        let _ = self.born.send(newborn);
        let body = Box::new(SimulatedBody { vitals, receipts });
        Ok(Hatched { read: from_worker.read_end(), write: to_worker.write_end(), board, body, log: None })
    }
}

impl Newborns {
    /// Lets all live that are born. To be run in a local set, because a scoreboard stays on its thread.
    pub(super) async fn raise(mut self, schedule: Schedule) {
        let mut lives = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(ended) = lives.join_next() => {
                    outcome(ended);
                }
                Some(newborn) = self.0.recv() => {
                    let vitals = Arc::clone(&newborn.vitals);
                    let life = schedule.task_of(vitals.process, worker::live(newborn));
                    vitals.on_birth(spawn_local_in(&mut lives, life));
                }
                else => return,
            }
        }
    }
}
