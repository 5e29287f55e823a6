//! Finds slaves for a run and keeps them: reserves rows of the registry, connects, renews leases, notes which
//! slaves are lost, and gives everything back at the end. It knows nothing of the run itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::fitness::{BuildRules, Fitness};
use super::link::{Joined, LinkEvent, frames_max};
use super::slave_link::{self, LinkEnd};
use super::without_nodes::WithoutNodes;
use crate::ids::NodeId;
use crate::master::output::TaskIdentity;
use crate::registry::{Node, NodeKey, Registry, RegistryError, Reservation};
use crate::wire::{
    ConnectError, Connection, Dialer, HandshakeError, MasterToSlave, PIN_BUILD, Refusal, Role,
};
use crate::{owned_task, time};

/// How long a reservation lasts without being renewed: the longest that the nodes of a dead master stay
/// reserved.
const LEASE: Duration = Duration::from_secs(15);

/// How often leases are renewed: two renewals may fail before one runs out.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// How often nodes are looked for while there are none: a slave that starts is noticed at once, and the
/// registry has little to do.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How often a slave is asked that is still taking leave of another master: for two seconds in all, and then
/// it is given back.
const BUSY_TRIES: u32 = 20;
/// Pause between two such attempts: taking leave seldom takes longer.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// What the keeper works with.
pub(crate) struct NodeKeeper {
    /// Where nodes are.
    pub registry: Registry,
    /// How they are connected to.
    pub dialer: Dialer,
    /// The name under which they are reserved.
    pub reservation: Reservation,
    /// How the master introduces itself.
    pub role: Role,
    /// How many nodes it may hold at once.
    pub nodes_max: usize,
    /// Which builds may take part.
    pub builds: BuildRules,
    /// The task with which the run was begun, if it goes on with a journal.
    pub journaled_task: Option<TaskIdentity>,
    /// How long it may be without any.
    pub wait_nodes: Duration,
    /// How often it looks for more while it has some.
    pub reallocate_every: Duration,
    /// What each slave is told before any data.
    pub init_commands: Arc<[(String, String)]>,
    /// Where slaves are announced.
    pub events: mpsc::Sender<LinkEvent>,
    /// Resolves when the run takes leave of its nodes: from then on no more are wanted.
    pub enough: oneshot::Receiver<()>,
}

/// Something that the keeper has waited for.
enum Ready {
    Connected(Box<Node>, Result<Box<Connection>, ConnectError>),
    /// A node that does not fit was told goodbye.
    Parted(NodeKey),
    Ended(NodeId, LinkEnd),
}

struct Keeping {
    keeper: NodeKeeper,
    jobs: JoinSet<Ready>,
    connecting: BTreeSet<NodeKey>,
    linked: BTreeMap<NodeId, NodeKey>,
    next_node: u32,
    /// Which nodes may take part.
    fitness: Fitness,
    /// What went wrong last, for the message when no node was found.
    last_trouble: Option<String>,
    registry_is_down: bool,
    /// Whether the registry may have nodes for this master that it does not want.
    may_hold_strays: bool,
    has_enough: bool,
}

impl NodeKeeper {
    /// Keeps nodes until the run is over.
    pub(crate) async fn keep(self, mut is_over: oneshot::Receiver<()>) {
        let fitness = Fitness::new(self.builds, self.journaled_task.clone());
        let mut keeping = Keeping {
            keeper: self,
            jobs: JoinSet::new(),
            connecting: BTreeSet::new(),
            linked: BTreeMap::new(),
            next_node: 0,
            fitness,
            last_trouble: None,
            registry_is_down: false,
            may_hold_strays: false,
            has_enough: false,
        };
        tokio::select! {
            biased;
            _ = &mut is_over => {}
            () = keeping.work() => { let _ = is_over.await; }
        }
        keeping.give_back().await;
    }
}

impl Keeping {
    async fn work(&mut self) {
        let mut renewal = tokio::time::interval(RENEW_EVERY);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut without, mut has_looked_last) = (WithoutNodes::default(), false);
        let mut next_look = Instant::now();
        loop {
            let has_nodes = !self.linked.is_empty() || self.has_enough;
            let is_over = without.on_look(has_nodes, self.keeper.wait_nodes, Instant::now().into_std());
            // Before it gives up, it looks once more, and tries all that it finds.
            has_looked_last &= is_over;
            if has_looked_last && self.connecting.is_empty() {
                self.report_no_nodes().await;
                return;
            }
            // Each job was begun by a look, so the looks wait for the jobs of one look at most.
            tokio::select! {
                biased;
                _ = &mut self.keeper.enough, if !self.has_enough => self.has_enough = true,
                _ = renewal.tick() => self.renew().await,
                Some(ready) = self.jobs.join_next() => if let Some(ready) = owned_task::outcome(ready) {
                    self.on_ready(ready).await;
                },
                () = tokio::time::sleep_until(next_look), if !has_looked_last => {
                    has_looked_last = is_over;
                    self.look_for_nodes().await;
                    let pause = if self.linked.is_empty() { LOOK_EVERY } else { self.keeper.reallocate_every };
                    next_look = Instant::now() + pause;
                }
            }
            if self.linked.is_empty() {
                next_look = next_look.min(Instant::now() + LOOK_EVERY);
            }
        }
    }

    async fn look_for_nodes(&mut self) {
        let wanted = self.keeper.nodes_max.saturating_sub(self.linked.len() + self.connecting.len());
        if wanted == 0 || self.has_enough {
            return;
        }
        let fitting = self.fitness.wanted(time::now());
        let NodeKeeper { registry, reservation, .. } = &self.keeper;
        let nodes = registry.reserve(reservation, wanted, fitting, LEASE).await;
        let nodes = self.note_registry(nodes, "reserve nodes").unwrap_or_default();
        for node in nodes {
            self.connecting.insert(node.key.clone());
            owned_task::spawn_in(
                &mut self.jobs,
                connect(self.keeper.dialer.clone(), node, self.keeper.role.clone()),
            );
        }
    }

    async fn renew(&mut self) {
        if self.linked.is_empty() && !self.may_hold_strays {
            return;
        }
        self.may_hold_strays = false;
        let renewed = self.keeper.registry.renew(&self.keeper.reservation, LEASE).await;
        for key in self.note_registry(renewed, "renew the reservations").unwrap_or_default() {
            self.free_if_stray(&key).await;
        }
    }

    /// A node can be reserved without this master wanting it, if the answer to the reservation was lost on
    /// its way, or the registry was away when the node was to be given back.
    async fn free_if_stray(&mut self, key: &NodeKey) {
        if !self.has(key) {
            let NodeKeeper { registry, reservation, .. } = &self.keeper;
            let freed = registry.free_if_reserved_by(key, reservation).await;
            self.note_registry(freed, "give a node back");
        }
    }

    /// Whether it has a link to a node, or is making one.
    fn has(&self, key: &NodeKey) -> bool {
        self.connecting.contains(key) || self.linked.values().any(|linked| linked == key)
    }

    /// The run goes on without the registry; the log says so once.
    fn note_registry<T>(&mut self, result: Result<T, RegistryError>, what: &str) -> Option<T> {
        match result {
            Ok(value) => {
                if std::mem::take(&mut self.registry_is_down) {
                    tracing::info!("the registry is back");
                }
                Some(value)
            }
            Err(error) => {
                self.last_trouble = Some(error.to_string());
                self.may_hold_strays = true;
                if !std::mem::replace(&mut self.registry_is_down, true) {
                    tracing::warn!("failed to {what}, trying again until it works: {error}");
                }
                None
            }
        }
    }

    async fn on_ready(&mut self, ready: Ready) {
        match ready {
            Ready::Connected(node, Ok(connection)) => {
                self.connecting.remove(&node.key);
                // A node that comes too late is given back with all others.
                if !self.has_enough {
                    self.on_connected(*node, *connection).await;
                }
            }
            Ready::Parted(key) => {
                self.connecting.remove(&key);
                let NodeKeeper { registry, reservation, .. } = &self.keeper;
                let freed = registry.free_if_reserved_by(&key, reservation).await;
                self.note_registry(freed, "give a node back");
            }
            Ready::Connected(node, Err(error)) => {
                self.connecting.remove(&node.key);
                self.on_not_connected(&node.key, &error).await;
            }
            Ready::Ended(node, end) => {
                let Some(key) = self.linked.remove(&node) else { return };
                let is_reserved_anew = self.has(&key);
                let NodeKeeper { registry, reservation, events, .. } = &self.keeper;
                let (freed, event) = match end {
                    // After a while in which it did not run, this master can have reserved a node again
                    // before it learns that the node has given it up. The row is the new link's by then.
                    LinkEnd::Lost(reason) if is_reserved_anew => (Ok(true), LinkEvent::Lost(node, reason)),
                    LinkEnd::Left | LinkEnd::NotWanted => {
                        (registry.free_if_reserved_by(&key, reservation).await, LinkEvent::Left(node))
                    }
                    LinkEnd::Lost(reason) => {
                        (registry.lost(&key, reservation).await, LinkEvent::Lost(node, reason))
                    }
                };
                // A dispatcher that has ended needs no events.
                let _ = events.send(event).await;
                self.note_registry(freed, "give a node back");
            }
        }
    }

    async fn on_connected(&mut self, row: Node, connection: Connection) {
        let Some(welcome) = connection.welcome.clone() else { return };
        if let Err(why) = self.fitness.judge(&welcome) {
            return self.do_without(row, connection, &why);
        }
        let key = row.key;
        if self.fitness.is_first_elsewhere(&welcome) {
            tracing::warn!(
                "{key} writes files into another directory than the first node: if a node, a link or this master is \
                 lost, some records may be in files of both"
            );
        }
        let node = NodeId(self.next_node);
        self.next_node += 1;
        let room = frames_max(welcome.slots) + self.keeper.init_commands.len() + 1;
        let (out, frames) = mpsc::channel(room);
        // A slave can be reloaded in mid-run; one of a run that is pinned must not, and has not been since it
        // said what it is.
        let pin = || (PIN_BUILD.to_owned(), welcome.build.file.to_string());
        let pin = self.fitness.is_pinned().then(pin);
        for (name, value) in pin.into_iter().chain(self.keeper.init_commands.iter().cloned()) {
            let command = MasterToSlave::Command { name, value };
            out.try_send(command.into()).expect("the channel has room for the commands");
        }
        let events = self.keeper.events.clone();
        let name = key.to_string();
        self.linked.insert(node, key);
        let (hang_up, hung_up) = oneshot::channel();
        let joined = Joined { node, name, welcome, out, hang_up };
        if events.send(LinkEvent::Joined(joined)).await.is_ok() {
            owned_task::spawn_in(&mut self.jobs, async move {
                let end = slave_link::carry(node, connection, frames, hung_up, events).await;
                Ready::Ended(node, end)
            });
        }
    }

    /// Takes leave of a node that was reserved and does not fit the run. It is given back after that, so that
    /// the next master finds its slave free.
    fn do_without(&mut self, row: Node, connection: Connection, why: &str) {
        let news = format!("{} is not used: {why}", row.key);
        if self.fitness.pass_over(&row, why, time::now()) {
            tracing::warn!("{news}");
        }
        self.last_trouble = Some(news);
        self.connecting.insert(row.key.clone());
        owned_task::spawn_in(&mut self.jobs, async move {
            slave_link::part(connection).await;
            Ready::Parted(row.key)
        });
    }

    async fn on_not_connected(&mut self, key: &NodeKey, error: &ConnectError) {
        tracing::warn!("a reserved node cannot be used: {error}");
        self.last_trouble = Some(error.to_string());
        let NodeKeeper { registry, reservation, .. } = &self.keeper;
        let noted = match error {
            ConnectError::Refused { refusal: Refusal::Busy { .. } | Refusal::Draining, .. } => {
                registry.free_if_reserved_by(key, reservation).await.map(drop)
            }
            // Another program listens there, or another version: that does not pass by itself.
            ConnectError::Handshake {
                cause: HandshakeError::NotSimpleGrid | HandshakeError::OtherVersion { .. },
                ..
            } => registry.invalidate(key).await.map(drop),
            _ => registry.lost(key, reservation).await.map(drop),
        };
        self.note_registry(noted, "record this in the registry");
    }

    async fn report_no_nodes(&self) {
        let wait = humantime::format_duration(self.keeper.wait_nodes);
        let registry = &self.keeper.registry;
        // A registry that fails has been reported as the last problem.
        let listing = registry.listing().await.ok();
        let trouble = || self.last_trouble.as_ref().map(|trouble| format!("the last problem: {trouble}"));
        let unfit = listing.and_then(|listing| self.fitness.why_none(&listing.nodes, listing.now));
        let why = unfit.or_else(trouble);
        let why = why.map_or_else(String::new, |why| format!("; {why}"));
        let message = format!(
            "no node could be reserved within {wait} (--wait-nodes): start slaves with the same --registry, or \
             look at `simplegrid node-manager list`{why}"
        );
        // A dispatcher that has ended needs no events.
        let _ = self.keeper.events.send(LinkEvent::NoNodes(message)).await;
    }

    /// Gives every row back, also those whose links have not ended.
    async fn give_back(mut self) {
        owned_task::cancel_all(&mut self.jobs).await;
        let released = self.keeper.registry.release_reservation(&self.keeper.reservation).await;
        self.note_registry(released, "release the nodes");
    }
}

async fn connect(dialer: Dialer, node: Node, role: Role) -> Ready {
    let address = node.address();
    for _ in 1..BUSY_TRIES {
        match dialer.connect(&address, role.clone()).await {
            Err(ConnectError::Refused { refusal: Refusal::Busy { .. }, .. }) => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            result => return Ready::Connected(Box::new(node), result.map(Box::new)),
        }
    }
    let connected = dialer.connect(&address, role).await.map(Box::new);
    Ready::Connected(Box::new(node), connected)
}
