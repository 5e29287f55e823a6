//! What every registry must do, whatever the database behind it. A new backend adds a way to open an empty
//! registry to `TestGrid` and gets all of these tests.

use std::time::Duration;

use super::{
    Announcement, Clock, GIVEN_UP_REST, Node, NodeKey, NodeState, Registry, RegistryError, RegistryUrl,
    Reservation, SILENCE, Stats,
};

const LEASE: Duration = Duration::from_secs(10);
const NO_PORTS: [u16; 0] = [];

/// An empty registry of its own, with a clock that stands still.
struct TestGrid {
    registry: Registry,
    url: RegistryUrl,
    clock: Clock,
    _directory: tempfile::TempDir,
}

impl TestGrid {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = RegistryUrl::sqlite(directory.path().join("grid.db"));
        let clock = Clock::manual(1_000_000);
        let registry = Registry::open_with_clock(&url, clock.clone()).await.unwrap();
        Self { registry, url, clock, _directory: directory }
    }

    /// A grid with enabled nodes on these ports of `host`, announced a second apart.
    async fn with_nodes(ports: &[u16]) -> Self {
        let grid = Self::new().await;
        for port in ports {
            grid.start(*port, "echo").await;
            grid.clock.advance(Duration::from_secs(1));
        }
        grid
    }

    async fn start(&self, port: u16, task: &str) {
        let announcement = Announcement { task: task.to_owned(), ..announcement(port) };
        self.registry.announce(&announcement).await.unwrap();
        self.registry.enable(&key(port)).await.unwrap();
    }

    async fn node(&self, port: u16) -> Node {
        self.registry.find(&key(port)).await.unwrap().unwrap()
    }

    async fn state(&self, port: u16) -> NodeState {
        self.node(port).await.state
    }

    async fn reserve(&self, name: &str, max: usize) -> Vec<u16> {
        ports(&self.registry.reserve(&reservation(name), max, None, LEASE).await.unwrap())
    }

    /// A node in the given state, reached by legal moves.
    async fn in_state(state: NodeState) -> Self {
        let grid = Self::with_nodes(&[1]).await;
        match state {
            NodeState::Enabled => {}
            NodeState::Disabled => drop(grid.registry.disable(&key(1)).await.unwrap()),
            NodeState::Reserved => assert_eq!(grid.reserve("m", 1).await, [1]),
            NodeState::Invalid => drop(grid.registry.invalidate(&key(1)).await.unwrap()),
            NodeState::Cleanup => drop(grid.registry.begin_cleanup(&key(1)).await.unwrap()),
        }
        assert_eq!(grid.state(1).await, state);
        grid
    }
}

fn key(port: u16) -> NodeKey {
    NodeKey::new("host", port)
}

fn ports(nodes: &[Node]) -> Vec<u16> {
    nodes.iter().map(|node| node.key.port).collect()
}

fn reservation(name: &str) -> Reservation {
    Reservation::from_text(name)
}

fn announcement(port: u16) -> Announcement {
    Announcement {
        key: key(port),
        children: 5,
        task: "echo".to_owned(),
        task_version: Some("1.2.3".to_owned()),
        advertise: Some("10.0.0.1".to_owned()),
        pid: 4711,
        version: "0.1.0".to_owned(),
        dead_pid: None,
    }
}

#[tokio::test]
async fn an_announced_node_is_listed_with_all_it_said_and_is_not_yet_used() {
    let grid = TestGrid::new().await;
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
        }
    );
    assert_eq!(node.address(), "10.0.0.1:7");
    assert_eq!(grid.reserve("m", 9).await, NO_PORTS);
}

#[tokio::test]
async fn nodes_are_listed_by_host_name_and_port_and_read_well_as_json() {
    let grid = TestGrid::with_nodes(&[20, 3]).await;
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

#[tokio::test]
async fn a_live_slaves_row_is_not_taken_over() {
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(state).await;
        let second = Announcement { pid: 4712, ..announcement(1) };
        let error = grid.registry.announce(&second).await.unwrap_err();
        assert!(matches!(error, RegistryError::Live { pid: Some(4711), seen_seconds_ago: 1, .. }), "{error}");
        assert_eq!(grid.state(1).await, state);
        assert_eq!(grid.node(1).await.pid, Some(4711));
    }
}

#[tokio::test]
async fn the_message_about_a_live_slave_says_which_and_what_to_do() {
    let grid = TestGrid::with_nodes(&[1]).await;
    let second = Announcement { pid: 4712, ..announcement(1) };
    let error = grid.registry.announce(&second).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "node host:1 is in use: process 4711 was last seen 1 s ago and the node is enabled; shut it down with \
         `simplegrid node-manager --hostname host --port 1 shutdown`, or choose another port"
    );
}

#[tokio::test]
async fn an_abandoned_row_is_taken_over_whatever_its_state() {
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(state).await;
        grid.clock.advance(SILENCE);
        let second = Announcement { pid: 4712, ..announcement(1) };
        grid.registry.announce(&second).await.unwrap();
        let node = grid.node(1).await;
        assert_eq!((node.state, node.pid, node.reserved_by), (NodeState::Disabled, Some(4712), None));
        assert_eq!(node.lease_until, None);
    }
}

#[tokio::test]
async fn a_row_whose_process_was_found_dead_is_taken_over_at_once() {
    let grid = TestGrid::with_nodes(&[1]).await;
    let wrong = Announcement { pid: 4712, dead_pid: Some(9), ..announcement(1) };
    assert!(matches!(grid.registry.announce(&wrong).await, Err(RegistryError::Live { .. })));
    let right = Announcement { pid: 4712, dead_pid: Some(4711), ..announcement(1) };
    grid.registry.announce(&right).await.unwrap();
    assert_eq!(grid.node(1).await.pid, Some(4712));
}

#[tokio::test]
async fn a_slave_that_shut_down_stays_listed_and_may_start_again_at_once() {
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(state).await;
        let node = grid.registry.retire(&key(1)).await.unwrap();
        assert_eq!((node.state, node.pid, node.reserved_by), (NodeState::Disabled, None, None));
        let second = Announcement { pid: 4712, ..announcement(1) };
        grid.registry.announce(&second).await.unwrap();
    }
}

/// The verbs, what they ask for and where they may start; `moves` has the same table, written once more here so
/// that a mistake there is seen.
#[tokio::test]
async fn every_illegal_move_is_refused_and_changes_nothing() {
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
            let grid = TestGrid::in_state(state).await;
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

#[tokio::test]
async fn every_verb_says_so_if_there_is_no_such_node() {
    let grid = TestGrid::with_nodes(&[1]).await;
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

#[tokio::test]
async fn refusals_say_who_holds_the_node_and_what_to_do() {
    let grid = TestGrid::in_state(NodeState::Reserved).await;
    let error = grid.registry.enable(&key(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "node host:1 is reserved (by m) and may not become enabled; `release` takes it from its master"
    );
}

#[tokio::test]
async fn rows_of_slaves_that_were_silent_for_long_are_pruned() {
    const DAY: Duration = Duration::from_secs(86_400);
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(state).await;
        assert!(grid.registry.prune(DAY).await.unwrap().is_empty(), "{state}: it was seen just now");
        grid.clock.advance(DAY + Duration::from_secs(1));
        assert_eq!(grid.registry.prune(DAY).await.unwrap(), [key(1)], "{state}");
        assert!(grid.registry.list().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_silent_row_that_a_master_still_renews_is_not_pruned() {
    let grid = TestGrid::in_state(NodeState::Reserved).await;
    grid.clock.advance(Duration::from_secs(60));
    grid.registry.renew(&reservation("m"), LEASE).await.unwrap();
    assert!(grid.registry.prune(Duration::from_secs(30)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_master_gets_no_more_than_it_asks_for_and_the_longest_available_first() {
    let grid = TestGrid::with_nodes(&[30, 20, 10, 5]).await;
    assert_eq!(grid.reserve("m", 0).await, NO_PORTS);
    assert_eq!(grid.reserve("m", 2).await, [20, 30]);
    assert_eq!(grid.reserve("n", usize::MAX).await, [5, 10]);
    let node = grid.node(20).await;
    assert_eq!((node.state, node.reserved_by.as_deref()), (NodeState::Reserved, Some("m")));
    assert_eq!(node.lease_until, Some(grid.registry.now() + 10));
}

#[tokio::test]
async fn a_master_gets_only_nodes_with_its_task() {
    let grid = TestGrid::with_nodes(&[1]).await;
    grid.start(2, "word-count").await;
    let nodes = grid.registry.reserve(&reservation("m"), 9, Some("word-count"), LEASE).await.unwrap();
    assert_eq!(ports(&nodes), [2]);
}

#[tokio::test]
async fn a_master_gets_no_node_that_went_silent() {
    let grid = TestGrid::with_nodes(&[1, 2]).await;
    grid.clock.advance(SILENCE);
    grid.registry.beat(&key(2), Stats::default()).await.unwrap();
    assert!(grid.node(1).await.is_silent(grid.registry.now()));
    assert_eq!(grid.reserve("m", 9).await, [2]);
}

#[tokio::test]
async fn only_enabled_nodes_are_reserved() {
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(state).await;
        let expected: &[u16] = if state == NodeState::Enabled { &[1] } else { &[] };
        assert_eq!(grid.reserve("n", 9).await, expected, "{state}");
    }
}

#[tokio::test]
async fn a_lease_that_ran_out_is_taken_by_another_master_but_not_by_the_same() {
    let grid = TestGrid::with_nodes(&[1]).await;
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

#[tokio::test]
async fn nodes_that_nobody_holds_come_before_those_whose_lease_ran_out() {
    let grid = TestGrid::with_nodes(&[1]).await;
    assert_eq!(grid.reserve("m", 1).await, [1]);
    grid.clock.advance(LEASE + Duration::from_secs(1));
    grid.start(2, "echo").await;
    assert_eq!(grid.reserve("n", 1).await, [2]);
}

#[tokio::test]
async fn a_renewed_lease_holds_and_the_answer_names_the_nodes() {
    let grid = TestGrid::with_nodes(&[1, 2, 3]).await;
    assert_eq!(grid.reserve("m", 3).await, [1, 2, 3]);
    grid.clock.advance(LEASE - Duration::from_secs(3));
    grid.registry.disable(&key(2)).await.unwrap();
    grid.registry.begin_cleanup(&key(3)).await.unwrap();
    assert_eq!(grid.registry.renew(&reservation("m"), LEASE).await.unwrap(), [key(1), key(3)]);
    grid.clock.advance(LEASE);
    grid.registry.beat(&key(1), Stats::default()).await.unwrap();
    assert_eq!(grid.reserve("n", 9).await, NO_PORTS);
}

#[tokio::test]
async fn a_lease_that_ran_out_and_was_not_taken_can_be_renewed() {
    let grid = TestGrid::with_nodes(&[1]).await;
    assert_eq!(grid.reserve("m", 1).await, [1]);
    grid.clock.advance(LEASE + Duration::from_secs(1));
    assert_eq!(grid.registry.renew(&reservation("m"), LEASE).await.unwrap(), [key(1)]);
    assert_eq!(grid.reserve("n", 1).await, NO_PORTS);
}

#[tokio::test]
async fn a_master_that_ends_frees_its_nodes_and_no_others() {
    let grid = TestGrid::with_nodes(&[1, 2, 3]).await;
    assert_eq!(grid.reserve("m", 2).await, [1, 2]);
    assert_eq!(grid.reserve("n", 1).await, [3]);
    assert_eq!(grid.registry.release_reservation(&reservation("m")).await.unwrap(), 2);
    let node = grid.node(1).await;
    assert_eq!((node.state, node.reserved_by, node.lease_until), (NodeState::Enabled, None, None));
    assert_eq!(grid.state(3).await, NodeState::Reserved);
}

#[tokio::test]
async fn a_slave_that_saw_its_master_go_frees_itself() {
    let grid = TestGrid::in_state(NodeState::Reserved).await;
    assert!(!grid.registry.free_if_reserved_by(&key(1), &reservation("n")).await.unwrap());
    assert!(grid.registry.free_if_reserved_by(&key(1), &reservation("m")).await.unwrap());
    assert_eq!(grid.state(1).await, NodeState::Enabled);
    assert!(!grid.registry.free_if_reserved_by(&key(1), &reservation("m")).await.unwrap());
}

#[tokio::test]
async fn a_slave_whose_master_never_came_frees_itself_when_the_lease_has_run_out() {
    let grid = TestGrid::in_state(NodeState::Reserved).await;
    assert!(!grid.registry.free_if_expired(&key(1)).await.unwrap());
    grid.clock.advance(LEASE + Duration::from_secs(1));
    assert!(grid.registry.free_if_expired(&key(1)).await.unwrap());
    assert_eq!(grid.state(1).await, NodeState::Enabled);
}

#[tokio::test]
async fn a_node_that_was_given_up_rests_and_comes_back_with_a_beat() {
    let grid = TestGrid::in_state(NodeState::Reserved).await;
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

#[tokio::test]
async fn a_node_that_was_invalidated_does_not_come_back_by_itself() {
    let grid = TestGrid::in_state(NodeState::Invalid).await;
    grid.clock.advance(GIVEN_UP_REST * 100);
    let node = grid.registry.beat(&key(1), Stats::default()).await.unwrap();
    assert_eq!(node.state, NodeState::Invalid);
    assert_eq!(grid.registry.release(&key(1)).await.unwrap().state, NodeState::Enabled);
}

#[tokio::test]
async fn a_beat_notes_the_figures_and_leaves_the_state_alone() {
    for state in NodeState::ALL {
        let grid = TestGrid::in_state(state).await;
        grid.clock.advance(Duration::from_secs(3));
        let stats = Stats { done: u64::MAX, failed: 2, rate: 1.5 };
        let node = grid.registry.beat(&key(1), stats).await.unwrap();
        assert_eq!(node.state, state);
        assert_eq!(node.last_seen, Some(grid.registry.now()));
        assert_eq!((node.done, node.failed, node.rate), (Some(i64::MAX as u64), Some(2), Some(1.5)));
    }
}

/// Runs `work` on a thread with a connection of its own, as another process would.
fn on_another_connection<T: Send + 'static, F: Future<Output = T>>(
    url: &RegistryUrl,
    work: impl FnOnce(Registry) -> F + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let url = url.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { work(Registry::open(&url).await.unwrap()).await })
    })
}

#[tokio::test]
async fn two_masters_that_race_for_the_last_node_never_both_get_it() {
    const ROUNDS: usize = 300;
    let grid = TestGrid::new().await;
    let registry = Registry::open(&grid.url).await.unwrap();
    registry.announce(&announcement(1)).await.unwrap();
    registry.enable(&key(1)).await.unwrap();
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(2));
    let masters = ["m", "n"].map(|name| {
        let barrier = std::sync::Arc::clone(&barrier);
        on_another_connection(&grid.url, move |registry| async move {
            // Nothing is unwrapped between the barriers: a panic would leave the other master waiting for ever.
            let mut won = Vec::new();
            for _ in 0..ROUNDS {
                let beat = registry.beat(&key(1), Stats::default()).await;
                barrier.wait();
                let reserved = registry.reserve(&reservation(name), 1, None, LEASE).await;
                barrier.wait();
                let released = registry.release_reservation(&reservation(name)).await;
                won.push((beat, reserved, released));
                barrier.wait();
            }
            let count = |(beat, reserved, released): (Result<_, _>, Result<Vec<Node>, _>, Result<_, _>)| {
                let _: (Node, usize) = (beat.unwrap(), released.unwrap());
                reserved.unwrap().len()
            };
            won.into_iter().map(count).collect::<Vec<usize>>()
        })
    });
    let [m, n] = masters.map(|master| master.join().unwrap());
    for round in 0..ROUNDS {
        assert_eq!(m[round] + n[round], 1, "round {round}");
    }
}

#[tokio::test]
async fn many_masters_share_many_nodes_and_no_node_is_held_twice() {
    let ports: Vec<u16> = (1..=40).collect();
    let grid = TestGrid::new().await;
    let registry = Registry::open(&grid.url).await.unwrap();
    for port in &ports {
        registry.announce(&announcement(*port)).await.unwrap();
        registry.enable(&key(*port)).await.unwrap();
    }
    let masters: Vec<_> = (0..8)
        .map(|master| {
            on_another_connection(&grid.url, move |registry| async move {
                let name = reservation(&format!("master {master}"));
                let mut held = Vec::new();
                for _ in 0..10 {
                    held.extend(registry.reserve(&name, 1, None, LEASE).await.unwrap());
                }
                self::ports(&held)
            })
        })
        .collect();
    let mut held: Vec<u16> = masters.into_iter().flat_map(|master| master.join().unwrap()).collect();
    held.sort_unstable();
    assert_eq!(held, ports);
}

#[tokio::test]
async fn many_slaves_beat_at_once_and_none_fails() {
    let grid = TestGrid::with_nodes(&[1, 2, 3, 4]).await;
    let slaves: Vec<_> = (0..8u16)
        .map(|slave| {
            on_another_connection(&grid.url, move |registry| async move {
                for done in 0..100 {
                    let stats = Stats { done, ..Stats::default() };
                    registry.beat(&key(1 + slave % 4), stats).await.unwrap();
                    registry.list().await.unwrap();
                }
            })
        })
        .collect();
    slaves.into_iter().for_each(|slave| slave.join().unwrap());
    assert_eq!(grid.node(1).await.done, Some(99));
}
