//! What one call of the program asks for: a command, and how much is logged meanwhile.

use super::master::MasterConfig;
use super::node_manager::NodeManagerConfig;
use super::run::LocalRunConfig;
use super::slave::SlaveConfig;
use super::task::TaskCommand;

/// All that the user asked for in one call of the program.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// What to do.
    pub command: Command,
    /// What to say on stderr meanwhile.
    pub log: LogSettings,
}

/// What to do, and with what.
#[derive(Debug)]
pub(crate) enum Command {
    /// Be a slave.
    Slave(SlaveConfig),
    /// Run over the grid.
    Master(MasterConfig),
    /// Run on this machine alone.
    Run(LocalRunConfig),
    /// Look at the registry, or change it.
    NodeManager(NodeManagerConfig),
    /// Look at libraries.
    Task(TaskCommand),
    /// Print this report of all settings.
    Config {
        /// The whole text, ready to print.
        report: String,
    },
    /// Be a worker. Its slot and task are on the command line for `ps` only.
    Worker,
}

/// How much is logged, and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// The word after `simplegrid` that each line names, such as `slave`.
    pub role: &'static str,
    /// Warnings and errors only.
    pub quiet: bool,
    /// How many times the user asked for more.
    pub verbose: u8,
    /// `SIMPLEGRID_LOG`: directives of tracing's `EnvFilter`, in place of the two above.
    pub filter: Option<String>,
    /// Whether stderr takes colours: it is a terminal, and `NO_COLOR` is not set.
    pub colour: bool,
    /// Whether lines carry the time: a slave's do, unless someone watches it at a terminal.
    pub time: bool,
}
