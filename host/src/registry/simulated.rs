//! A registry in memory, for simulations: the table by the real rules, behind the real queue. Its users share
//! it; it can be slow, absent or emptied, and its clock can jump.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::backend_error::BackendError;
use super::clock::{seconds_after, seconds_before};
use super::dialects::sqlite_error::SqliteError;
use super::error::RegistryError;
use super::node::{Node, NodeKey, NodeState, oldest_sign_of_life};
use super::request::{Answer, Listing, Request, Wanted, Wish};
use super::transition;
use crate::build::Digest;
use crate::turns::Dice;

/// What the clock of a registry shows when a simulation begins: any time will do.
const EPOCH: i64 = 1_700_000_000;

/// A table that all masters and slaves of a simulation share.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedTable(Arc<Mutex<NodesInMemory>>);

#[derive(Debug)]
struct NodesInMemory {
    nodes: BTreeMap<NodeKey, Node>,
    began: Instant,
    /// Seconds by which its clock has jumped.
    jumped: i64,
    is_down: bool,
    /// The longest time that an answer takes.
    slowness: Duration,
    dice: Dice,
}

impl SimulatedTable {
    /// An empty table.
    pub(crate) fn new(dice: Dice) -> Self {
        let (nodes, began) = (BTreeMap::new(), Instant::now());
        let (jumped, is_down, slowness) = (0, false, Duration::ZERO);
        Self(Arc::new(Mutex::new(NodesInMemory { nodes, began, jumped, is_down, slowness, dice })))
    }

    /// Answers take so long at most.
    pub(crate) fn set_slowness(&self, slowness: Duration) {
        self.table().slowness = slowness;
    }

    /// The registry cannot be reached, or can again.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.table().is_down = is_down;
    }

    /// Another one is put in its place, without rows.
    pub(crate) fn replace(&self) {
        self.table().nodes.clear();
    }

    /// Its clock jumps.
    pub(crate) fn jump(&self, seconds: i64) {
        self.table().jumped += seconds;
    }

    /// The rows as they are.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.table().nodes.values().cloned().collect()
    }

    /// Carries a request out.
    pub(super) async fn perform(&self, request: &Request) -> Result<Answer, RegistryError> {
        let pause = self.pause();
        tokio::time::sleep(pause).await;
        let mut table = self.table();
        if table.is_down {
            return Err(BackendError::from(SqliteError::ReadOnly { file: "simulated".into() }).into());
        }
        table.perform(request)
    }

    fn pause(&self) -> Duration {
        let mut table = self.table();
        let slowness = table.slowness;
        table.dice.duration(Duration::ZERO, slowness)
    }

    fn table(&self) -> MutexGuard<'_, NodesInMemory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodesInMemory {
    fn now(&self) -> i64 {
        EPOCH + self.began.elapsed().as_secs() as i64 + self.jumped
    }

    fn perform(&mut self, request: &Request) -> Result<Answer, RegistryError> {
        let now = self.now();
        let nodes = match request {
            Request::List => {
                let nodes = self.nodes.values().cloned().collect();
                return Ok(Answer::Listing(Listing { nodes, now }));
            }
            Request::Find(key) => self.nodes.get(key).cloned().into_iter().collect(),
            Request::Change { key, change } => {
                let new = transition::after(change, key, self.nodes.get(key).cloned(), now)?;
                self.put(new.into_iter().collect())
            }
            Request::Prune { silent_for } => {
                let oldest = seconds_before(now, *silent_for);
                let is_old = |node: &Node| node.last_seen.is_some_and(|seen| seen < oldest);
                let pruned: Vec<_> = self.nodes.values().filter(|node| is_old(node)).cloned().collect();
                self.nodes.retain(|_, node| !is_old(node));
                pruned
            }
            Request::Reserve(wish) => self.reserve(wish, now),
            Request::Renew { reservation, lease } => {
                let until = Some(seconds_after(now, *lease));
                let held = self.held_by(reservation.as_str(), &[NodeState::Reserved, NodeState::Cleanup]);
                self.put(held.into_iter().map(|node| Node { lease_until: until, ..node }).collect())
            }
            Request::Release(reservation) => {
                let held = self.held_by(reservation.as_str(), &[NodeState::Reserved]);
                let freed = held.into_iter().map(|node| Node {
                    state: NodeState::Enabled,
                    reserved_by: None,
                    lease_until: None,
                    start_time: Some(now),
                    ..node
                });
                let freed = freed.collect();
                return Ok(Answer::Freed(self.put(freed).len()));
            }
        };
        Ok(Answer::Nodes(nodes))
    }

    /// Those that are free, the longest available first, and then those whose lease has run out.
    fn reserve(&mut self, wish: &Wish, now: i64) -> Vec<Node> {
        let alive = oldest_sign_of_life(now);
        let fits =
            |node: &&Node| node.last_seen.is_some_and(|seen| seen >= alive) && is_wanted(&wish.wanted, node);
        let is_free = |node: &&Node| node.state == NodeState::Enabled;
        let has_expired = |node: &&Node| {
            node.state == NodeState::Reserved
                && node.lease_until.is_some_and(|until| until < now)
                && node.reserved_by.as_deref() != Some(wish.reservation.as_str())
        };
        let mut chosen: Vec<&Node> = self.nodes.values().filter(fits).filter(is_free).collect();
        chosen.sort_by_key(|node| node.start_time);
        let mut expired: Vec<&Node> = self.nodes.values().filter(fits).filter(has_expired).collect();
        expired.sort_by_key(|node| node.start_time);
        let chosen = chosen.into_iter().chain(expired).take(wish.max).cloned();
        let until = seconds_after(now, wish.lease);
        let reserved = chosen.map(|node| transition::reserved(node, &wish.reservation, until)).collect();
        self.put(reserved)
    }

    fn held_by(&self, reservation: &str, states: &[NodeState]) -> Vec<Node> {
        let is_held =
            |node: &&Node| states.contains(&node.state) && node.reserved_by.as_deref() == Some(reservation);
        self.nodes.values().filter(is_held).cloned().collect()
    }

    fn put(&mut self, nodes: Vec<Node>) -> Vec<Node> {
        self.nodes.extend(nodes.iter().map(|node| (node.key.clone(), node.clone())));
        nodes
    }
}

/// Whether a node is as a master wants it.
fn is_wanted(wanted: &Wanted, node: &Node) -> bool {
    let Wanted { task, columns, manifest, file, except } = wanted;
    let is = |digest: &Option<Digest>, has: &Option<String>| {
        digest.is_none_or(|digest| *has == Some(digest.to_string()))
    };
    task.as_ref().is_none_or(|task| node.task.as_ref() == Some(task))
        && is(columns, &node.columns_sha256)
        && is(manifest, &node.manifest_sha256)
        && is(file, &node.file_sha256)
        && !except.iter().any(|(key, pid)| *key == node.key && node.pid == Some(*pid))
}
