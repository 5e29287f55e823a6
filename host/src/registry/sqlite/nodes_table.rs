//! Every statement on the table of nodes. It owns the SQL; it knows neither connections nor clocks.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, Transaction, named_params, params};

use super::database::Failure;
use crate::registry::announcement::{Announcement, Stats};
use crate::registry::moves::Move;
use crate::registry::node::{Node, NodeKey, NodeState, oldest_sign_of_life};
use crate::registry::reservation::Reservation;
use crate::registry::schema::COLUMNS;
use crate::registry::transition;

/// All nodes, by host name and port.
pub(super) fn list(tx: &Transaction<'_>) -> rusqlite::Result<Vec<Node>> {
    let sql = format!("SELECT {COLUMNS} FROM nodes ORDER BY hostname, port");
    tx.prepare_cached(&sql)?.query_map([], node_from_row)?.collect()
}

/// One node.
pub(super) fn find(tx: &Transaction<'_>, key: &NodeKey) -> rusqlite::Result<Option<Node>> {
    let sql = format!("SELECT {COLUMNS} FROM nodes WHERE hostname = ?1 AND port = ?2");
    tx.prepare_cached(&sql)?.query_row(params![key.hostname, key.port], node_from_row).optional()
}

/// Puts a slave's row into the table, disabled, unless a process that may be alive has one of the same key.
pub(super) fn announce(tx: &Transaction<'_>, new: &Announcement, now: i64) -> Result<(), Failure> {
    let old = find(tx, &new.key)?;
    let is_new = old.is_none();
    let node = transition::announced(old, new, now)?;
    if is_new {
        let key = params![node.key.hostname, node.key.port];
        tx.execute("INSERT INTO nodes (hostname, port) VALUES (?1, ?2)", key)?;
    }
    tx.prepare_cached(
        "UPDATE nodes SET children = :children, task = :task, task_version = :task_version,
             advertise = :advertise, version = :version
         WHERE hostname = :hostname AND port = :port",
    )?
    .execute(named_params! {
        ":hostname": node.key.hostname, ":port": node.key.port, ":children": node.children,
        ":task": node.task, ":task_version": node.task_version, ":advertise": node.advertise,
        ":version": node.version,
    })?;
    write_figures(tx, &node)?;
    Ok(write_state(tx, &node)?)
}

/// Moves a node, or says why it may not be moved. A node that is already there is left as it is.
pub(super) fn make(tx: &Transaction<'_>, verb: Move, key: &NodeKey, now: i64) -> Result<Node, Failure> {
    let node = transition::made(find(tx, key)?, key, verb, now)?;
    write_state(tx, &node)?;
    Ok(node)
}

/// Moves a node if a reservation holds it.
pub(super) fn make_if_held(
    tx: &Transaction<'_>,
    verb: Move,
    key: &NodeKey,
    reservation: &Reservation,
    rests_until: Option<i64>,
    now: i64,
) -> rusqlite::Result<bool> {
    let node = transition::made_if_held(find(tx, key)?, reservation, verb, rests_until, now);
    node.as_ref().map_or(Ok(()), |node| write_state(tx, node))?;
    Ok(node.is_some())
}

/// Frees a node whose lease has run out.
pub(super) fn free_if_expired(tx: &Transaction<'_>, key: &NodeKey, now: i64) -> rusqlite::Result<bool> {
    let node = transition::freed_if_expired(find(tx, key)?, now);
    node.as_ref().map_or(Ok(()), |node| write_state(tx, node))?;
    Ok(node.is_some())
}

/// Notes a sign of life and a slave's figures, and brings a node back that was given up and has rested.
pub(super) fn beat(tx: &Transaction<'_>, key: &NodeKey, stats: Stats, now: i64) -> Result<Node, Failure> {
    let old = find(tx, key)?;
    let before = old.as_ref().map(|node| (node.state, node.lease_until));
    let node = transition::beaten(old, key, stats, now)?;
    write_figures(tx, &node)?;
    if before != Some((node.state, node.lease_until)) {
        write_state(tx, &node)?;
    }
    Ok(node)
}

/// Writes what a move changes. The transaction has had the file to itself since the row was read.
fn write_state(tx: &Transaction<'_>, node: &Node) -> rusqlite::Result<()> {
    let sql = "UPDATE nodes SET state = :state, reserved_by = :reserved_by, start_time = :start_time,
             lease_until = :lease_until, pid = :pid
         WHERE hostname = :hostname AND port = :port";
    let parameters = named_params! {
        ":hostname": node.key.hostname, ":port": node.key.port, ":state": node.state.as_str(),
        ":reserved_by": node.reserved_by.as_deref().unwrap_or_default(), ":start_time": node.start_time,
        ":lease_until": node.lease_until, ":pid": node.pid,
    };
    tx.prepare_cached(sql)?.execute(parameters).map(drop)
}

/// Writes what a sign of life changes.
fn write_figures(tx: &Transaction<'_>, node: &Node) -> rusqlite::Result<()> {
    let sql = "UPDATE nodes SET last_seen = :last_seen, done = :done, failed = :failed, rate = :rate
         WHERE hostname = :hostname AND port = :port";
    let parameters = named_params! {
        ":hostname": node.key.hostname, ":port": node.key.port, ":last_seen": node.last_seen,
        ":done": node.done.map(saturated), ":failed": node.failed.map(saturated), ":rate": node.rate,
    };
    tx.prepare_cached(sql)?.execute(parameters).map(drop)
}

/// Deletes the rows whose slaves have been silent since then, unless a master renews its hold on them. Rows
/// of the Perl original say nothing of themselves and stay.
pub(super) fn prune(tx: &Transaction<'_>, silent_since: i64, now: i64) -> rusqlite::Result<Vec<NodeKey>> {
    let mut statement = tx.prepare_cached(
        "DELETE FROM nodes WHERE last_seen < :silent_since
             AND NOT (state = 'reserved' AND lease_until IS NOT NULL AND lease_until >= :now)
         RETURNING hostname, port",
    )?;
    let key = |row: &Row<'_>| Ok(NodeKey::new(row.get::<_, String>(0)?, row.get(1)?));
    statement.query_map(named_params! { ":silent_since": silent_since, ":now": now }, key)?.collect()
}

/// Which nodes may be reserved, the best first: those that are alive and free, and those whose master let its
/// lease run out; never those of the Perl original's own slaves, which say nothing of themselves, and do not
/// speak our protocol.
const MAY_BE_RESERVED: [&str; 2] = [
    "state = 'enabled' AND last_seen >= :oldest_sign_of_life",
    "state = 'reserved' AND lease_until < :now AND reserved_by IS NOT :reservation
         AND last_seen >= :oldest_sign_of_life",
];

/// Chooses the nodes to reserve. Within each kind the order is the Perl original's, longest available first,
/// which is also the order of the index: the search ends with the last node that is wanted, however many
/// there are. SQLite goes through the parts of a `UNION ALL` in turn (a test would show if it did not).
pub(super) fn choice() -> String {
    let parts = MAY_BE_RESERVED.map(|condition| {
        format!(
            "SELECT * FROM (SELECT hostname, port FROM nodes
             WHERE {condition} AND (:task IS NULL OR task = :task)
             ORDER BY start_time, hostname, port LIMIT :max)"
        )
    });
    format!("SELECT * FROM ({}) LIMIT :max", parts.join(" UNION ALL "))
}

/// Reserves nodes that are free, in one statement, so that no two reservations get the same one.
pub(super) fn reserve(
    tx: &Transaction<'_>,
    reservation: &Reservation,
    max: usize,
    task: Option<&str>,
    now: i64,
    until: i64,
) -> rusqlite::Result<Vec<Node>> {
    let sql = format!(
        "UPDATE nodes SET state = 'reserved', reserved_by = :reservation, lease_until = :until
         WHERE (hostname, port) IN ({}) RETURNING {COLUMNS}",
        choice()
    );
    let parameters = named_params! {
        ":reservation": reservation.as_str(), ":until": until, ":now": now, ":task": task,
        ":oldest_sign_of_life": oldest_sign_of_life(now), ":max": i64::try_from(max).unwrap_or(i64::MAX),
    };
    let mut statement = tx.prepare_cached(&sql)?;
    let mut nodes = statement.query_map(parameters, node_from_row)?.collect::<Result<Vec<_>, _>>()?;
    nodes.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(nodes)
}

/// Renews the leases of a reservation, and says on which nodes.
pub(super) fn renew(
    tx: &Transaction<'_>,
    reservation: &Reservation,
    until: i64,
) -> rusqlite::Result<Vec<NodeKey>> {
    let mut statement = tx.prepare_cached(
        "UPDATE nodes SET lease_until = ?2 WHERE state IN ('reserved', 'cleanup') AND reserved_by = ?1
         RETURNING hostname, port",
    )?;
    let rows = statement.query_map(params![reservation.as_str(), until], |row| {
        Ok(NodeKey { hostname: row.get(0)?, port: row.get(1)? })
    })?;
    let mut keys = rows.collect::<Result<Vec<_>, _>>()?;
    keys.sort();
    Ok(keys)
}

/// Frees all nodes of a reservation.
pub(super) fn release_reservation(
    tx: &Transaction<'_>,
    reservation: &Reservation,
    now: i64,
) -> rusqlite::Result<usize> {
    tx.prepare_cached(
        "UPDATE nodes SET state = 'enabled', reserved_by = '', lease_until = NULL, start_time = ?2
         WHERE state = 'reserved' AND reserved_by = ?1",
    )?
    .execute(params![reservation.as_str(), now])
}

fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Numbers that make no sense are read as absent: other programs write to this table too, and one odd figure
/// should not hide all nodes.
fn node_from_row(row: &Row<'_>) -> rusqlite::Result<Node> {
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let number = |column: usize| -> rusqlite::Result<Option<i64>> {
        Ok(match row.get(column)? {
            Value::Integer(number) => Some(number),
            _ => None,
        })
    };
    Ok(Node {
        key: NodeKey { hostname: row.get(0)?, port: row.get(1)? },
        start_time: number(2)?,
        state: NodeState::from_column(text(3)?.as_deref()),
        reserved_by: text(4)?.filter(|reservation| !reservation.is_empty()),
        children: number(5)?.and_then(|count| u32::try_from(count).ok()),
        task: text(6)?,
        task_version: text(7)?,
        advertise: text(8)?,
        lease_until: number(9)?,
        last_seen: number(10)?,
        done: number(11)?.and_then(|count| u64::try_from(count).ok()),
        failed: number(12)?.and_then(|count| u64::try_from(count).ok()),
        rate: row.get(13)?,
        pid: number(14)?.and_then(|pid| u32::try_from(pid).ok()),
        version: text(15)?,
    })
}
