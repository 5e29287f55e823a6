//! The slaves of a simulation: each a process that is started, stopped, killed and started again.

use tokio::task::{AbortHandle, JoinSet};

use super::network::Network;
use super::nursery::Nursery;
use super::trace::Trace;
use crate::owned_task::{outcome, spawn_process_in};
use crate::registry::{NodeKey, Registry, SimulatedTable};
use crate::shutdown::{Shutdown, ShutdownTrigger, StopSignal};
use crate::slave::{self, SimulatedSlave};
use crate::turns::{ProcessId, Schedule};

/// The port of every slave: each has a machine of its own.
const PORT: u16 = 1;

/// What the slaves have in common.
pub(super) struct Surroundings {
    /// Whose turn it is.
    pub schedule: Schedule,
    /// Where it is written down.
    pub trace: Trace,
    /// How they are reached.
    pub network: Network,
    /// Where their rows are.
    pub table: SimulatedTable,
    /// Where their workers come from.
    pub nursery: Nursery,
}

/// All slaves.
pub(super) struct Fleet {
    surroundings: Surroundings,
    slots: Vec<u16>,
    slaves: Vec<Option<LivingSlave>>,
    lives: JoinSet<usize>,
}

struct LivingSlave {
    process: ProcessId,
    life: AbortHandle,
    signal: ShutdownTrigger,
}

/// What a node is called.
pub(super) fn key(node: usize) -> NodeKey {
    NodeKey::new(format!("n{node}"), PORT)
}

impl Fleet {
    /// Slaves with so many workers each, none of which lives yet.
    pub(super) fn new(surroundings: Surroundings, slots: Vec<u16>) -> Self {
        let slaves = slots.iter().map(|_| None).collect();
        Self { surroundings, slots, slaves, lives: JoinSet::new() }
    }

    /// Starts a slave, unless it lives.
    pub(super) fn start(&mut self, node: usize) {
        if self.slaves[node].is_some() {
            return;
        }
        let Surroundings { schedule, trace, network, table, nursery } = &self.surroundings;
        let process = schedule.new_process();
        trace.say(format!("node {node} starts as process {}", process.0));
        let (signal, shutdown) = Shutdown::by_hand();
        let (table, hatchery, trace) = (table.clone(), nursery.hatchery(node), trace.clone());
        let arrivals = network.listen(&key(node).to_string());
        let slots = self.slots[node];
        let life = schedule.task_of(process, async move {
            let slave = SimulatedSlave {
                registry: Registry::simulated(table),
                key: key(node),
                pid: 1000 + node as u32,
                slots,
                hatchery,
                arrivals,
                shutdown,
            };
            match slave::live(slave).await {
                Ok(()) => trace.say(format!("node {node} has ended")),
                Err(why) => trace.say(format!("node {node} cannot go on: {why}")),
            }
            node
        });
        let life = spawn_process_in(&mut self.lives, life);
        self.slaves[node] = Some(LivingSlave { process, life, signal });
    }

    /// Waits until a slave has ended, and was not killed.
    pub(super) async fn ended(&mut self) -> usize {
        loop {
            let Some(ended) = self.lives.join_next().await else { return std::future::pending().await };
            let Some(node) = outcome(ended) else { continue };
            self.slaves[node] = None;
            return node;
        }
    }

    /// Kills a slave.
    pub(super) fn kill(&mut self, node: usize) {
        if let Some(slave) = self.slaves[node].take() {
            slave.life.abort();
        }
    }

    /// Stops a slave, or lets it go on.
    pub(super) fn stop(&self, node: usize, stops: bool) {
        let Some(slave) = &self.slaves[node] else { return };
        let schedule = &self.surroundings.schedule;
        if stops { schedule.stop(slave.process) } else { schedule.go_on(slave.process) }
    }

    /// Asks a slave to end.
    pub(super) fn drain(&self, node: usize) {
        if let Some(slave) = &self.slaves[node] {
            slave.signal.drain(StopSignal::Terminate);
        }
    }
}
