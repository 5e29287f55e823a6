//! A node: a slave's row in the registry, its states, and which state can follow which. It owns these rules,
//! and knows no database.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::clock::seconds_before;

/// How long a slave can be silent before its row counts as abandoned. Slaves beat about every second. This is
/// three times the silence that ends a connection, so a slow disk, or clocks that differ by seconds, do not
/// matter.
pub const SILENCE: Duration = Duration::from_secs(15);

/// The state of a node, as the `state` column has it. The spellings are those of Net::SimpleGrid
/// (`States.pm`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Known, but not in use: not ready yet, shut down, or taken out by its administrator.
    Disabled,
    /// Ready for a master.
    Enabled,
    /// Held by a master.
    Reserved,
    /// Given up by a master.
    Invalid,
    /// Draining: it finishes what it has and takes nothing new.
    Cleanup,
}

impl NodeState {
    /// Every state, in the order of a node's life.
    pub const ALL: [Self; 5] = [Self::Disabled, Self::Enabled, Self::Reserved, Self::Invalid, Self::Cleanup];

    /// Whether a node in this state can go over to `next`. This is the one table of legal moves; the methods
    /// of `Registry` say who can make which move, and when.
    ///
    /// Staying is not a move, with one exception: a reserved node goes from one master to the next when the
    /// first one's lease has run out.
    pub fn may_become(self, next: Self) -> bool {
        use NodeState::{Cleanup, Disabled, Enabled, Invalid, Reserved};
        match self {
            Disabled => matches!(next, Enabled),
            Enabled => matches!(next, Disabled | Reserved | Invalid | Cleanup),
            Reserved => matches!(next, Disabled | Enabled | Reserved | Invalid | Cleanup),
            Invalid => matches!(next, Disabled | Enabled),
            Cleanup => matches!(next, Disabled),
        }
    }

    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::Reserved => "reserved",
            Self::Invalid => "invalid",
            Self::Cleanup => "cleanup",
        }
    }

    /// The state that a word in the table means. A missing word, or one that no program writes, means
    /// invalid: no master should rely on such a row, and an administrator can release or disable it.
    pub(super) fn from_column(word: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|state| Some(state.as_str()) == word).unwrap_or(Self::Invalid)
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a node says it is, which tells it apart from all others. The table's primary key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct NodeKey {
    /// The slave's name for its machine.
    pub hostname: String,
    /// The port it listens on.
    pub port: u16,
}

impl NodeKey {
    /// The key of the slave on `hostname` that listens on `port`.
    pub fn new(hostname: impl Into<String>, port: u16) -> Self {
        Self { hostname: hostname.into(), port }
    }
}

/// `hostname:port`, with brackets around an IPv6 address.
impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&host_and_port(&self.hostname, self.port))
    }
}

/// A row of the registry. What Net::SimpleGrid does not write is `None` in its rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// Where it is.
    #[serde(flatten)]
    pub key: NodeKey,
    /// When it was last made available, in unix seconds.
    pub start_time: Option<i64>,
    /// Whether it can be used.
    pub state: NodeState,
    /// The reservation that holds it, or that it is still working for while it drains.
    pub reserved_by: Option<String>,
    /// How many workers it has.
    pub children: Option<u32>,
    /// The task its workers run.
    pub task: Option<String>,
    /// The version of the plugin that holds the task.
    pub task_version: Option<String>,
    /// The name or address to connect to, where it is not `hostname`.
    pub advertise: Option<String>,
    /// When the reservation ends, in unix seconds. For a node that was given up: when its rest ends.
    pub lease_until: Option<i64>,
    /// When it last said that it is alive, in unix seconds.
    pub last_seen: Option<i64>,
    /// Records done since the slave started.
    pub done: Option<u64>,
    /// Records failed since the slave started.
    pub failed: Option<u64>,
    /// Records per second over the last sample.
    pub rate: Option<f64>,
    /// The slave's process; `None` after a clean shutdown.
    pub pid: Option<u32>,
    /// The version of SimpleGrid that the slave runs.
    pub version: Option<String>,
    /// The digest of what its task writes: the task's name, and its columns. As hexadecimal digits, like the
    /// next two.
    pub columns_sha256: Option<String>,
    /// The digest of the contents of its library: what `simplegrid task inspect` shows.
    pub manifest_sha256: Option<String>,
    /// The digest of its library's file.
    pub file_sha256: Option<String>,
}

impl Node {
    /// Whether its slave has reported that it ended. Rows of Net::SimpleGrid never tell.
    pub fn has_ended(&self) -> bool {
        self.pid.is_none() && self.last_seen.is_some()
    }

    /// Whether a slave of Net::SimpleGrid has this row, as far as it shows: no slave of ours has ever been in
    /// it, or ours has ended and another program has enabled the row since, which ours do not do.
    pub fn is_of_net_simplegrid(&self) -> bool {
        self.pid.is_none() && (self.last_seen.is_none() || self.state != NodeState::Disabled)
    }

    /// Where to connect: the advertised name, or else the host name, and the port.
    pub fn address(&self) -> String {
        host_and_port(self.advertise.as_deref().unwrap_or(&self.key.hostname), self.key.port)
    }

    /// Whether it has been silent for longer than [`SILENCE`] at `now` (unix seconds). A row of
    /// Net::SimpleGrid has no sign of life at all, and does not count as silent.
    pub fn is_silent(&self, now: i64) -> bool {
        self.last_seen.is_some_and(|seen| seen < oldest_sign_of_life(now))
    }
}

/// The last sign of life that still counts, in unix seconds.
pub(super) fn oldest_sign_of_life(now: i64) -> i64 {
    seconds_before(now, SILENCE)
}

fn host_and_port(host: &str, port: u16) -> String {
    let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
    if is_bare_ipv6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legal_moves_are_these_and_no_others() {
        use NodeState::{Cleanup, Disabled, Enabled, Invalid, Reserved};
        let legal = [
            (Disabled, Enabled),
            (Enabled, Disabled),
            (Enabled, Reserved),
            (Enabled, Invalid),
            (Enabled, Cleanup),
            (Reserved, Disabled),
            (Reserved, Enabled),
            (Reserved, Reserved),
            (Reserved, Invalid),
            (Reserved, Cleanup),
            (Invalid, Disabled),
            (Invalid, Enabled),
            (Cleanup, Disabled),
        ];
        for from in NodeState::ALL {
            for to in NodeState::ALL {
                assert_eq!(from.may_become(to), legal.contains(&(from, to)), "{from} → {to}");
            }
        }
    }

    #[test]
    fn states_are_spelt_as_in_net_simplegrid() {
        let words = NodeState::ALL.map(NodeState::as_str);
        assert_eq!(words, ["disabled", "enabled", "reserved", "invalid", "cleanup"]);
        for state in NodeState::ALL {
            assert_eq!(NodeState::from_column(Some(state.as_str())), state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }

    #[test]
    fn a_state_that_no_program_writes_is_invalid() {
        assert_eq!(NodeState::from_column(None), NodeState::Invalid);
        assert_eq!(NodeState::from_column(Some("ENABLED")), NodeState::Invalid);
        assert_eq!(NodeState::from_column(Some("")), NodeState::Invalid);
    }

    #[test]
    fn keys_are_written_so_that_they_can_be_connected_to() {
        assert_eq!(NodeKey::new("a.example", 1337).to_string(), "a.example:1337");
        assert_eq!(NodeKey::new("::1", 1337).to_string(), "[::1]:1337");
        assert_eq!(NodeKey::new("[::1]", 1337).to_string(), "[::1]:1337");
    }

    #[test]
    fn a_row_is_net_simplegrids_if_no_slave_of_ours_is_in_it_and_it_is_not_just_ended() {
        let node = |state, pid, last_seen| Node {
            key: NodeKey::new("a", 1),
            start_time: None,
            state,
            reserved_by: None,
            children: None,
            task: None,
            task_version: None,
            advertise: None,
            lease_until: None,
            last_seen,
            done: None,
            failed: None,
            rate: None,
            pid,
            version: None,
            columns_sha256: None,
            manifest_sha256: None,
            file_sha256: None,
        };
        for state in NodeState::ALL {
            assert!(node(state, None, None).is_of_net_simplegrid(), "{state}");
            assert!(!node(state, Some(7), Some(100)).is_of_net_simplegrid(), "{state}");
            let is_in_use = state != NodeState::Disabled;
            assert_eq!(node(state, None, Some(100)).is_of_net_simplegrid(), is_in_use, "{state}");
        }
    }

    #[test]
    fn a_sign_of_life_counts_for_the_length_of_the_silence() {
        assert_eq!(oldest_sign_of_life(100), 85);
    }
}
