//! Every statement on the table of nodes, in words that SQLite, PostgreSQL, MySQL and MariaDB all understand.
//! It owns the SQL: `transition` decides what a row becomes, and `transaction` begins and commits.
//!
//! A row is locked when it is read (in SQLite, the whole file is) and written back in the same transaction,
//! so what was decided about it still holds when it is written. No text is compared by the rules of a
//! language, because the collations of the servers differ.

use std::time::Duration;

use super::backend_error::BackendError;
use super::clock::{seconds_after, seconds_before};
use super::error::RegistryError;
use super::node::{Node, NodeKey, NodeState, oldest_sign_of_life};
use super::request::{Answer, Change, Listing, Request, Wanted, Wish};
use super::reservation::Reservation;
use super::schema::NODES;
use super::session::{Dialect, SqlSession};
use super::transition;
use super::value::Value;

/// The most rows that one statement names: few enough that every database still finds them by their key.
const ROWS_MAX: usize = 100;

/// The nodes that are reserved first: those that are alive and free. Slaves of Net::SimpleGrid itself are
/// never among them, because they do not speak our protocol: they show no sign of life, and where one has
/// taken a row of ours over, there is no process number.
const FREE: &str = "state = 'enabled' AND last_seen >= ? AND pid IS NOT NULL";

/// The nodes that are reserved next: those whose master let its lease run out.
const EXPIRED: &str = "state = 'reserved' AND last_seen >= ? AND pid IS NOT NULL AND lease_until < ?
             AND (reserved_by IS NULL OR reserved_by <> ?)";

/// Carries out what was asked at `now`, within a transaction.
pub(super) async fn perform(
    session: &mut impl SqlSession,
    request: &Request,
    now: i64,
) -> Result<Answer, RegistryError> {
    let nodes = match request {
        Request::List => {
            return Ok(Answer::Listing(Listing { nodes: list(session).await?, now }));
        }
        Request::Find(key) => find(session, key).await?,
        Request::Change { key, change } => change_one(session, key, change, now).await?,
        Request::Prune { silent_for } => prune(session, *silent_for, now).await?,
        Request::Reserve(wish) => reserve(session, wish, now).await?,
        Request::Renew { reservation, lease } => renew(session, reservation, *lease, now).await?,
        Request::Release(reservation) => return release(session, reservation, now).await,
    };
    Ok(Answer::Nodes(nodes))
}

/// All nodes, by host name and port.
async fn list(session: &mut impl SqlSession) -> Result<Vec<Node>, BackendError> {
    Ok(sorted(select(session, "", &[]).await?))
}

/// One node, or none.
async fn find(session: &mut impl SqlSession, key: &NodeKey) -> Result<Vec<Node>, BackendError> {
    select(session, "WHERE hostname = ? AND port = ?", &of_key(key)).await
}

/// Lets something happen to one node, and says what has become of it; nothing if it could not happen. The row
/// is locked meanwhile. If another slave enters a row with the same key at the same moment, this one fails
/// because the key is taken, and is tried again.
async fn change_one(
    session: &mut impl SqlSession,
    key: &NodeKey,
    change: &Change,
    now: i64,
) -> Result<Vec<Node>, RegistryError> {
    let condition = format!("WHERE hostname = ? AND port = ?{}", session.dialect().row_lock());
    let old = select(session, &condition, &of_key(key)).await?.pop();
    let new = transition::after(change, key, old.clone(), now)?;
    if let Some(new) = &new {
        write(session, old.as_ref(), new).await?;
    }
    Ok(new.into_iter().collect())
}

/// Deletes the rows whose slaves have been silent for that long, unless a master renews its hold on them.
/// Rows of Net::SimpleGrid stay: they show no signs of life, or have those of a slave of ours that ended
/// there before, without a process number.
async fn prune(
    session: &mut impl SqlSession,
    silent_for: Duration,
    now: i64,
) -> Result<Vec<Node>, BackendError> {
    let condition = format!(
        "WHERE last_seen < ? AND NOT (pid IS NULL AND state <> 'disabled')
             AND NOT (state = 'reserved' AND lease_until IS NOT NULL AND lease_until >= ?){}",
        session.dialect().row_lock()
    );
    let values = [seconds_before(now, silent_for).into(), now.into()];
    let nodes = sorted(select(session, &condition, &values).await?);
    for some in nodes.chunks(ROWS_MAX) {
        let (condition, keys) = any_of(some);
        session.change(&format!("DELETE FROM nodes WHERE {condition}"), &keys).await?;
    }
    Ok(nodes)
}

/// Reserves nodes that are free. Rows that are locked are passed over, so that masters do not wait for each
/// other. Only if there are no other rows are the locked ones waited for, since it may have been a beat that
/// locked them.
async fn reserve(session: &mut impl SqlSession, wish: &Wish, now: i64) -> Result<Vec<Node>, BackendError> {
    let until = seconds_after(now, wish.lease);
    let mut nodes = choose(session, wish, now, session.dialect().row_lock_skipping()).await?;
    if session.dialect().locks_rows && nodes.is_empty() && wish.max > 0 {
        nodes = choose(session, wish, now, session.dialect().row_lock()).await?;
    }
    for some in nodes.chunks(ROWS_MAX) {
        let (condition, keys) = any_of(some);
        let sql = format!(
            "UPDATE nodes SET state = 'reserved', reserved_by = ?, lease_until = ? WHERE {condition}"
        );
        let mut values = vec![wish.reservation.as_str().into(), until.into()];
        values.extend(keys);
        session.change(&sql, &values).await?;
    }
    let reserved = nodes.into_iter().map(|node| transition::reserved(node, &wish.reservation, until));
    Ok(sorted(reserved.collect()))
}

/// The nodes to reserve, locked.
async fn choose(
    session: &mut impl SqlSession,
    wish: &Wish,
    now: i64,
    lock: &str,
) -> Result<Vec<Node>, BackendError> {
    let alive: Value = oldest_sign_of_life(now).into();
    let kinds: [(&str, Vec<Value>); 2] =
        [(FREE, vec![alive.clone()]), (EXPIRED, vec![alive, now.into(), wish.reservation.as_str().into()])];
    let mut chosen = Vec::new();
    for (kind, mut values) in kinds {
        let wanted = wish.max - chosen.len();
        if wanted == 0 {
            break;
        }
        let (fits, fitting) = fitting(&wish.wanted);
        let choice = choice(session.dialect(), kind, &fits, wanted);
        values.extend(fitting);
        chosen.extend(select(session, &format!("{choice}{lock}"), &values).await?);
    }
    Ok(chosen)
}

/// The nodes of one kind that can be reserved, longest available first. That is the order of the index, so
/// the search ends as soon as enough nodes are found, however many there are.
fn choice(dialect: &Dialect, kind: &str, fits: &str, wanted: usize) -> String {
    let empty_first = dialect.empty_first;
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
    format!("WHERE {kind}{fits} ORDER BY start_time{empty_first}, hostname, port LIMIT {wanted}")
}

/// The condition that a node is as wanted, to be added to others, and its values.
fn fitting(wanted: &Wanted) -> (String, Vec<Value>) {
    let Wanted { task, columns, manifest, file, except } = wanted;
    let digests = [("columns_sha256", columns), ("manifest_sha256", manifest), ("file_sha256", file)]
        .map(|(name, digest)| digest.map(|digest| (name, digest.to_string())));
    let equal = task.clone().map(|task| ("task", task)).into_iter().chain(digests.into_iter().flatten());
    let (mut condition, mut values) = (String::new(), Vec::new());
    for (name, value) in equal {
        condition.push_str(&format!(" AND {name} = ?"));
        values.push(Value::Text(value));
    }
    for (key, pid) in except {
        // Where no process is named, it is not that one.
        condition.push_str(" AND NOT (hostname = ? AND port = ? AND pid IS NOT NULL AND pid = ?)");
        values.extend(of_key(key));
        values.push(Value::Integer(i64::from(*pid)));
    }
    (condition, values)
}

/// Renews the leases of a reservation, and says on which nodes.
async fn renew(
    session: &mut impl SqlSession,
    reservation: &Reservation,
    lease: Duration,
    now: i64,
) -> Result<Vec<Node>, BackendError> {
    let held = "WHERE state IN ('reserved', 'cleanup') AND reserved_by = ?";
    let name: Value = reservation.as_str().into();
    let until = seconds_after(now, lease);
    let locked = format!("{held}{}", session.dialect().row_lock());
    let nodes = select(session, &locked, std::slice::from_ref(&name)).await?;
    session.change(&format!("UPDATE nodes SET lease_until = ? {held}"), &[until.into(), name]).await?;
    Ok(sorted(nodes.into_iter().map(|node| Node { lease_until: Some(until), ..node }).collect()))
}

/// Frees all nodes of a reservation, and says how many.
async fn release(
    session: &mut impl SqlSession,
    reservation: &Reservation,
    now: i64,
) -> Result<Answer, RegistryError> {
    let sql = "UPDATE nodes SET state = 'enabled', reserved_by = '', lease_until = NULL, start_time = ?
         WHERE state = 'reserved' AND reserved_by = ?";
    let changed = session.change(sql, &[now.into(), reservation.as_str().into()]).await?;
    Ok(Answer::Freed(usize::try_from(changed).unwrap_or(usize::MAX)))
}

/// Some columns of a row, and their values.
type Columns = Vec<(&'static str, Value)>;

/// Writes what has become of a row. The columns of a group are written together, if one of them has changed.
async fn write(session: &mut impl SqlSession, old: Option<&Node>, new: &Node) -> Result<(), BackendError> {
    if old.is_none() {
        session.change("INSERT INTO nodes (hostname, port) VALUES (?, ?)", &of_key(&new.key)).await?;
    }
    for group in [announced, figures, state] {
        let columns = group(new);
        if old.map(group).as_ref() == Some(&columns) {
            continue;
        }
        let places: Vec<_> = columns.iter().map(|(name, _)| format!("{name} = ?")).collect();
        let sql = format!("UPDATE nodes SET {} WHERE hostname = ? AND port = ?", places.join(", "));
        let values: Vec<_> = columns.into_iter().map(|(_, value)| value).chain(of_key(&new.key)).collect();
        session.change(&sql, &values).await?;
    }
    Ok(())
}

/// What a slave says about itself once.
fn announced(node: &Node) -> Columns {
    vec![
        ("children", node.children.into()),
        ("task", node.task.as_deref().into()),
        ("task_version", node.task_version.as_deref().into()),
        ("advertise", node.advertise.as_deref().into()),
        ("version", node.version.as_deref().into()),
        ("columns_sha256", node.columns_sha256.as_deref().into()),
        ("manifest_sha256", node.manifest_sha256.as_deref().into()),
        ("file_sha256", node.file_sha256.as_deref().into()),
    ]
}

/// What a sign of life changes.
fn figures(node: &Node) -> Columns {
    vec![
        ("last_seen", node.last_seen.into()),
        ("done", node.done.into()),
        ("failed", node.failed.into()),
        ("rate", node.rate.into()),
    ]
}

/// What a move changes.
fn state(node: &Node) -> Columns {
    vec![
        ("state", node.state.as_str().into()),
        ("reserved_by", node.reserved_by.as_deref().unwrap_or_default().into()),
        ("start_time", node.start_time.into()),
        ("lease_until", node.lease_until.into()),
        ("pid", node.pid.into()),
    ]
}

/// The nodes for which a condition is true.
async fn select(
    session: &mut impl SqlSession,
    condition: &str,
    values: &[Value],
) -> Result<Vec<Node>, BackendError> {
    let rows = session.rows(&selection(condition), values).await?;
    Ok(rows.iter().filter_map(|row| node(row)).collect())
}

fn selection(condition: &str) -> String {
    format!("SELECT {} FROM nodes {condition}", NODES.columns())
}

/// The node in a row of all columns; nothing if its port is invalid, since such a row is not one of ours.
fn node(row: &[Value]) -> Option<Node> {
    let [
        hostname,
        port,
        start_time,
        state,
        reserved_by,
        children,
        task,
        task_version,
        advertise,
        lease_until,
        last_seen,
        done,
        failed,
        rate,
        pid,
        version,
        columns_sha256,
        manifest_sha256,
        file_sha256,
    ] = row
    else {
        return None;
    };
    Some(Node {
        key: NodeKey { hostname: hostname.owned()?, port: port.number()? },
        start_time: start_time.integer(),
        state: NodeState::from_column(state.text()),
        reserved_by: reserved_by.owned().filter(|reservation| !reservation.is_empty()),
        children: children.number(),
        task: task.owned(),
        task_version: task_version.owned(),
        advertise: advertise.owned(),
        lease_until: lease_until.integer(),
        last_seen: last_seen.integer(),
        done: done.number(),
        failed: failed.number(),
        rate: rate.real(),
        pid: pid.number(),
        version: version.owned(),
        columns_sha256: columns_sha256.owned(),
        manifest_sha256: manifest_sha256.owned(),
        file_sha256: file_sha256.owned(),
    })
}

fn of_key(key: &NodeKey) -> [Value; 2] {
    [key.hostname.as_str().into(), key.port.into()]
}

/// A condition that is true for these rows, in a form with which every database uses the key.
fn any_of(nodes: &[Node]) -> (String, Vec<Value>) {
    let condition = vec!["(hostname = ? AND port = ?)"; nodes.len()].join(" OR ");
    (condition, nodes.iter().flat_map(|node| of_key(&node.key)).collect())
}

fn sorted(mut nodes: Vec<Node>) -> Vec<Node> {
    nodes.sort_by(|a, b| a.key.cmp(&b.key));
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::dialects::sqlite::SqliteFile;
    use crate::registry::migrations;

    /// So that reserving does not take longer the more nodes there are.
    #[tokio::test]
    async fn masters_find_free_nodes_by_an_index_and_without_sorting() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("grid.db");
        let file = SqliteFile { path, creates_directory: false, busy_timeout: Duration::ZERO };
        let mut session = file.connect().unwrap();
        migrations::migrate(&mut session).await.unwrap();
        let digest = Some(crate::build::Digest::of(b"x"));
        let except = vec![(NodeKey::new("n", 1), 1); 100];
        let build = Wanted { columns: digest, manifest: digest, file: digest, except, ..Some("t").into() };
        let kinds = [(FREE, 1), (EXPIRED, 3)].into_iter();
        for ((kind, values), wanted) in
            kinds.flat_map(|kind| [(kind, Wanted::default()), (kind, build.clone())])
        {
            let (fits, fitting) = fitting(&wanted);
            let choice = selection(&choice(session.dialect(), kind, &fits, 20));
            let sql = format!("EXPLAIN QUERY PLAN {choice}");
            let values: Vec<_> = vec![Value::Integer(1); values].into_iter().chain(fitting).collect();
            let plan = session.rows(&sql, &values).await.unwrap();
            let plan: Vec<_> = plan.iter().filter_map(|row| row[3].text()).collect();
            assert_eq!(plan, ["SEARCH nodes USING INDEX nodes_state (state=?)"]);
        }
    }
}
