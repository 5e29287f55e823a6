//! Plays a plan: puts a grid together in one thread, breaks what the plan says when it says so, and waits for
//! the end.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet, LocalSet};
use tokio::time::Instant;
use tracing_subscriber::layer::SubscriberExt;

use super::evidence::Evidence;
use super::executions::Executions;
use super::fault::Fault;
use super::fleet::{Fleet, Surroundings, key};
use super::local;
use super::network::Network;
use super::nursery::Nursery;
use super::order::Planned;
use super::plan::Plan;
use super::trace::{Trace, TraceLayer};
use crate::master::{SimulatedMaster, StreamedEnd, master_over};
use crate::owned_task::{OwnedTask, outcome, spawn_process_in};
use crate::record::{Input, Records};
use crate::registry::{Registry, SimulatedTable};
use crate::shutdown::{Shutdown, ShutdownTrigger, StopSignal};
use crate::turns::{Dice, ProcessId, Schedule};

/// How long the grid goes on after the run: slaves notice that their master is gone, and their rows become
/// free.
const AFTERWARDS: Duration = Duration::from_secs(30);

/// How long a slave that has ended by itself is left alone, as service managers do it.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// Blocks of the input that wait, as in the reader.
const BLOCKS_AHEAD: usize = 2;

/// Records in one block of the input.
const BLOCK_RECORDS_MAX: usize = 10;

/// Plays a plan to its end.
pub(crate) fn play(plan: &Plan) -> Evidence {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O needs nothing");
    LocalSet::new().block_on(&runtime, play_here(plan.clone()))
}

async fn play_here(plan: Plan) -> Evidence {
    let trace = Trace::new();
    let _logs_here =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(TraceLayer(trace.clone())));
    let mut dice = Dice::new(plan.seed);
    let schedule = Schedule::new(dice.number());
    let world = schedule.new_process();
    let executions = Executions::default();
    let quirks = plan.quirks.clone();
    let (victims, fallen) = mpsc::unbounded_channel();
    let (nursery, newborns) =
        Nursery::new(schedule.clone(), trace.clone(), executions.clone(), quirks, victims, dice.fork());
    let surroundings = Surroundings {
        schedule: schedule.clone(),
        trace: trace.clone(),
        network: Network::new(dice.fork()),
        table: SimulatedTable::new(dice.fork()),
        nursery,
    };
    let directing = direct(plan, surroundings, fallen, executions, dice);
    tokio::select! {
        biased;
        evidence = schedule.task_of(world, directing) => evidence,
        () = schedule.task_of(world, newborns.raise(schedule.clone())) => unreachable!("workers can still be born"),
        () = schedule.conduct() => unreachable!("turns are given for ever"),
    }
}

/// What is broken can be mended.
#[derive(Debug, Clone, Copy)]
struct Deed {
    fault: Fault,
    begins: bool,
}

/// The plan's faults in the order of their beginnings and ends.
fn deeds(plan: &Plan) -> Vec<(Duration, Deed)> {
    let mut deeds = Vec::new();
    for (at, fault) in &plan.faults {
        deeds.push((*at, Deed { fault: *fault, begins: true }));
        if let Some(length) = fault.length().filter(|length| !length.is_zero()) {
            deeds.push((*at + length, Deed { fault: *fault, begins: false }));
        }
    }
    deeds.sort_by_key(|(at, _)| *at);
    deeds
}

struct World {
    is_local: bool,
    fleet: Fleet,
    schedule: Schedule,
    trace: Trace,
    network: Network,
    table: SimulatedTable,
    nursery: Nursery,
    master: ProcessId,
    /// The master's.
    life: AbortHandle,
    signal: ShutdownTrigger,
    /// Nodes that their workers bring down.
    fallen: mpsc::UnboundedReceiver<usize>,
}

async fn direct(
    plan: Plan,
    surroundings: Surroundings,
    fallen: mpsc::UnboundedReceiver<usize>,
    executions: Executions,
    mut dice: Dice,
) -> Evidence {
    let Surroundings { schedule, trace, network, table, nursery } = &surroundings;
    let (schedule, trace, network) = (schedule.clone(), trace.clone(), network.clone());
    let (table, nursery) = (table.clone(), nursery.clone());
    let mut fleet = Fleet::new(surroundings, plan.nodes.clone());
    if !plan.is_local {
        (0..plan.nodes.len()).for_each(|node| fleet.start(node));
    }

    let (records_in, records) = mpsc::channel(BLOCKS_AHEAD);
    let _feeding = OwnedTask::spawn(feed(plan.clone(), records_in, dice.fork()));
    let (output, failed) = (file_in_memory("output"), file_in_memory("failed"));
    let (signal, shutdown) = Shutdown::by_hand();
    let master = SimulatedMaster {
        records,
        keep_order: plan.keep_order,
        retries: plan.retries,
        record_timeout: plan.record_timeout,
        output: path_of(&output),
        failed: path_of(&failed),
        reservation: RESERVATION.to_owned(),
        wait_nodes: plan.wait_nodes,
        shutdown,
    };
    let process = schedule.new_process();
    trace.say(format!("the master starts as process {}", process.0));
    let mut masters = JoinSet::new();
    let (registry, dialer, hatchery) = (table.clone(), network.dialer(), nursery.hatchery(0));
    let local = plan.is_local.then(|| plan.nodes[0]);
    let running = async move {
        let Some(slots) = local else {
            return anyhow::Ok(master_over(Registry::simulated(registry), dialer, master)?.await);
        };
        local::run(slots, hatchery, master).await
    };
    let life = spawn_process_in(&mut masters, schedule.task_of(process, running));
    let world = World {
        is_local: plan.is_local,
        fleet,
        schedule: schedule.clone(),
        trace: trace.clone(),
        network,
        table: table.clone(),
        nursery: nursery.clone(),
        master: process,
        life,
        signal,
        fallen,
    };
    let mut world = world;
    let (end, took) = world.run(&plan, &mut masters).await;
    let (end, refusal) = match end.transpose() {
        Ok(end) => (end, None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let nodes = table.nodes();
    drop(world);
    Evidence {
        end: end.map(|StreamedEnd { end, summary }| {
            (format!("{end:?}"), serde_json::to_value(&summary).expect("a summary is JSON"))
        }),
        refusal,
        output: String::from_utf8_lossy(&content_of(&output)).into_owned(),
        failed: failed_lines(&failed),
        executions: executions.all(),
        took,
        nodes,
        trace: trace.all(),
        fingerprint: schedule.fingerprint(),
        births: nursery.births(),
    }
}

/// The name of the only run.
const RESERVATION: &str = "the run";

fn file_in_memory(name: &str) -> File {
    File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC).expect("there is memory for a file"))
}

fn path_of(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn content_of(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().map_or(0, |metadata| metadata.len()) as usize];
    file.read_exact_at(&mut bytes, 0).expect("the file is in memory");
    bytes
}

fn failed_lines(failed: &File) -> Vec<serde_json::Value> {
    let bytes = content_of(failed);
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap_or_default()).collect()
}

/// Feeds the records, in blocks, as a reader would.
async fn feed(plan: Plan, input: mpsc::Sender<Input>, mut dice: Dice) {
    let texts: Vec<_> = plan
        .records
        .iter()
        .enumerate()
        .map(|(id, order)| format!("{}\n", Planned { id, order: *order }))
        .collect();
    let mut rest = &texts[..];
    while !rest.is_empty() {
        tokio::time::sleep(dice.duration(Duration::ZERO, plan.input_pause)).await;
        let count = dice.between(1, rest.len().min(BLOCK_RECORDS_MAX));
        let (block, later) = rest.split_at(count);
        rest = later;
        let bytes_left = later.iter().map(|text| text.len() as u64).sum();
        let remaining_bytes = plan.input_pause.is_zero().then_some(bytes_left);
        let records = Records::from_iter(block);
        if input.send(Input::Records { records, remaining_bytes, keys: None }).await.is_err() {
            return;
        }
    }
    // A master that reads no more needs no end.
    let _ = input.send(Input::End).await;
}

impl World {
    /// Runs until the master has ended, everything is mended and a while has passed; or until patience is
    /// over. Returns how the run has ended, and when.
    async fn run(
        &mut self,
        plan: &Plan,
        masters: &mut JoinSet<anyhow::Result<StreamedEnd>>,
    ) -> (Option<anyhow::Result<StreamedEnd>>, Duration) {
        let began = Instant::now();
        let mut deeds = deeds(plan).into_iter().peekable();
        let mut restarts: Vec<(Instant, usize)> = Vec::new();
        let (mut end, mut took) = (None, plan.patience);
        // When it is over.
        let mut over = began + plan.patience;
        loop {
            let next_deed = deeds.peek().map(|(at, _)| began + *at);
            let next_restart = restarts.first().map(|(at, _)| *at);
            let next = next_deed.into_iter().chain(next_restart).fold(over, Instant::min);
            tokio::select! {
                biased;
                Some(ended) = masters.join_next() => {
                    end = outcome(ended);
                    took = began.elapsed();
                    let mended = deeds.clone().map(|(at, _)| began + at).max();
                    over = mended.unwrap_or(began).max(Instant::now()) + AFTERWARDS;
                    self.trace.say("the master has ended");
                }
                node = self.fleet.ended() => restarts.push((Instant::now() + RESTART_AFTER, node)),
                Some(node) = self.fallen.recv() => {
                    self.trace.say(format!("node {node} is brought down by a record"));
                    if self.is_local {
                        self.life.abort();
                    } else {
                        self.fleet.kill(node);
                        restarts.push((Instant::now() + RESTART_AFTER, node));
                    }
                }
                () = tokio::time::sleep_until(next) => {}
            }
            let now = Instant::now();
            if now >= over {
                return (end, took);
            }
            while let Some((_, deed)) = deeds.next_if(|(at, _)| began + *at <= now) {
                self.trace.say(format!(
                    "{}: {:?}",
                    if deed.begins { "broken" } else { "mended" },
                    deed.fault
                ));
                self.perform(deed);
            }
            restarts.retain(|(at, node)| {
                let is_due = *at <= now;
                if is_due {
                    self.fleet.start(*node);
                }
                !is_due
            });
        }
    }

    fn perform(&mut self, Deed { fault, begins }: Deed) {
        let link = |node: usize| self.network.link(&key(node).to_string());
        match fault {
            Fault::KillWorker { node, slot } => {
                if let Some(worker) = self.nursery.worker(node, slot) {
                    worker.kill();
                }
            }
            Fault::StopWorker { node, slot, .. } => {
                if let Some(worker) = self.nursery.worker(node, slot) {
                    worker.stop(begins);
                }
            }
            // One process cannot be killed by halves.
            Fault::KillSlave { .. } | Fault::DrainSlave { .. } if self.is_local => {}
            Fault::KillSlave { node, .. } if begins => self.fleet.kill(node),
            Fault::KillSlave { node, .. } => self.fleet.start(node),
            Fault::StopSlave { node, .. } => self.fleet.stop(node, begins),
            Fault::DrainSlave { node } => self.fleet.drain(node),
            Fault::StopMaster { .. } if begins => self.schedule.stop(self.master),
            Fault::StopMaster { .. } => self.schedule.go_on(self.master),
            Fault::DrainMaster => self.signal.drain(StopSignal::Terminate),
            Fault::KillMaster => self.life.abort(),
            Fault::CutLink { node } => {
                if let Some(link) = link(node) {
                    link.cut();
                }
            }
            Fault::StallLink { node, to_slave, to_master, .. } => {
                if let Some(link) = link(node) {
                    link.to_slave.stall(begins && to_slave);
                    link.to_master.stall(begins && to_master);
                }
            }
            Fault::HalfCloseLink { node, to_slave } => {
                if let Some(link) = link(node) {
                    if to_slave { link.to_slave.half_close() } else { link.to_master.half_close() }
                }
            }
            Fault::SlowLink { node, delay, .. } => {
                if let Some(link) = link(node) {
                    link.set_delay(begins.then_some(delay));
                }
            }
            Fault::RegistryDown { .. } => self.table.set_down(begins),
            Fault::RegistrySlow { delay, .. } => {
                self.table.set_slowness(if begins { delay } else { Duration::ZERO });
            }
            Fault::RegistryReplaced => self.table.replace(),
            Fault::RegistryJump { seconds } => self.table.jump(seconds),
            Fault::StallOutput { .. } => {
                // What stands for the thread that writes rows.
                self.schedule.stop_named("results", begins);
            }
        }
    }
}
