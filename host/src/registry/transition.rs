//! What a row becomes when something happens to it: the rules, the same for every database. Reading the row
//! and writing it back, in one transaction, is the part of `nodes_table`.

use super::announcement::{Announcement, Stats};
use super::clock::seconds_after;
use super::error::RegistryError;
use super::moves::{GIVEN_UP_REST, Move};
use super::node::{Node, NodeKey, NodeState};
use super::request::Change;
use super::reservation::Reservation;

/// What becomes of the row of `key`, which is `old` at `now`; nothing if this cannot happen to it.
pub(super) fn after(
    change: &Change,
    key: &NodeKey,
    old: Option<Node>,
    now: i64,
) -> Result<Option<Node>, RegistryError> {
    match change {
        Change::Announce(new) => announced(old, new, now).map(Some),
        Change::Make(verb) => made(old, key, *verb, now).map(Some),
        Change::MakeIfHeld(verb, reservation) => Ok(made_if_held(old, reservation, *verb, now)),
        Change::Expire => Ok(freed_if_expired(old, now)),
        Change::ShowBuild(new) => shown(old, key, new).map(Some),
        Change::Beat(stats) => beaten(old, key, *stats, now).map(Some),
    }
}

/// The row of a slave that announces itself, unless a process that could be alive has the old one.
fn announced(old: Option<Node>, new: &Announcement, now: i64) -> Result<Node, RegistryError> {
    let start_time = match old {
        Some(old) if is_alive(&old, new, now) => return Err(live(old, now)),
        Some(old) => old.start_time,
        None => None,
    };
    Ok(Node {
        key: new.key.clone(),
        start_time,
        state: NodeState::Disabled,
        reserved_by: None,
        children: Some(new.children),
        task: Some(new.task.clone()),
        task_version: new.task_version.clone(),
        advertise: new.advertise.clone(),
        lease_until: None,
        last_seen: Some(now),
        done: Some(0),
        failed: Some(0),
        rate: Some(0.0),
        pid: Some(new.pid),
        version: Some(new.version.clone()),
        columns_sha256: Some(new.columns.to_string()),
        manifest_sha256: Some(new.build.manifest.to_string()),
        file_sha256: Some(new.build.file.to_string()),
    })
}

/// A row without a process was retired, or belongs to Net::SimpleGrid: there, the port shows whether it is in
/// use.
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

/// The row after a move. One that is already in the state to which the move leads stays as it is.
fn made(old: Option<Node>, key: &NodeKey, verb: Move, now: i64) -> Result<Node, RegistryError> {
    let old = old.ok_or_else(|| RegistryError::NoSuchNode { key: key.clone() })?;
    if verb == Move::Enable && old.has_ended() {
        return Err(RegistryError::Ended { key: key.clone() });
    }
    match moved(&old, verb, now) {
        Some(node) => Ok(node),
        None if old.state == verb.to() => Ok(old),
        None => Err(RegistryError::not_allowed(old, verb)),
    }
}

/// The row after a move by the holder of a reservation; nothing if it does not hold the node.
fn made_if_held(old: Option<Node>, reservation: &Reservation, verb: Move, now: i64) -> Option<Node> {
    let held = old.filter(|node| node.reserved_by.as_deref() == Some(reservation.as_str()))?;
    moved(&held, verb, now)
}

/// The row of a node whose lease has run out, freed; nothing if it has not.
fn freed_if_expired(old: Option<Node>, now: i64) -> Option<Node> {
    let expired = old.filter(|node| node.lease_until.is_some_and(|until| until < now))?;
    moved(&expired, Move::Free, now)
}

/// The row of a slave that has loaded another build, in whatever state it is.
fn shown(old: Option<Node>, key: &NodeKey, new: &Announcement) -> Result<Node, RegistryError> {
    let old = old.ok_or_else(|| RegistryError::NoSuchNode { key: key.clone() })?;
    Ok(Node {
        task_version: new.task_version.clone(),
        columns_sha256: Some(new.columns.to_string()),
        manifest_sha256: Some(new.build.manifest.to_string()),
        file_sha256: Some(new.build.file.to_string()),
        ..old
    })
}

/// The row after a sign of life. A node that was given up and has rested is enabled again.
fn beaten(old: Option<Node>, key: &NodeKey, stats: Stats, now: i64) -> Result<Node, RegistryError> {
    let mut node = old.ok_or_else(|| RegistryError::NoSuchNode { key: key.clone() })?;
    node.last_seen = Some(now);
    // No database has a wider integer, and not every one has infinity and NaN.
    node.done = Some(stats.done.min(i64::MAX as u64));
    node.failed = Some(stats.failed.min(i64::MAX as u64));
    node.rate = Some(if stats.rate.is_finite() { stats.rate } else { 0.0 });
    // Net::SimpleGrid enables nodes and leaves our columns alone. An old lease must not end the next
    // reservation.
    if node.state == NodeState::Enabled {
        node.lease_until = None;
    }
    // A rest that would last longer than a rest does was begun before the clock was set back.
    let latest = seconds_after(now, GIVEN_UP_REST);
    let has_rested = node.lease_until.is_some_and(|until| until < now || until > latest);
    if node.state == NodeState::Invalid && has_rested {
        return Ok(moved(&node, Move::Recover, now).unwrap_or(node));
    }
    Ok(node)
}

/// The row of a node that a master has just reserved.
pub(super) fn reserved(old: Node, reservation: &Reservation, until: i64) -> Node {
    Node {
        state: NodeState::Reserved,
        reserved_by: Some(reservation.as_str().to_owned()),
        lease_until: Some(until),
        ..old
    }
}

/// The row after a move, if the move can start in its state. A draining node keeps the name of the
/// reservation for which it works.
fn moved(old: &Node, verb: Move, now: i64) -> Option<Node> {
    if !verb.from().contains(&old.state) {
        return None;
    }
    let rests_until = verb.rest().map(|rest| seconds_after(now, rest));
    let mut node = Node { state: verb.to(), lease_until: rests_until, ..old.clone() };
    if node.state != NodeState::Cleanup {
        node.reserved_by = None;
    }
    if node.state == NodeState::Enabled {
        node.start_time = Some(now);
    }
    if verb == Move::Retire {
        node.pid = None;
    }
    Some(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{Build, Digest};

    #[test]
    fn a_node_that_was_given_up_rests_as_long_as_it_should_although_the_clock_is_set_back() {
        let key = NodeKey::new("a", 1);
        let new = Announcement {
            key: key.clone(),
            children: 1,
            task: "echo".to_owned(),
            task_version: None,
            columns: Digest::default(),
            build: Build::default(),
            advertise: None,
            pid: 7,
            version: "1".to_owned(),
            dead_pid: None,
        };
        let reservation = Reservation::from_text("the run");
        let free = announced(None, &new, 10_000).unwrap();
        let given_up = moved(&reserved(free, &reservation, 10_015), Move::GiveUp, 10_000).unwrap();
        let at = |now| beaten(Some(given_up.clone()), &key, Stats::default(), now).unwrap().state;
        assert_eq!([10_000, 10_005].map(at), [NodeState::Invalid; 2]);
        assert_eq!([10_006, 9_000].map(at), [NodeState::Enabled; 2]);
    }
}
