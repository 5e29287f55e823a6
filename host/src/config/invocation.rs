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
    /// What to show on stderr meanwhile.
    pub log: LogSettings,
}

/// What to do, and with what.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run as a slave.
    Slave(SlaveConfig),
    /// Run as a master, over the grid.
    Master(MasterConfig),
    /// Run on this machine alone.
    Run(LocalRunConfig),
    /// Look at the registry, or change it.
    NodeManager(NodeManagerConfig),
    /// Look into libraries.
    Task(TaskCommand),
    /// Print this report of all settings.
    Config {
        /// The whole text, ready to print.
        report: String,
    },
    /// Run as a worker. The slot and the task on its command line are for `ps` only.
    Worker,
}

/// How much is logged, and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// The word after `simplegrid` at the beginning of each line, such as `slave`.
    pub role: &'static str,
    /// Whether only warnings and errors are shown.
    pub quiet: bool,
    /// How many times the user asked for more.
    pub verbose: u8,
    /// `SIMPLEGRID_LOG`: directives of tracing's `EnvFilter`, which replace the two fields above.
    pub filter: Option<String>,
    /// Whether stderr takes colours: it is a terminal, and `NO_COLOR` is not set.
    pub colour: bool,
    /// Whether lines begin with the time: those of a slave do, unless its stderr is a terminal.
    pub time: bool,
}
