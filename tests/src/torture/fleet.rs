//! The slaves of a round, each behind a proxy. A slave that was killed, or that could not start because the
//! registry was locked, is started again on the same port, as a service manager would do.

use std::net::{Ipv4Addr, TcpListener};

use nix::sys::signal::Signal;

use super::nemesis::plugin;
use super::plan::{Plan, Subject};
use super::records::{Order, Poison};
use crate::dice::Dice;
use crate::grid::Grid;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::wait;

/// Where slaves listen.
const BEHIND: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Where masters find them: another address of the same machine, with the same port.
const BEFORE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Ports below those that the kernel uses for outgoing connections.
const FIRST_PORT: usize = 15_000;
const PORTS: usize = 15_000;

/// The most slaves of a round at once.
const MEMBERS_MAX: usize = 5;

/// Failed starts of a slave that are accepted: only an unavailable registry and a task that hangs are
/// reasons.
const FAILED_STARTS_MAX: usize = 30;

/// The file that makes the next task hang while it comes to be, and how long that can last.
pub(super) const NEW_HANGS: &str = "new-hangs";
/// Long for a busy machine, on which a worker must load its library.
pub(super) const START_TIMEOUT: &str = "--start-timeout 8s";

/// What a member of the fleet is meant to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// Serve, however often it is killed.
    Serve,
    /// End by itself.
    End,
}

#[derive(Debug)]
struct Member {
    port: u16,
    workers: usize,
    proxy: Proxy,
    process: Option<Process>,
    aim: Aim,
    /// Whether its tasks never end.
    has_endless_tasks: bool,
    was_killed: bool,
    failed_starts: usize,
}

/// The slaves of a round.
#[derive(Debug)]
pub(super) struct Fleet<'g> {
    grid: &'g Grid,
    worker_memory: bool,
    /// Whether records kill slaves, too.
    has_killers: bool,
    members: Vec<Member>,
    dice: Dice,
    complaints: Vec<String>,
}

impl<'g> Fleet<'g> {
    /// Starts all slaves of a plan; a run without slaves has none.
    pub(super) fn start(grid: &'g Grid, plan: &Plan) -> Self {
        let mut fleet = Self {
            grid,
            worker_memory: plan.worker_memory,
            has_killers: plan.records.iter().any(|record| record.order == Order::Poison(Poison::KillSlave)),
            members: Vec::new(),
            // Which port is free does not depend on the seed, so the choice does not have to, either.
            dice: Dice::new(plan.seed ^ u64::from(std::process::id())),
            complaints: Vec::new(),
        };
        if plan.subject == Subject::Grid {
            plan.slaves.iter().for_each(|workers| fleet.add(*workers, false));
        }
        fleet
    }

    /// Waits until every slave is ready.
    pub(super) fn wait_until_ready(&self) {
        for process in self.members.iter().filter_map(|member| member.process.as_ref()) {
            process.wait_for_stderr("listening on ");
        }
    }

    /// Starts again what has ended and should not have.
    pub(super) fn step(&mut self) {
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            if member.process.as_mut().is_some_and(Process::is_running) {
                continue;
            }
            self.on_ended(index);
            if self.members[index].aim == Aim::Serve {
                self.launch(index);
            }
        }
    }

    /// The n-th of the slaves that serve; `None` if the run has no slaves.
    pub(super) fn choose(&self, n: usize) -> Option<usize> {
        let serving: Vec<_> =
            (0..self.members.len()).filter(|index| self.members[*index].aim == Aim::Serve).collect();
        serving.get(n % serving.len().max(1)).copied()
    }

    /// A slave's process.
    pub(super) fn pid(&self, slave: usize) -> Option<i32> {
        self.process(slave).map(Process::pid)
    }

    /// A slave.
    pub(super) fn process(&self, slave: usize) -> Option<&Process> {
        self.members[slave].process.as_ref()
    }

    /// The cable in front of a slave.
    pub(super) fn proxy(&self, slave: usize) -> &Proxy {
        &self.members[slave].proxy
    }

    /// Kills a slave. The next step starts it again.
    pub(super) fn kill(&mut self, slave: usize) {
        let member = &mut self.members[slave];
        if let Some(process) = &member.process {
            process.signal(Signal::SIGKILL);
            member.was_killed = true;
        }
    }

    /// Tells a slave to end, and starts another one in its place.
    pub(super) fn drain(&mut self, slave: usize) {
        let member = &mut self.members[slave];
        member.aim = Aim::End;
        let workers = member.workers;
        if let Some(process) = &member.process {
            process.signal(Signal::SIGTERM);
        }
        self.add(workers, false);
    }

    /// Starts one more slave, if there are not too many. Its tasks end, or never do.
    pub(super) fn join(&mut self, has_endless_tasks: bool) -> bool {
        let serving = self.members.iter().filter(|member| member.aim == Aim::Serve).count();
        let has_room = serving < MEMBERS_MAX;
        if has_room {
            self.add(2, has_endless_tasks);
        }
        has_room
    }

    /// Ends all slaves, and returns what was wrong with any of them.
    pub(super) fn end(&mut self) -> Vec<String> {
        for member in &mut self.members {
            member.aim = Aim::End;
            if let Some(process) = &member.process {
                process.signal(Signal::SIGTERM);
            }
        }
        for index in 0..self.members.len() {
            if let Some(process) = &mut self.members[index].process {
                wait::until("a slave ends", || !process.is_running());
            }
            self.on_ended(index);
        }
        std::mem::take(&mut self.complaints)
    }

    /// Whether a slave was killed: then nothing is left to end what its tasks have started.
    pub(super) fn has_killed_slaves(&self) -> bool {
        self.has_killers || self.members.iter().any(|member| member.was_killed)
    }

    fn add(&mut self, workers: usize, has_endless_tasks: bool) {
        let (port, proxy) = self.cable();
        let member = Member {
            port,
            workers,
            proxy,
            process: None,
            aim: Aim::Serve,
            has_endless_tasks,
            was_killed: false,
            failed_starts: 0,
        };
        self.members.push(member);
        self.launch(self.members.len() - 1);
    }

    /// A port that is free on both sides, and a proxy between them.
    fn cable(&mut self) -> (u16, Proxy) {
        wait::until_some("a port is free", || {
            let port = u16::try_from(FIRST_PORT + self.dice.roll(PORTS)).expect("ports are below 30,000");
            TcpListener::bind((BEHIND, port)).ok()?;
            let proxy = Proxy::start((BEFORE, port).into(), (BEHIND, port).into()).ok()?;
            Some((port, proxy))
        })
    }

    fn launch(&mut self, index: usize) {
        let member = &mut self.members[index];
        let task = format!("{}", plugin(self.grid).display());
        let mut call = self
            .grid
            .slave_call(&task)
            .task_arg("side-log", self.grid.path("log"))
            .args(&format!("-p {} --listen {BEHIND} --advertise {BEFORE}", member.port))
            .args(&format!("-m {} --drain-timeout 10s", member.workers));
        if self.worker_memory {
            call = call.args("--worker-memory 1GiB");
        }
        if member.has_endless_tasks {
            call = call.task_arg("drop", "hang");
        }
        call = call.args(START_TIMEOUT).task_arg("new-hangs-once", self.grid.path(NEW_HANGS));
        member.process = Some(call.start());
    }

    /// Judges how a slave has ended.
    fn on_ended(&mut self, index: usize) {
        let member = &mut self.members[index];
        let Some(process) = member.process.take() else { return };
        let ended = process.wait();
        if ended.stderr.contains("panicked at host/") || ended.stderr.contains("a report ") {
            self.complaints.push(format!("a slave has a bug:\n{}", ended.stderr));
        }
        let is_right = match ended.status {
            -9 => member.was_killed || self.has_killers,
            143 => member.aim == Aim::End,
            // It was told to end before it had begun to listen for signals.
            -15 => member.aim == Aim::End && ended.stderr.is_empty(),
            // It did not reach the registry, or its task hung; a service manager would try again.
            2 | 4 => {
                member.failed_starts += 1;
                let words = ["locked", "registry", "database", "is in use", "raise --start-timeout"];
                member.failed_starts <= FAILED_STARTS_MAX
                    && ended.errors().iter().any(|error| words.iter().any(|word| error.contains(word)))
            }
            _ => false,
        };
        if !is_right {
            self.complaints.push(format!("a slave has ended with {}:\n{}", ended.status, ended.stderr));
        }
    }
}
