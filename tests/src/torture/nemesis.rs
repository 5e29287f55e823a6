//! What breaks things: each strike comes when a given share of the work is done. Some are undone after a
//! while, some only when the run has ended, or has said why it cannot.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::deed::{Deed, Strike};
use super::fleet::{Fleet, NEW_HANGS};
use super::master::Master;
use super::registry::{self, Lock};
use super::rival::Rival;
use super::stranger::Stranger;
use crate::grid::Grid;
use crate::process::Process;
use crate::processes::{Found, signal_process};
use crate::program;
use crate::proxy::Way;

/// What must be undone.
#[derive(Debug)]
enum Undo {
    Continue(i32),
    Heal(usize),
    Unlock(#[allow(dead_code, reason = "it is only there to be dropped")] Lock),
}

/// The strikes, and what has yet to be undone.
#[derive(Debug)]
pub(super) struct Nemesis<'g> {
    grid: &'g Grid,
    strikes: std::vec::IntoIter<Strike>,
    next: Option<Strike>,
    undo: Vec<(Instant, Undo)>,
    /// What stays until everything is undone.
    lasting: Vec<Undo>,
    done: Vec<Deed>,
    rivals: Vec<Rival>,
    strangers: Vec<Stranger>,
}

impl<'g> Nemesis<'g> {
    /// A nemesis with these strikes.
    pub(super) fn new(grid: &'g Grid, strikes: Vec<Strike>) -> Self {
        let mut strikes = strikes.into_iter();
        let next = strikes.next();
        Self {
            grid,
            strikes,
            next,
            undo: Vec::new(),
            lasting: Vec::new(),
            done: Vec::new(),
            rivals: Vec::new(),
            strangers: Vec::new(),
        }
    }

    /// Does what is due when so many thousandths of the work are done.
    pub(super) fn step(&mut self, progress: usize, fleet: &mut Fleet<'g>, master: &mut Master<'g>) {
        self.undo_until(Instant::now(), fleet);
        while let Some(strike) = self.next.filter(|strike| strike.at <= progress) {
            self.next = self.strikes.next();
            if self.strike(strike, fleet, master) {
                self.done.push(strike.deed);
            }
        }
    }

    /// Undoes everything, and strikes no more.
    pub(super) fn rest(&mut self, fleet: &Fleet<'_>) {
        self.next = None;
        let last = self.undo.iter().map(|(due, _)| *due).max();
        self.undo_until(last.unwrap_or_else(Instant::now), fleet);
        self.lasting.drain(..).for_each(|undo| undo.perform(fleet));
        self.strangers.clear();
        // A worker that would have hung there need not any more.
        let _ = fs::remove_file(self.grid.path(NEW_HANGS));
    }

    /// What was done.
    pub(super) fn done(&self) -> &[Deed] {
        &self.done
    }

    /// The other masters that were started.
    pub(super) fn take_rivals(&mut self) -> Vec<Rival> {
        std::mem::take(&mut self.rivals)
    }

    fn undo_until(&mut self, now: Instant, fleet: &Fleet<'_>) {
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.undo).into_iter().partition(|(due, _)| *due <= now);
        self.undo = later;
        due.into_iter().for_each(|(_, undo)| undo.perform(fleet));
    }

    /// Strikes, if there is a victim.
    fn strike(&mut self, strike: Strike, fleet: &mut Fleet<'g>, master: &mut Master<'g>) -> bool {
        let slave = fleet.choose(strike.victim);
        let home = slave.map_or_else(|| master.process().map(Process::pid), |slave| fleet.pid(slave));
        let workers = home.map(|home| self.grid.workers_of(home)).unwrap_or_default();
        let one = workers.get(strike.victim % workers.len().max(1));
        match strike.deed {
            Deed::WorkerKill => return kill(one),
            Deed::WorkersKill => return kill(&workers),
            Deed::WorkerStop => return one.is_some_and(|one| self.stop_for_a_while(strike, one.pid)),
            Deed::PluginReplace => {
                replace_plugin(self.grid, strike.victim);
                return kill(one);
            }
            Deed::NewHang => {
                self.grid.write(NEW_HANGS, "");
                return kill(one);
            }
            Deed::WorkerFreeze => return one.is_some_and(|one| self.stop_for_ever(one.pid)),
            Deed::MasterStop => {
                return master.process().is_some_and(|it| self.stop_for_a_while(strike, it.pid()));
            }
            Deed::MasterKill => return master.process().map(|it| it.signal(Signal::SIGKILL)).is_some(),
            Deed::MasterFreeze => return master.freeze(),
            Deed::MasterLogStop => return master.process().map(Process::stop_reading_stderr).is_some(),
            Deed::ReaderStop => return master.reader().map(super::reader::Reader::stop).is_some(),
            Deed::RegistryLock => match Lock::take(self.grid) {
                Some(lock) => self.undo_later(strike, Undo::Unlock(lock)),
                None => return false,
            },
            Deed::RegistryDelete => registry::delete(self.grid),
            Deed::RegistryReplace => registry::replace(self.grid),
            Deed::Rival => self.rivals.push(Rival::start(self.grid, self.rivals.len())),
            Deed::OtherTask => return self.meet(Stranger::with_another_task(self.grid)),
            Deed::OtherColumns => return self.meet(Stranger::with_other_columns(self.grid)),
            Deed::OtherBuild => {
                replace_plugin(self.grid, strike.victim);
                return fleet.join(false);
            }
            Deed::Stranger => return self.meet(Stranger::impostor(self.grid, strike.victim)),
            Deed::SlaveJoin => return fleet.join(false),
            Deed::DropHang => return fleet.join(true),
            _ => return slave.is_some_and(|slave| self.strike_slave(strike, slave, fleet)),
        }
        true
    }

    fn strike_slave(&mut self, strike: Strike, slave: usize, fleet: &mut Fleet<'g>) -> bool {
        let one_way = [Way::ToSlave, Way::ToMaster][strike.victim % 2];
        match strike.deed {
            Deed::SlaveKill => fleet.kill(slave),
            Deed::SlaveStop => {
                return fleet.pid(slave).is_some_and(|pid| self.stop_for_a_while(strike, pid));
            }
            Deed::SlaveFreeze => return fleet.pid(slave).is_some_and(|pid| self.stop_for_ever(pid)),
            Deed::SlaveLogStop => return fleet.process(slave).map(Process::stop_reading_stderr).is_some(),
            Deed::SlaveDrain => fleet.drain(slave),
            Deed::LinkCut => fleet.proxy(slave).cut(),
            Deed::LinkTruncate => {
                fleet.proxy(slave).cut_after(strike.ms * 7 + 1);
                self.undo_later(strike, Undo::Heal(slave));
            }
            Deed::LinkDelay => {
                fleet.proxy(slave).delay(Duration::from_millis(strike.victim as u64 % 150));
                self.undo_later(strike, Undo::Heal(slave));
            }
            Deed::LinkStall => {
                fleet.proxy(slave).stall(&[Way::ToSlave, Way::ToMaster]);
                self.undo_later(strike, Undo::Heal(slave));
            }
            Deed::LinkStallOneWay => {
                fleet.proxy(slave).stall(&[one_way]);
                self.undo_later(strike, Undo::Heal(slave));
            }
            Deed::LinkPull => {
                let both = [Way::ToSlave, Way::ToMaster];
                fleet.proxy(slave).stall(if strike.victim % 4 < 2 {
                    &both
                } else {
                    std::slice::from_ref(&one_way)
                });
                self.lasting.push(Undo::Heal(slave));
            }
            other => unreachable!("{other:?} concerns no slave"),
        }
        true
    }

    fn undo_later(&mut self, strike: Strike, undo: Undo) {
        self.undo.push((Instant::now() + Duration::from_millis(strike.ms as u64), undo));
    }

    fn stop_for_a_while(&mut self, strike: Strike, pid: i32) -> bool {
        signal_process(pid, Signal::SIGSTOP);
        self.undo_later(strike, Undo::Continue(pid));
        true
    }

    fn stop_for_ever(&mut self, pid: i32) -> bool {
        signal_process(pid, Signal::SIGSTOP);
        self.lasting.push(Undo::Continue(pid));
        true
    }

    fn meet(&mut self, stranger: Option<Stranger>) -> bool {
        let is_there = stranger.is_some();
        self.strangers.extend(stranger);
        is_there
    }
}

impl Undo {
    fn perform(self, fleet: &Fleet<'_>) {
        match self {
            Self::Continue(pid) => signal_process(pid, Signal::SIGCONT),
            Self::Heal(slave) => fleet.proxy(slave).heal(),
            Self::Unlock(lock) => drop(lock),
        }
    }
}

/// Kills them all, if there are any.
fn kill<'a>(victims: impl IntoIterator<Item = &'a Found>) -> bool {
    victims.into_iter().map(|victim| victim.signal(Signal::SIGKILL)).count() > 0
}

/// Where a round's plugin is.
pub(super) fn plugin(grid: &Grid) -> std::path::PathBuf {
    grid.path("libtortured.so")
}

/// Replaces the plugin with a new build, as an operator should: writes it beside the old one, and renames it
/// over that. A loader ignores what follows the end of an ELF file, so appending makes another build of the
/// same code.
pub(super) fn replace_plugin(grid: &Grid, build: usize) {
    let mut library = fs::read(program::library("hostile")).expect("cargo has built it");
    library.extend_from_slice(format!("build {build}").as_bytes());
    let new = grid.write("libtortured.so.new", library);
    fs::rename(new, plugin(grid)).expect("it is in the same directory");
}
