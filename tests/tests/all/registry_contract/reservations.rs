//! What every registry must do with reservations: which master gets which node, for how long, and how the
//! node comes back.

use std::time::Duration;

use simplegrid::internals::build::Digest;
use simplegrid::internals::registry::{Announcement, GIVEN_UP_REST, NodeState, SILENCE, Stats, Wanted};

use super::test_grid::{LEASE, NO_PORTS, Place, TestGrid, announcement, key, ports, reservation};

contracts! {
    a_master_gets_no_more_than_it_asks_for_and_the_longest_available_first,
    a_master_gets_only_nodes_with_its_task,
    a_master_gets_only_nodes_of_the_build_that_it_wants,
    a_master_gets_no_node_that_it_does_not_want_until_another_process_has_it,
    a_master_gets_no_node_that_went_silent,
    only_enabled_nodes_are_reserved,
    a_lease_that_ran_out_is_taken_by_another_master_but_not_by_the_same,
    nodes_that_no_one_holds_come_before_those_whose_lease_ran_out,
    a_renewed_lease_holds_and_the_answer_names_the_nodes,
    a_lease_that_ran_out_and_was_not_taken_can_be_renewed,
    a_master_that_ends_frees_its_nodes_and_no_others,
    a_slave_that_saw_its_master_go_frees_itself,
    a_slave_whose_master_never_came_frees_itself_when_the_lease_has_run_out,
    a_node_that_was_given_up_rests_and_comes_back_with_a_beat,
    a_node_that_was_invalidated_does_not_come_back_by_itself,
    a_beat_notes_the_figures_and_leaves_the_state_alone,
}

async fn a_master_gets_no_more_than_it_asks_for_and_the_longest_available_first(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[30, 20, 10, 5]).await;
    assert_eq!(grid.reserve("m", 0).await, NO_PORTS);
    assert_eq!(grid.reserve("m", 2).await, [20, 30]);
    assert_eq!(grid.reserve("n", usize::MAX).await, [5, 10]);
    let node = grid.node(20).await;
    assert_eq!((node.state, node.reserved_by.as_deref()), (NodeState::Reserved, Some("m")));
    assert_eq!(node.lease_until, Some(grid.now().await + 10));
}

async fn a_master_gets_only_nodes_with_its_task(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1]).await;
    grid.start(2, "word-count").await;
    let nodes = grid.registry.reserve(&reservation("m"), 9, Some("word-count"), LEASE).await.unwrap();
    assert_eq!(ports(&nodes), [2]);
}

async fn a_master_gets_only_nodes_of_the_build_that_it_wants(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1]).await;
    let Announcement { columns, build, .. } = announcement(2);
    let other = Announcement { columns: Digest::of(b"others"), ..announcement(2) };
    grid.registry.announce(&other).await.unwrap();
    grid.registry.enable(&key(2)).await.unwrap();
    let got = async |wanted: Wanted| {
        let nodes = grid.registry.reserve(&reservation("m"), 9, wanted, LEASE).await.unwrap();
        grid.registry.release_reservation(&reservation("m")).await.unwrap();
        ports(&nodes)
    };
    let wanted = Wanted { columns: Some(columns), ..Wanted::default() };
    assert_eq!(got(wanted.clone()).await, [1]);
    let both = Wanted { manifest: Some(build.manifest), file: Some(build.file), ..Wanted::default() };
    assert_eq!(got(both.clone()).await, [1, 2]);
    let all = Wanted { columns: Some(other.columns), ..both };
    assert_eq!(got(all.clone()).await, [2]);
    assert_eq!(got(Wanted { task: Some("word-count".to_owned()), ..all }).await, NO_PORTS);
    assert_eq!(got(Wanted { file: Some(Digest::of(b"another")), ..wanted }).await, NO_PORTS);
}

async fn a_master_gets_no_node_that_it_does_not_want_until_another_process_has_it(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1, 2]).await;
    let pid = announcement(1).pid;
    let except = vec![(key(1), pid), (key(2), pid + 1)];
    let wanted = Wanted { except, ..Wanted::default() };
    let nodes = grid.registry.reserve(&reservation("m"), 9, wanted.clone(), LEASE).await.unwrap();
    assert_eq!(ports(&nodes), [2]);
    let started_anew = Announcement { pid: pid + 7, dead_pid: Some(pid), ..announcement(1) };
    grid.registry.announce(&started_anew).await.unwrap();
    grid.registry.enable(&key(1)).await.unwrap();
    let nodes = grid.registry.reserve(&reservation("m"), 9, wanted, LEASE).await.unwrap();
    assert_eq!(ports(&nodes), [1]);
}

async fn a_master_gets_no_node_that_went_silent(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1, 2]).await;
    grid.clock.advance(SILENCE);
    grid.registry.beat(&key(2), Stats::default()).await.unwrap();
    assert!(grid.node(1).await.is_silent(grid.now().await));
    assert_eq!(grid.reserve("m", 9).await, [2]);
}

async fn only_enabled_nodes_are_reserved(place: &Place) {
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(place, state).await;
        let expected: &[u16] = if state == NodeState::Enabled { &[1] } else { &[] };
        assert_eq!(grid.reserve("n", 9).await, expected, "{state}");
    }
}

async fn a_lease_that_ran_out_is_taken_by_another_master_but_not_by_the_same(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1]).await;
    assert_eq!(grid.reserve("m", 1).await, [1]);
    grid.clock.advance(LEASE);
    assert_eq!(grid.reserve("n", 1).await, NO_PORTS);
    grid.clock.advance(Duration::from_secs(1));
    assert_eq!(grid.reserve("m", 1).await, NO_PORTS);
    assert_eq!(grid.reserve("n", 1).await, [1]);
    assert_eq!(grid.registry.renew(&reservation("m"), LEASE).await.unwrap(), []);
    assert!(!grid.registry.free_if_reserved_by(&key(1), &reservation("m")).await.unwrap());
    assert_eq!(grid.node(1).await.reserved_by.as_deref(), Some("n"));
}

async fn nodes_that_no_one_holds_come_before_those_whose_lease_ran_out(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1]).await;
    assert_eq!(grid.reserve("m", 1).await, [1]);
    grid.clock.advance(LEASE + Duration::from_secs(1));
    grid.start(2, "echo").await;
    assert_eq!(grid.reserve("n", 1).await, [2]);
}

async fn a_renewed_lease_holds_and_the_answer_names_the_nodes(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1, 2, 3]).await;
    assert_eq!(grid.reserve("m", 3).await, [1, 2, 3]);
    grid.clock.advance(LEASE - Duration::from_secs(3));
    grid.registry.disable(&key(2)).await.unwrap();
    grid.registry.begin_cleanup(&key(3)).await.unwrap();
    assert_eq!(grid.registry.renew(&reservation("m"), LEASE).await.unwrap(), [key(1), key(3)]);
    grid.clock.advance(LEASE);
    grid.registry.beat(&key(1), Stats::default()).await.unwrap();
    assert_eq!(grid.reserve("n", 9).await, NO_PORTS);
}

async fn a_lease_that_ran_out_and_was_not_taken_can_be_renewed(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1]).await;
    assert_eq!(grid.reserve("m", 1).await, [1]);
    grid.clock.advance(LEASE + Duration::from_secs(1));
    assert_eq!(grid.registry.renew(&reservation("m"), LEASE).await.unwrap(), [key(1)]);
    assert_eq!(grid.reserve("n", 1).await, NO_PORTS);
}

async fn a_master_that_ends_frees_its_nodes_and_no_others(place: &Place) {
    let grid = TestGrid::with_nodes(place, &[1, 2, 3]).await;
    assert_eq!(grid.reserve("m", 2).await, [1, 2]);
    assert_eq!(grid.reserve("n", 1).await, [3]);
    assert_eq!(grid.registry.release_reservation(&reservation("m")).await.unwrap(), 2);
    let node = grid.node(1).await;
    assert_eq!((node.state, node.reserved_by, node.lease_until), (NodeState::Enabled, None, None));
    assert_eq!(grid.state(3).await, NodeState::Reserved);
}

async fn a_slave_that_saw_its_master_go_frees_itself(place: &Place) {
    let grid = TestGrid::in_state(place, NodeState::Reserved).await;
    assert!(!grid.registry.free_if_reserved_by(&key(1), &reservation("n")).await.unwrap());
    assert!(grid.registry.free_if_reserved_by(&key(1), &reservation("m")).await.unwrap());
    assert_eq!(grid.state(1).await, NodeState::Enabled);
    assert!(!grid.registry.free_if_reserved_by(&key(1), &reservation("m")).await.unwrap());
}

async fn a_slave_whose_master_never_came_frees_itself_when_the_lease_has_run_out(place: &Place) {
    let grid = TestGrid::in_state(place, NodeState::Reserved).await;
    assert!(!grid.registry.free_if_expired(&key(1)).await.unwrap());
    grid.clock.advance(LEASE + Duration::from_secs(1));
    assert!(grid.registry.free_if_expired(&key(1)).await.unwrap());
    assert_eq!(grid.state(1).await, NodeState::Enabled);
}

async fn a_node_that_was_given_up_rests_and_comes_back_with_a_beat(place: &Place) {
    let grid = TestGrid::in_state(place, NodeState::Reserved).await;
    assert!(!grid.registry.lost(&key(1), &reservation("n")).await.unwrap());
    assert!(grid.registry.lost(&key(1), &reservation("m")).await.unwrap());
    let beat = async || grid.registry.beat(&key(1), Stats::default()).await;
    assert_eq!(beat().await.unwrap().state, NodeState::Invalid);
    assert_eq!(grid.reserve("n", 1).await, NO_PORTS);
    grid.clock.advance(GIVEN_UP_REST + Duration::from_secs(1));
    assert_eq!(grid.state(1).await, NodeState::Invalid, "only a sign of life brings it back");
    let node = beat().await.unwrap();
    assert_eq!((node.state, node.lease_until), (NodeState::Enabled, None));
    assert_eq!(grid.reserve("n", 1).await, [1]);
}

async fn a_node_that_was_invalidated_does_not_come_back_by_itself(place: &Place) {
    let grid = TestGrid::in_state(place, NodeState::Invalid).await;
    grid.clock.advance(GIVEN_UP_REST * 100);
    let node = grid.registry.beat(&key(1), Stats::default()).await.unwrap();
    assert_eq!(node.state, NodeState::Invalid);
    assert_eq!(grid.registry.release(&key(1)).await.unwrap().state, NodeState::Enabled);
}

async fn a_beat_notes_the_figures_and_leaves_the_state_alone(place: &Place) {
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(place, state).await;
        grid.clock.advance(Duration::from_secs(3));
        let stats = Stats { done: u64::MAX, failed: 2, rate: 1.5 };
        let node = grid.registry.beat(&key(1), stats).await.unwrap();
        assert_eq!(node.state, state);
        assert_eq!(node.last_seen, Some(grid.now().await));
        assert_eq!((node.done, node.failed, node.rate), (Some(i64::MAX as u64), Some(2), Some(1.5)));
    }
}
