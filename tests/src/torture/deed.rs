//! What can be broken, and when.

use std::fmt;

/// The kinds of strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// A worker is killed.
    WorkerKill,
    /// All workers of a slave are killed.
    WorkersKill,
    /// A worker is stopped for a while.
    WorkerStop,
    /// A slave is killed, and started again on the same port.
    SlaveKill,
    /// A slave is stopped for a while.
    SlaveStop,
    /// A slave is told to end, and another one starts.
    SlaveDrain,
    /// One more slave starts.
    SlaveJoin,
    /// The master is stopped for a while.
    MasterStop,
    /// The master is killed; with a journal, the same command goes on. It is not in [`Deed::ALL`]: without a
    /// journal there is nothing to go on from.
    MasterKill,
    /// A slave's connections are closed.
    LinkCut,
    /// They are closed after some more bytes.
    LinkTruncate,
    /// Everything between a slave and the master is delayed for a while.
    LinkDelay,
    /// Nothing passes for a while, and nothing is closed.
    LinkStall,
    /// The same, in one direction.
    LinkStallOneWay,
    /// Another program locks the registry for a while.
    RegistryLock,
    /// Someone deletes the registry.
    RegistryDelete,
    /// A new build of the plugin replaces the old one, and a worker starts with it.
    PluginReplace,
    /// Another master asks for nodes, too.
    Rival,
}

impl Deed {
    /// Everything that each run must survive.
    pub const ALL: [Self; 17] = [
        Self::WorkerKill,
        Self::WorkersKill,
        Self::WorkerStop,
        Self::SlaveKill,
        Self::SlaveStop,
        Self::SlaveDrain,
        Self::SlaveJoin,
        Self::MasterStop,
        Self::LinkCut,
        Self::LinkTruncate,
        Self::LinkDelay,
        Self::LinkStall,
        Self::LinkStallOneWay,
        Self::RegistryLock,
        Self::RegistryDelete,
        Self::PluginReplace,
        Self::Rival,
    ];

    /// Whether it costs no node.
    pub fn spares_nodes(self) -> bool {
        self.spares_processes() || matches!(self, Self::WorkerKill | Self::WorkersKill | Self::PluginReplace)
    }

    /// Whether it costs nothing at all.
    pub fn spares_processes(self) -> bool {
        matches!(self, Self::SlaveDrain | Self::SlaveJoin | Self::RegistryLock | Self::Rival)
    }
}

/// A deed at its time.
#[derive(Debug, Clone, Copy)]
pub struct Strike {
    /// When: in thousandths of the work.
    pub at: usize,
    /// What.
    pub deed: Deed,
    /// Its victim: the n-th of those that exist then, modulo their number.
    pub victim: usize,
    /// How long it lasts, if it is undone.
    pub ms: usize,
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({}ms)@{}", self.deed, self.ms, self.at)
    }
}
