//! What every registry must do with one row: enter it, move it, refuse, and forget it.

use std::time::Duration;

use simplegrid::internals::build::Digest;
use simplegrid::internals::registry::{
    Announcement, Node, NodeKey, NodeState, Registry, RegistryError, SILENCE, Stats,
};

use super::test_grid::{LEASE, NO_PORTS, Place, TestGrid, announcement, key, reservation};

contracts! {
    an_announced_node_is_listed_with_all_it_said_and_is_not_yet_used,
    nodes_are_listed_by_host_name_and_port_and_read_well_as_json,
    a_live_slaves_row_is_not_taken_over,
    the_message_about_a_live_slave_says_which_and_what_to_do,
    an_abandoned_row_is_taken_over_whatever_its_state,
    a_row_whose_process_was_found_dead_is_taken_over_at_once,
    a_slave_that_shut_down_stays_listed_and_may_start_again_at_once,
    every_illegal_move_is_refused_and_changes_nothing,
    what_no_one_waits_for_any_more_is_done_all_the_same,
    a_registry_shows_no_password,
    every_verb_says_so_if_there_is_no_such_node,
    refusals_say_who_holds_the_node_and_what_to_do,
    rows_of_slaves_that_were_silent_for_long_are_pruned,
    a_silent_row_that_a_master_still_renews_is_not_pruned,
}

async fn an_announced_node_is_listed_with_all_it_said_and_is_not_yet_used(place: &Place) {
    let grid = TestGrid::new(place).await;
    grid.registry.announce(&announcement(7)).await.unwrap();
    let node = grid.node(7).await;
    assert_eq!(
        node,
        Node {
            key: key(7),
            start_time: None,
            state: NodeState::Disabled,
            reserved_by: None,
            children: Some(5),
            task: Some("echo".to_owned()),
            task_version: Some("1.2.3".to_owned()),
            advertise: Some("10.0.0.1".to_owned()),
            lease_until: None,
            last_seen: Some(1_000_000),
            done: Some(0),
            failed: Some(0),
            rate: Some(0.0),
            pid: Some(4711),
            version: Some("0.1.0".to_owned()),
            columns_sha256: Some(Digest::of(b"columns").to_string()),
            manifest_sha256: Some(Digest::of(b"manifest").to_string()),
            file_sha256: Some(Digest::of(b"file").to_string()),
        }
    );
    assert_eq!(node.address(), "10.0.0.1:7");
    assert_eq!(grid.reserve("m", 9).await, NO_PORTS);
}

async fn nodes_are_listed_by_host_name_and_port_and_read_well_as_json(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[20, 3]).await;
    let other = Announcement { key: NodeKey::new("a", 9), ..announcement(9) };
    grid.registry.announce(&other).await.unwrap();
    let nodes = grid.registry.list().await.unwrap();
    let keys: Vec<_> = nodes.iter().map(|node| node.key.to_string()).collect();
    assert_eq!(keys, ["a:9", "host:3", "host:20"]);
    let json = serde_json::to_value(&nodes[1]).unwrap();
    assert_eq!(json["hostname"], "host");
    assert_eq!(json["port"], 3);
    assert_eq!(json["state"], "enabled");
    assert!(json["reserved_by"].is_null());
}

async fn a_live_slaves_row_is_not_taken_over(place: &Place) {
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(place, state).await;
        let second = Announcement { pid: 4712, ..announcement(1) };
        let error = grid.registry.announce(&second).await.unwrap_err();
        assert!(matches!(error, RegistryError::Live { pid: Some(4711), seen_seconds_ago: 1, .. }), "{error}");
        assert_eq!(grid.state(1).await, state);
        assert_eq!(grid.node(1).await.pid, Some(4711));
    }
}

async fn the_message_about_a_live_slave_says_which_and_what_to_do(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1]).await;
    let second = Announcement { pid: 4712, ..announcement(1) };
    let error = grid.registry.announce(&second).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "node host:1 is in use: process 4711 was last seen 1 s ago and the node is enabled; shut it down with \
         `simplegrid node-manager --hostname host --port 1 shutdown`, or choose another port"
    );
}

async fn an_abandoned_row_is_taken_over_whatever_its_state(place: &Place) {
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(place, state).await;
        grid.clock.advance(SILENCE);
        let second = Announcement { pid: 4712, ..announcement(1) };
        grid.registry.announce(&second).await.unwrap();
        let node = grid.node(1).await;
        assert_eq!((node.state, node.pid, node.reserved_by), (NodeState::Disabled, Some(4712), None));
        assert_eq!(node.lease_until, None);
    }
}

async fn a_row_whose_process_was_found_dead_is_taken_over_at_once(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1]).await;
    let wrong = Announcement { pid: 4712, dead_pid: Some(9), ..announcement(1) };
    assert!(matches!(grid.registry.announce(&wrong).await, Err(RegistryError::Live { .. })));
    let right = Announcement { pid: 4712, dead_pid: Some(4711), ..announcement(1) };
    grid.registry.announce(&right).await.unwrap();
    assert_eq!(grid.node(1).await.pid, Some(4712));
}

async fn a_slave_that_shut_down_stays_listed_and_may_start_again_at_once(place: &Place) {
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(place, state).await;
        let node = grid.registry.retire(&key(1)).await.unwrap();
        assert_eq!((node.state, node.pid, node.reserved_by), (NodeState::Disabled, None, None));
        let second = Announcement { pid: 4712, ..announcement(1) };
        grid.registry.announce(&second).await.unwrap();
    }
}

/// The verbs, the states to which they lead, and those in which they can start. `moves` has the same table;
/// it stands here once more, so that a mistake there is seen.
async fn every_illegal_move_is_refused_and_changes_nothing(place: &Place) {
    use NodeState::{Cleanup, Disabled, Enabled, Invalid, Reserved};
    let verbs: [(&str, NodeState, &[NodeState]); 6] = [
        ("enable", Enabled, &[Disabled, Invalid]),
        ("disable", Disabled, &[Enabled, Reserved, Invalid, Cleanup]),
        ("invalidate", Invalid, &[Enabled, Reserved]),
        ("release", Enabled, &[Reserved, Invalid]),
        ("begin_cleanup", Cleanup, &[Enabled, Reserved]),
        ("retire", Disabled, &[Enabled, Reserved, Invalid, Cleanup]),
    ];
    for (verb, to, from) in verbs {
        for state in NodeState::ALL {
            let grid = TestGrid::in_state(place, state).await;
            let result = perform(&grid.registry, verb, &key(1)).await;
            let is_legal = from.contains(&state) || state == to;
            assert_eq!(result.is_ok(), is_legal, "{verb} from {state}");
            assert_eq!(grid.state(1).await, if is_legal { to } else { state }, "{verb} from {state}");
            if let Err(error) = result {
                let expected = matches!(&error, RegistryError::NotAllowed { state: found, wanted, .. }
                    if *found == state && *wanted == to);
                assert!(expected, "{verb} from {state}: {error}");
            }
        }
    }
}

async fn every_verb_says_so_if_there_is_no_such_node(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1]).await;
    for verb in ["enable", "disable", "invalidate", "release", "begin_cleanup", "retire", "beat"] {
        let result = perform(&grid.registry, verb, &key(2)).await;
        assert!(matches!(result, Err(RegistryError::NoSuchNode { .. })), "{verb}");
    }
}

async fn perform(registry: &Registry, verb: &str, key: &NodeKey) -> Result<(), RegistryError> {
    match verb {
        "enable" => registry.enable(key).await.map(drop),
        "disable" => registry.disable(key).await.map(drop),
        "invalidate" => registry.invalidate(key).await.map(drop),
        "release" => registry.release(key).await.map(drop),
        "begin_cleanup" => registry.begin_cleanup(key).await.map(drop),
        "retire" => registry.retire(key).await.map(drop),
        "beat" => registry.beat(key, Stats::default()).await.map(drop),
        other => panic!("no verb {other}"),
    }
}

async fn refusals_say_who_holds_the_node_and_what_to_do(place: &Place) {
    let grid = TestGrid::in_state(place, NodeState::Reserved).await;
    let error = grid.registry.enable(&key(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "node host:1 is reserved (by m) and cannot become enabled; `release` takes it from its master"
    );
}

async fn rows_of_slaves_that_were_silent_for_long_are_pruned(place: &Place) {
    const DAY: Duration = Duration::from_secs(86_400);
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(place, state).await;
        assert!(grid.registry.prune(DAY).await.unwrap().is_empty(), "{state}: it was seen just now");
        grid.clock.advance(DAY + Duration::from_secs(1));
        assert_eq!(grid.registry.prune(DAY).await.unwrap(), [key(1)], "{state}");
        assert!(grid.registry.list().await.unwrap().is_empty());
    }
}

async fn a_silent_row_that_a_master_still_renews_is_not_pruned(place: &Place) {
    let grid = TestGrid::in_state(place, NodeState::Reserved).await;
    grid.clock.advance(Duration::from_secs(60));
    grid.registry.renew(&reservation("m"), LEASE).await.unwrap();
    assert!(grid.registry.prune(Duration::from_secs(30)).await.unwrap().is_empty());
}

async fn what_no_one_waits_for_any_more_is_done_all_the_same(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1]).await;
    let key = key(1);
    // It is hardly ever done by the time of the first look.
    let _ = tokio::time::timeout(Duration::ZERO, grid.registry.disable(&key)).await;
    let deadline = std::time::Instant::now() + simplegrid_tests::wait::PATIENCE;
    while grid.state(1).await != NodeState::Disabled {
        assert!(std::time::Instant::now() < deadline, "it was never done");
    }
}

async fn a_registry_shows_no_password(place: &Place) {
    let grid = TestGrid::new(place).await;
    let shown = format!("{:?} {:?} {}", grid.registry, grid.url, grid.url);
    assert!(!shown.contains("hunter2"), "{shown}");
}
