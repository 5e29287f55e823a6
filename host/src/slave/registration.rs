//! A slave's row in the registry, from the announcement to the end. Nothing else of the slave touches it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::registry::{Announcement, Node, NodeKey, NodeState, Registry, RegistryError, Reservation, Stats};

/// How often the row is refreshed.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// How long a master of the Perl original is waited for that has the row and may be about to enable it, when
/// the slave ends.
const OVERWRITE_MAX: Duration = Duration::from_secs(2);

/// How often the row is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Beats after which a reservation of a master of the original that is not there is spoken of.
const BEATS_WITHOUT_CLIENT: u32 = 3;

/// What the row is told.
#[derive(Debug)]
pub(super) enum RowEvent {
    /// Figures for the next beat, and how many clients with lines are there, if they are let in at all.
    Stats(Stats, Option<usize>),
    /// A master has taken the slave.
    Occupied,
    /// The master that had reserved the slave is gone, or done.
    Free(Reservation),
    /// The slave drains: no master may reserve it.
    Draining,
}

/// A row that is announced.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Registry,
    announcement: Announcement,
    stats: Stats,
    line_clients: Option<usize>,
    /// Beats in a row that found the row reserved by a master of the original that is not there.
    beats_without_client: u32,
    occupied: bool,
    /// The row was entered again while a master was served: it is to be enabled when that one is gone.
    enable_when_free: bool,
    is_down: bool,
}

impl Registration {
    /// Enters the slave into the table, as disabled.
    ///
    /// # Errors
    /// If a live slave has the row, or the registry fails.
    pub(super) async fn announce(
        registry: Registry,
        mut announcement: Announcement,
    ) -> Result<Self, RegistryError> {
        match registry.announce(&announcement).await {
            Err(RegistryError::Live { pid: Some(pid), .. }) if is_dead_here(&announcement, pid) => {
                announcement.dead_pid = Some(pid);
                registry.announce(&announcement).await?;
                announcement.dead_pid = None;
            }
            result => result?,
        }
        Ok(Self {
            registry,
            announcement,
            stats: Stats::default(),
            line_clients: None,
            beats_without_client: 0,
            occupied: false,
            enable_when_free: false,
            is_down: false,
        })
    }

    /// Lets masters reserve the slave.
    ///
    /// # Errors
    /// If the registry fails.
    pub(super) async fn enable(&self) -> Result<(), RegistryError> {
        self.registry.enable(self.key()).await.map(|_| ())
    }

    /// Keeps the row alive until no more events can come, and then retires it.
    pub(super) async fn keep(mut self, mut events: mpsc::Receiver<RowEvent>) {
        let mut beat = tokio::time::interval(BEAT_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on_event(event).await,
                    None => break,
                },
                _ = beat.tick() => {
                    self.beat().await;
                }
            }
        }
        self.retire().await;
    }

    fn key(&self) -> &NodeKey {
        &self.announcement.key
    }

    async fn on_event(&mut self, event: RowEvent) {
        match event {
            RowEvent::Stats(stats, line_clients) => {
                (self.stats, self.line_clients) = (stats, line_clients);
            }
            RowEvent::Occupied => self.occupied = true,
            RowEvent::Free(reservation) => {
                self.occupied = false;
                let freed = self.registry.free_if_reserved_by(self.key(), &reservation).await;
                self.note(freed);
                if std::mem::take(&mut self.enable_when_free) {
                    let enabled = self.enable().await;
                    self.note(enabled);
                }
            }
            RowEvent::Draining => match self.registry.begin_cleanup(self.key()).await {
                // A row that someone has disabled needs no further move.
                Err(RegistryError::NotAllowed { .. }) => {}
                result => {
                    self.note(result);
                }
            },
        }
    }

    /// Returns the row as it was, if it was there.
    async fn beat(&mut self) -> Option<Node> {
        match self.registry.beat(&self.announcement.key, self.stats).await {
            Ok(node) => {
                self.note(Ok(()));
                self.free_after_dead_master(&node).await;
                self.watch_reservation_of_perl(&node);
                Some(node)
            }
            Err(RegistryError::NoSuchNode { .. }) => {
                self.announce_again().await;
                None
            }
            Err(error) => self.note(Err(error)),
        }
    }

    /// A reservation whose master never came, or never said goodbye, ends with its lease.
    async fn free_after_dead_master(&mut self, node: &Node) {
        if !self.occupied && node.state == NodeState::Reserved {
            let freed = self.registry.free_if_expired(&self.announcement.key).await;
            self.note(freed);
        }
    }

    /// A master of the original connects before it reserves, and stays connected. One that was killed leaves
    /// the row reserved, without a lease; whether it may be taken from it is for people to decide.
    fn watch_reservation_of_perl(&mut self, node: &Node) {
        let is_missing = node.state == NodeState::Reserved
            && is_held_by_perl(node)
            && self.line_clients.is_none_or(|clients| clients == 0);
        self.beats_without_client = if is_missing { self.beats_without_client + 1 } else { 0 };
        if self.beats_without_client != BEATS_WITHOUT_CLIENT {
            return;
        }
        let NodeKey { hostname, port } = self.key();
        let holder = node.reserved_by.as_deref().unwrap_or_default();
        let release = format!("`simplegrid node-manager -h {hostname} -p {port} release` frees it");
        if self.line_clients.is_some() {
            tracing::warn!("this slave is reserved by «{holder:.100}», but its client is gone: {release}");
        } else {
            tracing::warn!(
                "this slave is reserved by «{holder:.100}», a master of Net::SimpleGrid, but does not take lines: start \
                 it with --line-protocol; {release}"
            );
        }
    }

    /// Someone has removed the row, or the whole file.
    async fn announce_again(&mut self) {
        tracing::warn!("the row of this slave is gone from the registry; it is entered again");
        let announced = self.registry.announce(&self.announcement).await;
        if self.note(announced).is_some() {
            self.enable_when_free = self.occupied;
            if !self.occupied {
                let enabled = self.enable().await;
                self.note(enabled);
            }
        }
    }

    /// A shut-down slave's row stays, and is shown as disabled.
    async fn retire(mut self) {
        let held_by_perl = self.beat().await.is_some_and(|node| is_held_by_perl(&node));
        let retired = self.registry.retire(&self.announcement.key).await;
        if self.note(retired).is_some() && held_by_perl {
            self.retire_again_if_enabled().await;
        }
    }

    /// A master of the original that tells a slave to end enables its row right afterwards, without a look at
    /// it (`Manager.pm`, `releaseNodes`). Then masters would be sent to a slave that has ended.
    async fn retire_again_if_enabled(&mut self) {
        let deadline = tokio::time::Instant::now() + OVERWRITE_MAX;
        while tokio::time::Instant::now() < deadline {
            match self.registry.find(self.key()).await {
                Ok(Some(node)) if node.state == NodeState::Enabled && node.pid.is_none() => {
                    let retired = self.registry.retire(self.key()).await;
                    self.note(retired);
                    return;
                }
                // Another slave has the row now, or nobody.
                Ok(Some(Node { pid: Some(_), .. }) | None) | Err(_) => return,
                Ok(Some(_)) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// The slave goes on without the registry; the log says so once.
    fn note<T>(&mut self, result: Result<T, RegistryError>) -> Option<T> {
        match result {
            Ok(value) => {
                if std::mem::take(&mut self.is_down) {
                    tracing::info!("the registry is back");
                }
                Some(value)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_down, true) {
                    tracing::warn!("the registry fails, trying again until it works: {error}");
                }
                None
            }
        }
    }
}

/// Whether a master of the original has the row: its reservations have a name and no lease.
fn is_held_by_perl(node: &Node) -> bool {
    let is_held = matches!(node.state, NodeState::Reserved | NodeState::Cleanup);
    is_held
        && node.lease_until.is_none()
        && node.reserved_by.as_deref().is_some_and(|holder| !holder.is_empty())
}

/// Whether the process that the row belongs to was on this machine and is gone.
fn is_dead_here(announcement: &Announcement, pid: u32) -> bool {
    let host = announcement.key.hostname.as_str();
    let ours = nix::unistd::gethostname().unwrap_or_default();
    let here = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || ours.to_str().is_some_and(|ours| ours == host);
    let process = nix::unistd::Pid::from_raw(pid as i32);
    here && (nix::sys::signal::kill(process, None) == Err(nix::errno::Errno::ESRCH) || is_unreaped(pid))
}

/// Whether the process has ended, and its parent has not asked how yet: its number lives on without it
/// (proc(5)).
fn is_unreaped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets may hold anything; what follows it does not.
    stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with(['Z', 'X']))
}
