//! What is broken in a simulation, from outside.

use std::time::Duration;

/// One thing that is broken, at its time. What has a length ends after it; without one it lasts for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A worker is killed.
    KillWorker {
        /// Of which node.
        node: usize,
        /// In which slot.
        slot: u16,
    },
    /// A worker stops.
    StopWorker {
        /// Of which node.
        node: usize,
        /// In which slot.
        slot: u16,
        /// For how long.
        length: Option<Duration>,
    },
    /// A slave is killed, and started again later.
    KillSlave {
        /// Which.
        node: usize,
        /// When it is started again.
        length: Option<Duration>,
    },
    /// A slave stops.
    StopSlave {
        /// Which.
        node: usize,
        /// For how long.
        length: Option<Duration>,
    },
    /// A slave is asked to end.
    DrainSlave {
        /// Which.
        node: usize,
    },
    /// The master stops.
    StopMaster {
        /// For how long.
        length: Option<Duration>,
    },
    /// The master is asked to end.
    DrainMaster,
    /// The master is killed.
    KillMaster,
    /// A link breaks, and both sides learn it.
    CutLink {
        /// To which node.
        node: usize,
    },
    /// A link carries nothing.
    StallLink {
        /// To which node.
        node: usize,
        /// What the slave should hear,
        to_slave: bool,
        /// and what the master should.
        to_master: bool,
        /// For how long.
        length: Option<Duration>,
    },
    /// One side of a link finds it closed.
    HalfCloseLink {
        /// To which node.
        node: usize,
        /// Which side.
        to_slave: bool,
    },
    /// A link takes as long as this for everything.
    SlowLink {
        /// To which node.
        node: usize,
        /// How long at most.
        delay: Duration,
        /// For how long.
        length: Option<Duration>,
    },
    /// The registry cannot be reached.
    RegistryDown {
        /// For how long.
        length: Option<Duration>,
    },
    /// The registry takes as long as this for each answer.
    RegistrySlow {
        /// How long at most.
        delay: Duration,
        /// For how long.
        length: Option<Duration>,
    },
    /// An empty registry is put in its place.
    RegistryReplaced,
    /// The registry's clock jumps.
    RegistryJump {
        /// By how many seconds.
        seconds: i64,
    },
    /// No one reads the output.
    StallOutput {
        /// For how long.
        length: Option<Duration>,
    },
}

impl Fault {
    /// How long it lasts. What has happened in a moment lasts no time.
    pub(super) fn length(self) -> Option<Duration> {
        match self {
            Self::StopWorker { length, .. }
            | Self::KillSlave { length, .. }
            | Self::StopSlave { length, .. }
            | Self::StopMaster { length }
            | Self::StallLink { length, .. }
            | Self::SlowLink { length, .. }
            | Self::RegistryDown { length }
            | Self::RegistrySlow { length, .. }
            | Self::StallOutput { length } => length,
            _ => Some(Duration::ZERO),
        }
    }

    /// Whether it can cost a slave a worker.
    pub(super) fn can_cost_worker(self) -> bool {
        !matches!(self, Self::RegistryDown { .. } | Self::RegistrySlow { .. } | Self::StallOutput { .. })
    }
}
