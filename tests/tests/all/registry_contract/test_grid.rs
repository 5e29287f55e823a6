//! Where a contract is tested: a new, empty registry in some database, with a clock that stands still.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use simplegrid::internals::build::{Build, Digest};
use simplegrid::internals::registry::{
    Announcement, Clock, Node, NodeKey, NodeState, Registry, RegistryUrl, Reservation,
};
use simplegrid_tests::{DatabaseServer, Engine};

pub(super) const LEASE: Duration = Duration::from_secs(10);
pub(super) const NO_PORTS: [u16; 0] = [];

/// A new, empty registry, with a clock that stands still.
pub(super) struct TestGrid {
    pub registry: Registry,
    pub url: RegistryUrl,
    pub clock: Clock,
}

impl TestGrid {
    pub(super) async fn new(place: &Place) -> Self {
        let url = place.new_url();
        let clock = Clock::manual(1_000_000);
        let registry = Registry::open_with_clock(&url, clock.clone()).await.unwrap();
        Self { registry, url, clock }
    }

    /// A grid with enabled nodes on these ports of `host`, announced a second apart.
    pub(super) async fn with_nodes(place: &Place, ports: &[u16]) -> Self {
        let grid = Self::new(place).await;
        for port in ports {
            grid.start(*port, "echo").await;
            grid.clock.advance(Duration::from_secs(1));
        }
        grid
    }

    pub(super) async fn start(&self, port: u16, task: &str) {
        let announcement = Announcement { task: task.to_owned(), ..announcement(port) };
        self.registry.announce(&announcement).await.unwrap();
        self.registry.enable(&key(port)).await.unwrap();
    }

    /// The time, as the registry counts it.
    pub(super) async fn now(&self) -> i64 {
        self.registry.listing().await.unwrap().now
    }

    pub(super) async fn node(&self, port: u16) -> Node {
        self.registry.find(&key(port)).await.unwrap().unwrap()
    }

    pub(super) async fn state(&self, port: u16) -> NodeState {
        self.node(port).await.state
    }

    pub(super) async fn reserve(&self, name: &str, max: usize) -> Vec<u16> {
        ports(&self.registry.reserve(&reservation(name), max, None, LEASE).await.unwrap())
    }

    /// A node in the given state, reached by legal moves.
    pub(super) async fn in_state(place: &Place, state: NodeState) -> Self {
        let grid = Self::with_nodes(place, &[1]).await;
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

pub(super) fn key(port: u16) -> NodeKey {
    NodeKey::new("host", port)
}

pub(super) fn ports(nodes: &[Node]) -> Vec<u16> {
    nodes.iter().map(|node| node.key.port).collect()
}

pub(super) fn reservation(name: &str) -> Reservation {
    Reservation::from_text(name)
}

pub(super) fn announcement(port: u16) -> Announcement {
    Announcement {
        key: key(port),
        children: 5,
        task: "echo".to_owned(),
        task_version: Some("1.2.3".to_owned()),
        columns: Digest::of(b"columns"),
        build: Build { manifest: Digest::of(b"manifest"), file: Digest::of(b"file") },
        advertise: Some("10.0.0.1".to_owned()),
        pid: 4711,
        version: "0.1.0".to_owned(),
        dead_pid: None,
    }
}

/// A database in which there can be registries.
pub(super) enum Place {
    /// SQLite files in a directory.
    Files { directory: tempfile::TempDir, made: AtomicU32 },
    /// Databases on a server.
    Server(&'static DatabaseServer),
}

impl Place {
    pub(super) fn files() -> Self {
        Self::Files { directory: tempfile::tempdir().unwrap(), made: AtomicU32::new(0) }
    }

    /// None if the server is not installed, which is said then.
    pub(super) fn server(engine: Engine) -> Option<Self> {
        DatabaseServer::shared(engine).map(Self::Server)
    }

    /// The URL of a registry that was never opened.
    pub(super) fn new_url(&self) -> RegistryUrl {
        match self {
            Self::Files { directory, made } => {
                let nth = made.fetch_add(1, Relaxed);
                RegistryUrl::sqlite(directory.path().join(format!("grid-{nth}.db")))
            }
            Self::Server(server) => server.database().url().parse().unwrap(),
        }
    }
}

/// Tests a contract there.
pub(super) fn fulfil(place: Option<Place>, contract: impl AsyncFn(&Place)) {
    let Some(place) = place else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(contract(&place));
}
