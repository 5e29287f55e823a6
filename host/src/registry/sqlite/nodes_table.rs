//! Every statement on the table of nodes. It owns the SQL; it knows neither connections nor clocks.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, Transaction, named_params, params};

use super::database::Failure;
use crate::registry::error::RegistryError;
use crate::registry::handle::{Announcement, Stats};
use crate::registry::moves::{Move, oldest_sign_of_life};
use crate::registry::node::{Node, NodeKey, NodeState};
use crate::registry::reservation::Reservation;

/// All columns, in the order in which `node_from_row` reads them.
const COLUMNS: &str = "hostname, port, start_time, state, reserved_by, children, task, task_version, \
     advertise, lease_until, last_seen, done, failed, rate, pid, version";

/// The state of a row as `NodeState::from_column` sees it.
const STATE: &str =
    "CASE WHEN state IN ('disabled', 'enabled', 'reserved', 'cleanup') THEN state ELSE 'invalid' END";

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
    match find(tx, &new.key)? {
        Some(old) if is_alive(&old, new, now) => return Err(live(old, now).into()),
        Some(_) => {}
        None => {
            tx.execute(
                "INSERT INTO nodes (hostname, port) VALUES (?1, ?2)",
                params![new.key.hostname, new.key.port],
            )?;
        }
    }
    tx.prepare_cached(
        "UPDATE nodes SET state = 'disabled', reserved_by = '', lease_until = NULL, last_seen = :now,
             children = :children, task = :task, task_version = :task_version, advertise = :advertise,
             done = 0, failed = 0, rate = 0, pid = :pid, version = :version
         WHERE hostname = :hostname AND port = :port",
    )?
    .execute(named_params! {
        ":hostname": new.key.hostname, ":port": new.key.port, ":now": now, ":children": new.children,
        ":task": new.task, ":task_version": new.task_version, ":advertise": new.advertise, ":pid": new.pid,
        ":version": new.version,
    })?;
    Ok(())
}

/// A row without a process has been retired, or is the Perl original's: its port tells whether it is in use.
fn is_alive(old: &Node, new: &Announcement, now: i64) -> bool {
    let is_another = old.pid.is_some() && old.pid != new.dead_pid && old.pid != Some(new.pid);
    is_another && old.last_seen.is_some() && !old.is_silent(now)
}

fn live(node: Node, now: i64) -> RegistryError {
    RegistryError::Live {
        pid: node.pid,
        seen_seconds_ago: node.last_seen.map_or(0, |seen| now.saturating_sub(seen).max(0)),
        state: node.state,
        key: node.key,
    }
}

/// Moves a node, or says why it may not be moved. A node that is already there is left as it is.
pub(super) fn make(tx: &Transaction<'_>, verb: Move, key: &NodeKey, now: i64) -> Result<Node, Failure> {
    if verb == Move::Enable && find(tx, key)?.is_some_and(|node| node.has_ended()) {
        return Err(RegistryError::Ended { key: key.clone() }.into());
    }
    if let Some(node) = change(tx, verb, key, None, None, now)? {
        return Ok(node);
    }
    match find(tx, key)? {
        None => Err(RegistryError::NoSuchNode { key: key.clone() }.into()),
        Some(node) if node.state == verb.to() => Ok(node),
        Some(node) => Err(RegistryError::not_allowed(node, verb).into()),
    }
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
    Ok(change(tx, verb, key, Some(reservation), rests_until, now)?.is_some())
}

/// The one statement that makes a move: it names the states it may start from and the holder, so that it does
/// nothing if either is not so any more. A draining node keeps the name of the reservation it works for.
fn change(
    tx: &Transaction<'_>,
    verb: Move,
    key: &NodeKey,
    holder: Option<&Reservation>,
    rests_until: Option<i64>,
    now: i64,
) -> rusqlite::Result<Option<Node>> {
    let sql = format!(
        "UPDATE nodes SET state = :to, lease_until = :rests_until,
             reserved_by = CASE WHEN :to = 'cleanup' THEN reserved_by ELSE '' END,
             start_time = CASE WHEN :to = 'enabled' THEN :now ELSE start_time END,
             pid = CASE WHEN :is_retired THEN NULL ELSE pid END
         WHERE hostname = :hostname AND port = :port AND {STATE} IN ({})
             AND (:holder IS NULL OR reserved_by = :holder)
         RETURNING {COLUMNS}",
        quoted(verb.from())
    );
    let parameters = named_params! {
        ":hostname": key.hostname, ":port": key.port, ":to": verb.to().as_str(), ":rests_until": rests_until,
        ":now": now, ":is_retired": verb == Move::Retire, ":holder": holder.map(Reservation::as_str),
    };
    tx.prepare_cached(&sql)?.query_row(parameters, node_from_row).optional()
}

/// Frees a node whose lease has run out.
pub(super) fn free_if_expired(tx: &Transaction<'_>, key: &NodeKey, now: i64) -> rusqlite::Result<bool> {
    match find(tx, key)? {
        Some(node) if node.lease_until.is_some_and(|until| until < now) => {
            Ok(change(tx, Move::Free, key, None, None, now)?.is_some())
        }
        _ => Ok(false),
    }
}

/// Deletes the rows whose slaves have been silent since then, unless a master renews its hold on them. Rows of
/// the Perl original say nothing of themselves and stay.
pub(super) fn prune(tx: &Transaction<'_>, silent_since: i64, now: i64) -> rusqlite::Result<Vec<NodeKey>> {
    let mut statement = tx.prepare_cached(
        "DELETE FROM nodes WHERE last_seen < :silent_since
             AND NOT (state = 'reserved' AND lease_until IS NOT NULL AND lease_until >= :now)
         RETURNING hostname, port",
    )?;
    let key = |row: &Row<'_>| Ok(NodeKey::new(row.get::<_, String>(0)?, row.get(1)?));
    statement.query_map(named_params! { ":silent_since": silent_since, ":now": now }, key)?.collect()
}

/// Which nodes may be reserved, the best first: those that are alive and free, those of the Perl original (which
/// say nothing of themselves), and those whose master let its lease run out.
const MAY_BE_RESERVED: [&str; 3] = [
    "state = 'enabled' AND last_seen >= :oldest_sign_of_life",
    "state = 'enabled' AND last_seen IS NULL",
    "state = 'reserved' AND lease_until < :now AND reserved_by IS NOT :reservation
         AND (last_seen IS NULL OR last_seen >= :oldest_sign_of_life)",
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

/// Notes a sign of life and a slave's figures, and brings a node back that was given up and has rested.
pub(super) fn beat(tx: &Transaction<'_>, key: &NodeKey, stats: Stats, now: i64) -> Result<Node, Failure> {
    let sql = format!(
        "UPDATE nodes SET last_seen = :now, done = :done, failed = :failed, rate = :rate
         WHERE hostname = :hostname AND port = :port RETURNING {COLUMNS}"
    );
    let parameters = named_params! {
        ":hostname": key.hostname, ":port": key.port, ":now": now, ":done": saturated(stats.done),
        ":failed": saturated(stats.failed), ":rate": stats.rate,
    };
    let node = tx.prepare_cached(&sql)?.query_row(parameters, node_from_row).optional()?;
    let node = node.ok_or_else(|| RegistryError::NoSuchNode { key: key.clone() })?;
    let has_rested = node.lease_until.is_some_and(|rests_until| rests_until < now);
    if node.state == NodeState::Invalid && has_rested {
        return make(tx, Move::Recover, key, now);
    }
    Ok(node)
}

fn quoted(states: &[NodeState]) -> String {
    states.iter().map(|state| format!("'{state}'")).collect::<Vec<_>>().join(", ")
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
