//! What breaks things: each strike comes when a given share of the work is done, and some are undone later.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::deed::{Deed, Strike};
use super::fleet::Fleet;
use super::registry::{self, Lock};
use super::rival::Rival;
use crate::grid::Grid;
use crate::processes::signal_process;
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
    done: Vec<Deed>,
    rivals: Vec<Rival>,
}

impl<'g> Nemesis<'g> {
    /// A nemesis with these strikes.
    pub(super) fn new(grid: &'g Grid, strikes: Vec<Strike>) -> Self {
        let mut strikes = strikes.into_iter();
        let next = strikes.next();
        Self { grid, strikes, next, undo: Vec::new(), done: Vec::new(), rivals: Vec::new() }
    }

    /// Does what is due when so many thousandths of the work are done.
    pub(super) fn step(&mut self, progress: usize, fleet: &mut Fleet<'g>, master: Option<i32>) {
        self.undo_until(Instant::now(), fleet);
        while let Some(strike) = self.next.filter(|strike| strike.at <= progress) {
            self.next = self.strikes.next();
            if self.strike(strike, fleet, master) {
                self.done.push(strike.deed);
            }
        }
    }

    /// Undoes everything.
    pub(super) fn rest(&mut self, fleet: &Fleet<'_>) {
        let last = self.undo.iter().map(|(due, _)| *due).max();
        self.undo_until(last.unwrap_or_else(Instant::now), fleet);
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
        for (_, undo) in due {
            match undo {
                Undo::Continue(pid) => signal_process(pid, Signal::SIGCONT),
                Undo::Heal(slave) => fleet.proxy(slave).heal(),
                Undo::Unlock(lock) => drop(lock),
            }
        }
    }

    /// Strikes, if there is a victim.
    fn strike(&mut self, strike: Strike, fleet: &mut Fleet<'g>, master: Option<i32>) -> bool {
        let slave = fleet.choose(strike.victim);
        let for_a_while = Duration::from_millis(strike.ms as u64);
        let until = Instant::now() + for_a_while;
        let undo = match strike.deed {
            Deed::WorkerKill => return fleet.kill_workers(slave, strike.victim, 1) > 0,
            Deed::WorkersKill => return fleet.kill_workers(slave, 0, usize::MAX) > 0,
            Deed::WorkerStop => fleet.worker(slave, strike.victim).map(stop),
            Deed::SlaveKill => {
                fleet.kill(slave);
                None
            }
            Deed::SlaveStop => fleet.pid(slave).map(stop),
            Deed::SlaveDrain => {
                fleet.drain(slave);
                None
            }
            Deed::SlaveJoin => return fleet.join(),
            Deed::MasterStop => master.map(stop),
            Deed::MasterKill => {
                let Some(master) = master else { return false };
                signal_process(master, Signal::SIGKILL);
                None
            }
            Deed::LinkCut => {
                fleet.proxy(slave).cut();
                None
            }
            Deed::LinkTruncate => {
                fleet.proxy(slave).cut_after(strike.ms * 7 + 1);
                Some(Undo::Heal(slave))
            }
            Deed::LinkDelay => {
                fleet.proxy(slave).delay(Duration::from_millis(strike.victim as u64 % 150));
                Some(Undo::Heal(slave))
            }
            Deed::LinkStall => {
                fleet.proxy(slave).stall(&[Way::ToSlave, Way::ToMaster]);
                Some(Undo::Heal(slave))
            }
            Deed::LinkStallOneWay => {
                fleet.proxy(slave).stall(&[[Way::ToSlave, Way::ToMaster][strike.victim % 2]]);
                Some(Undo::Heal(slave))
            }
            Deed::RegistryLock => match Lock::take(self.grid) {
                Some(lock) => Some(Undo::Unlock(lock)),
                None => return false,
            },
            Deed::RegistryDelete => {
                registry::delete(self.grid);
                None
            }
            Deed::PluginReplace => {
                replace_plugin(self.grid, strike.victim);
                return fleet.kill_workers(slave, strike.victim, 1) > 0;
            }
            Deed::Rival => {
                self.rivals.push(Rival::start(self.grid, self.rivals.len()));
                None
            }
        };
        self.undo.extend(undo.map(|undo| (until, undo)));
        true
    }
}

fn stop(pid: i32) -> Undo {
    signal_process(pid, Signal::SIGSTOP);
    Undo::Continue(pid)
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
