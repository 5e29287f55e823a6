//! Every statement on the table of nodes, in words that PostgreSQL, MySQL and MariaDB all understand. It owns
//! the SQL; what a row becomes is said by `transition`, and who begins and commits is `operation`.
//!
//! A row is locked when it is read and written back before the transaction is over, so what was decided about
//! it is still true then. Nothing is compared in a language: the servers' collations differ.

use super::super::announcement::{Announcement, Stats};
use super::super::error::RegistryError;
use super::super::moves::Move;
use super::super::node::{Node, NodeKey, oldest_sign_of_life};
use super::super::reservation::Reservation;
use super::super::schema::COLUMNS;
use super::super::transition;
use super::operation::Failure;
use super::session::Session;
use super::value::{self, Value};
use crate::database::DatabaseError;

/// Rows that one statement names: few enough that every server still finds them by their key.
const ROWS_MAX: usize = 100;

/// All nodes, by host name and port.
pub(super) async fn list(session: &mut Session) -> Result<Vec<Node>, Failure> {
    let rows = session.rows(&format!("SELECT {COLUMNS} FROM nodes"), &[]).await?;
    Ok(sorted(rows.iter().filter_map(|row| value::node(row))))
}

/// One node.
pub(super) async fn find(session: &mut Session, key: &NodeKey) -> Result<Option<Node>, DatabaseError> {
    look_up(session, key, "").await
}

/// One node, which nobody else can change until the transaction is over.
async fn hold(session: &mut Session, key: &NodeKey) -> Result<Option<Node>, DatabaseError> {
    look_up(session, key, " FOR UPDATE").await
}

async fn look_up(session: &mut Session, key: &NodeKey, lock: &str) -> Result<Option<Node>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM nodes WHERE hostname = ? AND port = ?{lock}");
    let rows = session.rows(&sql, &[key.hostname.as_str().into(), key.port.into()]).await?;
    Ok(rows.iter().find_map(|row| value::node(row)))
}

/// Puts a slave's row into the table, disabled, unless a process that may be alive has one of the same key.
/// If another puts one there at the same moment, the key is taken, and the transaction is tried again.
pub(super) async fn announce(session: &mut Session, new: &Announcement, now: i64) -> Result<(), Failure> {
    let old = hold(session, &new.key).await?;
    let is_new = old.is_none();
    let node = transition::announced(old, new, now)?;
    let key: [Value; 2] = [node.key.hostname.as_str().into(), node.key.port.into()];
    if is_new {
        session.change("INSERT INTO nodes (hostname, port) VALUES (?, ?)", &key).await?;
    }
    let sql = "UPDATE nodes SET children = ?, task = ?, task_version = ?, advertise = ?, version = ?
         WHERE hostname = ? AND port = ?";
    let [hostname, port] = key;
    let values = [
        node.children.into(),
        node.task.as_deref().into(),
        node.task_version.as_deref().into(),
        node.advertise.as_deref().into(),
        node.version.as_deref().into(),
        hostname,
        port,
    ];
    session.change(sql, &values).await?;
    write_figures(session, &node).await?;
    Ok(write_state(session, &node).await?)
}

/// Moves a node, or says why it may not be moved. A node that is already there is left as it is.
pub(super) async fn make(
    session: &mut Session,
    verb: Move,
    key: &NodeKey,
    now: i64,
) -> Result<Node, Failure> {
    let node = transition::made(hold(session, key).await?, key, verb, now)?;
    write_state(session, &node).await?;
    Ok(node)
}

/// Moves a node if a reservation holds it.
pub(super) async fn make_if_held(
    session: &mut Session,
    verb: Move,
    key: &NodeKey,
    reservation: &Reservation,
    rests_until: Option<i64>,
    now: i64,
) -> Result<bool, DatabaseError> {
    let old = hold(session, key).await?;
    write_if_any(session, transition::made_if_held(old, reservation, verb, rests_until, now)).await
}

/// Frees a node whose lease has run out.
pub(super) async fn free_if_expired(
    session: &mut Session,
    key: &NodeKey,
    now: i64,
) -> Result<bool, DatabaseError> {
    let old = hold(session, key).await?;
    write_if_any(session, transition::freed_if_expired(old, now)).await
}

async fn write_if_any(session: &mut Session, node: Option<Node>) -> Result<bool, DatabaseError> {
    match node {
        Some(node) => write_state(session, &node).await.map(|()| true),
        None => Ok(false),
    }
}

/// Notes a sign of life and a slave's figures, and brings a node back that was given up and has rested.
pub(super) async fn beat(
    session: &mut Session,
    key: &NodeKey,
    stats: Stats,
    now: i64,
) -> Result<Node, Failure> {
    let old = hold(session, key).await?;
    let before = old.as_ref().map(|node| (node.state, node.lease_until));
    let node = transition::beaten(old, key, stats, now)?;
    write_figures(session, &node).await?;
    if before != Some((node.state, node.lease_until)) {
        write_state(session, &node).await?;
    }
    Ok(node)
}

/// Writes what a move changes.
async fn write_state(session: &mut Session, node: &Node) -> Result<(), DatabaseError> {
    let sql = "UPDATE nodes SET state = ?, reserved_by = ?, start_time = ?, lease_until = ?, pid = ?
         WHERE hostname = ? AND port = ?";
    let values = [
        node.state.as_str().into(),
        node.reserved_by.as_deref().unwrap_or_default().into(),
        node.start_time.into(),
        node.lease_until.into(),
        node.pid.into(),
        node.key.hostname.as_str().into(),
        node.key.port.into(),
    ];
    session.change(sql, &values).await.map(drop)
}

/// Writes what a sign of life changes.
async fn write_figures(session: &mut Session, node: &Node) -> Result<(), DatabaseError> {
    let sql =
        "UPDATE nodes SET last_seen = ?, done = ?, failed = ?, rate = ? WHERE hostname = ? AND port = ?";
    let values = [
        node.last_seen.into(),
        node.done.into(),
        node.failed.into(),
        node.rate.into(),
        node.key.hostname.as_str().into(),
        node.key.port.into(),
    ];
    session.change(sql, &values).await.map(drop)
}

/// Deletes the rows whose slaves have been silent since then, unless a master renews its hold on them. Rows
/// of the Perl original say nothing of themselves and stay.
pub(super) async fn prune(
    session: &mut Session,
    silent_since: i64,
    now: i64,
) -> Result<Vec<NodeKey>, DatabaseError> {
    let sql = "SELECT hostname, port FROM nodes WHERE last_seen < ?
             AND NOT (state = 'reserved' AND lease_until IS NOT NULL AND lease_until >= ?) FOR UPDATE";
    let keys = keys(session, sql, &[silent_since.into(), now.into()]).await?;
    for some in keys.chunks(ROWS_MAX) {
        let (condition, values) = any_of(some);
        session.change(&format!("DELETE FROM nodes WHERE {condition}"), &values).await?;
    }
    Ok(keys)
}

/// What a master asks for.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) reservation: Reservation,
    pub(super) max: usize,
    pub(super) task: Option<String>,
    pub(super) now: i64,
    pub(super) until: i64,
}

/// Reserves nodes that are free. Rows that someone else has locked are passed over, so that masters do not
/// wait for each other; only if there are no others are those waited for, since it may have been a beat that
/// locked them.
pub(super) async fn reserve(session: &mut Session, wish: &Wish) -> Result<Vec<Node>, DatabaseError> {
    let mut nodes = choose(session, wish, " SKIP LOCKED").await?;
    if nodes.is_empty() && wish.max > 0 {
        nodes = choose(session, wish, "").await?;
    }
    for some in nodes.chunks(ROWS_MAX) {
        let keys: Vec<NodeKey> = some.iter().map(|node| node.key.clone()).collect();
        let (condition, keys) = any_of(&keys);
        let sql = format!(
            "UPDATE nodes SET state = 'reserved', reserved_by = ?, lease_until = ? WHERE {condition}"
        );
        let mut values = vec![wish.reservation.as_str().into(), wish.until.into()];
        values.extend(keys);
        session.change(&sql, &values).await?;
    }
    let reserved = nodes.into_iter().map(|node| transition::reserved(node, &wish.reservation, wish.until));
    Ok(sorted(reserved))
}

/// The nodes to reserve, locked: those that are alive and free, then those whose master let its lease run
/// out; never those of the Perl original's own slaves, which say nothing of themselves, and do not speak our
/// protocol. Within each kind the longest available come first, which is the order of the index, so the
/// search ends with the last node that is wanted.
async fn choose(session: &mut Session, wish: &Wish, lock: &str) -> Result<Vec<Node>, DatabaseError> {
    let alive: Value = oldest_sign_of_life(wish.now).into();
    let kinds: [(&str, Vec<Value>); 2] = [
        ("state = 'enabled' AND last_seen >= ?", vec![alive.clone()]),
        (
            "state = 'reserved' AND lease_until < ? AND (reserved_by IS NULL OR reserved_by <> ?)
             AND last_seen >= ?",
            vec![wish.now.into(), wish.reservation.as_str().into(), alive],
        ),
    ];
    let mut chosen = Vec::new();
    for (kind, mut values) in kinds {
        let wanted = wish.max - chosen.len();
        if wanted == 0 {
            break;
        }
        let sql = choice(kind, wish.task.is_some(), session.empty_first(), wanted);
        values.extend(wish.task.as_deref().map(Value::from));
        let rows = session.rows(&format!("{sql} FOR UPDATE{lock}"), &values).await?;
        chosen.extend(rows.iter().filter_map(|row| value::node(row)));
    }
    Ok(chosen)
}

fn choice(kind: &str, of_task: bool, empty_first: &str, wanted: usize) -> String {
    let task = if of_task { " AND task = ?" } else { "" };
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
    format!(
        "SELECT {COLUMNS} FROM nodes WHERE {kind}{task} ORDER BY start_time{empty_first}, hostname, port LIMIT {wanted}"
    )
}

/// Renews the leases of a reservation, and says on which nodes.
pub(super) async fn renew(
    session: &mut Session,
    reservation: &Reservation,
    until: i64,
) -> Result<Vec<NodeKey>, DatabaseError> {
    let held = "state IN ('reserved', 'cleanup') AND reserved_by = ?";
    let name: Value = reservation.as_str().into();
    let sql = format!("SELECT hostname, port FROM nodes WHERE {held} FOR UPDATE");
    let keys = keys(session, &sql, std::slice::from_ref(&name)).await?;
    session.change(&format!("UPDATE nodes SET lease_until = ? WHERE {held}"), &[until.into(), name]).await?;
    Ok(keys)
}

/// Frees all nodes of a reservation.
pub(super) async fn release_reservation(
    session: &mut Session,
    reservation: &Reservation,
    now: i64,
) -> Result<usize, DatabaseError> {
    let sql = "UPDATE nodes SET state = 'enabled', reserved_by = '', lease_until = NULL, start_time = ?
         WHERE state = 'reserved' AND reserved_by = ?";
    let changed = session.change(sql, &[now.into(), reservation.as_str().into()]).await?;
    Ok(usize::try_from(changed).unwrap_or(usize::MAX))
}

/// The keys that a statement finds, sorted.
async fn keys(session: &mut Session, sql: &str, values: &[Value]) -> Result<Vec<NodeKey>, DatabaseError> {
    let rows = session.rows(sql, values).await?;
    let mut keys: Vec<NodeKey> = rows.iter().filter_map(|row| value::key(row)).collect();
    keys.sort();
    Ok(keys)
}

/// A condition that is true for these rows, in a form for which every server uses the key.
fn any_of(keys: &[NodeKey]) -> (String, Vec<Value>) {
    let condition = vec!["(hostname = ? AND port = ?)"; keys.len()].join(" OR ");
    let values = keys.iter().flat_map(|key| [key.hostname.as_str().into(), key.port.into()]);
    (condition, values.collect())
}

fn sorted(nodes: impl Iterator<Item = Node>) -> Vec<Node> {
    let mut nodes: Vec<Node> = nodes.collect();
    nodes.sort_by(|a, b| a.key.cmp(&b.key));
    nodes
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::Refused(error)
    }
}
