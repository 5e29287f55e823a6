//! A slave's row in the registry, from the announcement to the end. Nothing else of the slave touches it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::build::Build;
use crate::registry::{Announcement, Node, NodeKey, NodeState, Registry, RegistryError, Reservation, Stats};

/// How often the row is refreshed: much more often than the silence after which a slave counts as dead.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// How long a slave that ends waits for the master of Net::SimpleGrid that has its row, and that may be about
/// to enable it.
const OVERWRITE_MAX: Duration = Duration::from_secs(2);

/// How often it looks at the row meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Beats after which the log mentions a reservation whose master of Net::SimpleGrid is not connected.
const BEATS_WITHOUT_CLIENT: u32 = 3;

/// What the row is told.
#[derive(Debug)]
pub(super) enum RowEvent {
    /// Figures for the next beat, and how many clients with lines are connected, if the slave takes lines at
    /// all.
    Stats(Stats, Option<usize>),
    /// A master has taken the slave.
    Occupied,
    /// The master that reserved the slave is gone, or done.
    Free(Reservation),
    /// The workers load another build.
    Build {
        /// Which.
        build: Build,
        /// The version of its library.
        task_version: String,
    },
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
    /// Beats in succession that found the row reserved by a master of Net::SimpleGrid that is not connected.
    beats_without_client: u32,
    occupied: bool,
    /// The reservation of a master that is gone, until the registry knows it.
    to_free: Option<Reservation>,
    /// The row was entered again, and is still to be enabled: no master is served then.
    enable_when_free: bool,
    /// The row shows an earlier build.
    build_is_due: bool,
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
            to_free: None,
            enable_when_free: false,
            build_is_due: false,
            is_down: false,
        })
    }

    /// Lets masters reserve the slave. Its workers have started since it was announced, and meanwhile its row
    /// can have been removed, or the whole registry replaced: then it is announced again.
    ///
    /// # Errors
    /// If the registry fails.
    pub(super) async fn enable(&self) -> Result<(), RegistryError> {
        let enabled = match self.registry.enable(self.key()).await {
            Err(RegistryError::NoSuchNode { .. }) => {
                self.registry.announce(&self.announcement).await?;
                self.registry.enable(self.key()).await
            }
            enabled => enabled,
        };
        enabled.map(drop)
    }

    /// Keeps the row alive until no more events can come, and then retires it.
    pub(super) async fn keep(mut self, mut events: mpsc::Receiver<RowEvent>) {
        let mut beat = tokio::time::interval(BEAT_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = beat.tick() => {
                    self.beat().await;
                }
                event = events.recv() => match event {
                    Some(event) => self.on_event(event).await,
                    None => break,
                },
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
            RowEvent::Occupied => (self.occupied, self.to_free) = (true, None),
            RowEvent::Free(reservation) => {
                self.occupied = false;
                self.free(reservation).await;
                self.enable_if_due().await;
            }
            RowEvent::Build { build, task_version } => {
                self.announcement.build = build;
                self.announcement.task_version = Some(task_version);
                self.build_is_due = true;
                self.show_build_if_due().await;
            }
            RowEvent::Draining => match self.registry.begin_cleanup(self.key()).await {
                // The row was disabled already.
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
                if let Some(reservation) = self.to_free.take() {
                    self.free(reservation).await;
                }
                self.show_build_if_due().await;
                self.enable_if_due().await;
                self.free_after_dead_master(&node).await;
                self.watch_reservation_of_net_simplegrid(&node);
                Some(node)
            }
            Err(RegistryError::NoSuchNode { .. }) => {
                self.announce_again().await;
                None
            }
            Err(error) => self.note(Err(error)),
        }
    }

    /// The master of that reservation is gone. If the registry is away, the row is freed when it is back.
    async fn free(&mut self, reservation: Reservation) {
        let freed = self.registry.free_if_reserved_by(self.key(), &reservation).await;
        if self.note(freed).is_none() {
            self.to_free = Some(reservation);
        }
    }

    /// Puts the build into the row. If the registry is away, this waits until it is back.
    async fn show_build_if_due(&mut self) {
        if self.build_is_due {
            let shown = self.registry.show_build(&self.announcement).await;
            self.build_is_due = self.note(shown).is_none();
        }
    }

    /// Enables a row that was entered again, once no master is served. If the registry is away, this waits
    /// until it is back.
    async fn enable_if_due(&mut self) {
        if self.enable_when_free && !self.occupied {
            let enabled = self.enable().await;
            self.enable_when_free = self.note(enabled).is_none();
        }
    }

    /// A reservation ends with its lease if its master never came, or never said goodbye.
    async fn free_after_dead_master(&mut self, node: &Node) {
        if !self.occupied && node.state == NodeState::Reserved {
            let freed = self.registry.free_if_expired(&self.announcement.key).await;
            self.note(freed);
        }
    }

    /// A master of Net::SimpleGrid connects before it reserves, and stays connected. If it was killed, the
    /// row stays reserved, without a lease; whether to free it is for the user to decide.
    fn watch_reservation_of_net_simplegrid(&mut self, node: &Node) {
        let is_missing = node.state == NodeState::Reserved
            && is_held_by_net_simplegrid(node)
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
                "this slave is reserved by «{holder:.100}», a master of Net::SimpleGrid, but does not take lines: \
                 start it with --line-protocol; {release}"
            );
        }
    }

    /// The row was removed, or the whole registry file.
    async fn announce_again(&mut self) {
        tracing::warn!("the row of this slave is gone from the registry; it is entered again");
        let announced = self.registry.announce(&self.announcement).await;
        if self.note(announced).is_some() {
            self.enable_when_free = true;
            self.enable_if_due().await;
        }
    }

    /// The row of a slave that has ended stays, and is shown as disabled.
    async fn retire(mut self) {
        let is_held = self.beat().await.is_some_and(|node| is_held_by_net_simplegrid(&node));
        let retired = self.registry.retire(&self.announcement.key).await;
        if self.note(retired).is_some() && is_held {
            self.retire_again_if_enabled().await;
        }
    }

    /// A master of Net::SimpleGrid that tells a slave to end enables its row right afterwards, without
    /// looking at it (`Manager.pm`, `releaseNodes`). Masters would then connect to a slave that has
    /// ended.
    async fn retire_again_if_enabled(&mut self) {
        let deadline = tokio::time::Instant::now() + OVERWRITE_MAX;
        while tokio::time::Instant::now() < deadline {
            match self.registry.find(self.key()).await {
                Ok(Some(node)) if node.state == NodeState::Enabled && node.pid.is_none() => {
                    let retired = self.registry.retire(self.key()).await;
                    self.note(retired);
                    return;
                }
                // Another slave has the row now, or there is no row.
                Ok(Some(Node { pid: Some(_), .. }) | None) | Err(_) => return,
                Ok(Some(_)) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// The slave goes on when the registry fails; the log says so once.
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
                    tracing::warn!("the registry fails; this slave keeps trying: {error}");
                }
                None
            }
        }
    }
}

/// Whether a master of Net::SimpleGrid has the row: its reservations have a name and no lease.
fn is_held_by_net_simplegrid(node: &Node) -> bool {
    let is_held = matches!(node.state, NodeState::Reserved | NodeState::Cleanup);
    is_held
        && node.lease_until.is_none()
        && node.reserved_by.as_deref().is_some_and(|holder| !holder.is_empty())
}

/// Whether the row belongs to a process of this machine that has ended.
fn is_dead_here(announcement: &Announcement, pid: u32) -> bool {
    let host = announcement.key.hostname.as_str();
    let ours = nix::unistd::gethostname().unwrap_or_default();
    let here = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || ours.to_str().is_some_and(|ours| ours == host);
    let process = nix::unistd::Pid::from_raw(pid as i32);
    here && (nix::sys::signal::kill(process, None) == Err(nix::errno::Errno::ESRCH) || is_unreaped(pid))
}

/// Whether the process has ended but was not reaped by its parent yet: its number lives on until then
/// (proc(5)).
fn is_unreaped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets can contain anything, even a bracket; what follows it cannot.
    stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Digest;
    use crate::registry::RegistryUrl;

    #[tokio::test]
    async fn a_slave_whose_row_is_gone_before_it_is_ready_is_entered_again() {
        let directory = tempfile::tempdir().unwrap();
        let url: RegistryUrl = format!("sqlite:{}/grid.db", directory.path().display()).parse().unwrap();
        let registry = Registry::open(&url).await.unwrap();
        let key = NodeKey::new("here", 1);
        let announcement = Announcement {
            key: key.clone(),
            children: 1,
            task: "echo".to_owned(),
            task_version: None,
            advertise: None,
            pid: std::process::id(),
            version: String::new(),
            dead_pid: None,
            columns: Digest::of(b"columns"),
            build: Build { manifest: Digest::of(b"manifest"), file: Digest::of(b"file") },
        };
        let registration = Registration::announce(registry.clone(), announcement).await.unwrap();
        std::fs::remove_file(directory.path().join("grid.db")).unwrap();
        registration.enable().await.unwrap();
        assert_eq!(registry.find(&key).await.unwrap().map(|node| node.state), Some(NodeState::Enabled));
    }
}
