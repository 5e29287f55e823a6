//! What can be broken, and when.

use std::fmt;

/// The kinds of strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
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
    /// The master is killed; with a journal, the same command goes on. It is not in [`Deed::HEALED`]: without
    /// a journal there is nothing to go on from.
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
    /// A worker is stopped for ever, whether it is busy or idle.
    WorkerFreeze,
    /// A slave is stopped for ever.
    SlaveFreeze,
    /// The master is stopped for ever, and another one does its work, with its nodes.
    MasterFreeze,
    /// The cable of a slave is pulled for ever, in one direction or in both.
    LinkPull,
    /// Someone renames a new registry over the old one.
    RegistryReplace,
    /// A slave with another task enters the registry.
    OtherTask,
    /// A slave whose task has the right name and other columns enters the registry.
    OtherColumns,
    /// A new build of the plugin replaces the old one, and one more slave starts with it.
    OtherBuild,
    /// A program that is no slave, or another version of one, is behind a row of the registry.
    Stranger,
    /// The reader of the output stops reading.
    ReaderStop,
    /// The reader of the master's log stops reading.
    MasterLogStop,
    /// The reader of a slave's log stops reading.
    SlaveLogStop,
    /// The next worker that starts never gets its task.
    NewHang,
    /// One more slave starts, whose tasks never end.
    DropHang,
}

/// What a deed can cost, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cost {
    /// Nothing: no worker, no node.
    Nothing,
    /// Workers, with what they had in hand.
    Workers,
    /// Nodes, with everything that they had.
    Nodes,
}

impl Deed {
    /// Everything that is healed after a while, and that each run on a grid must survive.
    pub(super) const HEALED: [Self; 17] = [
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

    /// Everything that stays as it is until the run has ended, or has said why it cannot.
    pub(super) const LASTING: [Self; 14] = [
        Self::WorkerFreeze,
        Self::SlaveFreeze,
        Self::MasterFreeze,
        Self::LinkPull,
        Self::RegistryReplace,
        Self::OtherTask,
        Self::OtherColumns,
        Self::OtherBuild,
        Self::Stranger,
        Self::ReaderStop,
        Self::MasterLogStop,
        Self::SlaveLogStop,
        Self::NewHang,
        Self::DropHang,
    ];

    /// What it can cost, at most.
    pub(super) fn cost(self) -> Cost {
        match self {
            Self::SlaveDrain | Self::SlaveJoin | Self::RegistryLock | Self::Rival => Cost::Nothing,
            Self::OtherTask | Self::OtherColumns | Self::Stranger | Self::DropHang => Cost::Nothing,
            Self::ReaderStop | Self::MasterLogStop | Self::SlaveLogStop => Cost::Nothing,
            Self::WorkerKill | Self::WorkersKill | Self::WorkerStop | Self::PluginReplace => Cost::Workers,
            Self::WorkerFreeze | Self::NewHang => Cost::Workers,
            Self::OtherBuild => Cost::Nothing,
            Self::SlaveKill | Self::SlaveStop | Self::SlaveFreeze | Self::MasterStop => Cost::Nodes,
            Self::MasterKill | Self::MasterFreeze => Cost::Nodes,
            Self::LinkCut | Self::LinkTruncate | Self::LinkDelay | Self::LinkStall => Cost::Nodes,
            Self::LinkStallOneWay | Self::LinkPull => Cost::Nodes,
            Self::RegistryDelete | Self::RegistryReplace => Cost::Nodes,
        }
    }

    /// Whether it can be done to a run without slaves and registry, too.
    pub(super) fn concerns_local_runs(self) -> bool {
        matches!(
            self,
            Self::WorkerKill
                | Self::WorkersKill
                | Self::WorkerStop
                | Self::MasterStop
                | Self::MasterKill
                | Self::PluginReplace
                | Self::WorkerFreeze
                | Self::ReaderStop
                | Self::MasterLogStop
                | Self::NewHang
        )
    }
}

/// A deed at its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strike {
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
