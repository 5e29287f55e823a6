//! The flags and verbs of `simplegrid node-manager`. `-h` is the host name, as it was in Net::SimpleGrid, so
//! help is `--help` only.

use std::time::Duration;

use clap::{Arg, Args, Subcommand};

use super::registry::RegistryFlags;
use super::value;

const EXAMPLES: &str = "\
EXAMPLES:
  simplegrid node-manager list
      Shows every node with its state.
  simplegrid node-manager -h node7 -p 1337 disable
      Keeps new masters away from one slave.
  simplegrid node-manager -h node7 shutdown
      Ends a slave once its records in flight are finished.
  simplegrid node-manager reload --all
      Has each slave load its library anew, one slave after the other.
  simplegrid node-manager prune
      Removes the rows of slaves that have not been seen for a day.";

/// How long a slave must have been silent before `prune` removes its row, unless `--silent-for` says
/// otherwise. A slave that runs is seen every few seconds, and one that is off for a night keeps its row.
const SILENT_FOR: &str = "1d";

/// What may follow `simplegrid node-manager`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, disable_help_flag = true, disable_help_subcommand = true)]
#[command(mut_args(with_old_name))]
pub(crate) struct NodeManagerArgs {
    /// The slave's host name as the list shows it.
    #[arg(short = 'h', long, value_name = "HOST", global = true)]
    pub hostname: Option<String>,

    /// The slave's port.
    // Not required, though there always is one, from the defaults: clap wants no global flag required.
    #[arg(short, long, value_name = "PORT", global = true, required = false, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// Where the registry is.
    #[command(flatten)]
    pub registry: RegistryFlags,

    /// Prints this help.
    #[arg(long, display_order = 999, action = clap::ArgAction::Help, global = true)]
    pub help: Option<bool>,

    /// What to do with the node.
    #[command(subcommand)]
    pub verb: NodeVerb,
}

/// Net::SimpleGrid's node manager, and no other program of it, spelled the flag `--manager_args`.
fn with_old_name(arg: Arg) -> Arg {
    if arg.get_long() == Some("manager-arg") { arg.alias("manager-args") } else { arg }
}

/// The last word after `simplegrid node-manager`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum NodeVerb {
    /// Lets masters reserve the slave
    #[command(disable_help_flag = true, alias = "ENABLE")]
    Enable,
    /// Keeps masters from reserving the slave
    #[command(disable_help_flag = true, alias = "DISABLE")]
    Disable,
    /// Takes the slave from a master that is gone, and enables it
    #[command(disable_help_flag = true, alias = "RELEASE")]
    Release,
    /// Ends the slave once its records in flight are finished
    #[command(disable_help_flag = true, alias = "SHUTDOWN")]
    Shutdown,
    /// Has the slave load its library anew, without losing a record
    #[command(disable_help_flag = true)]
    Reload {
        /// Reloads every slave, one after the other, until one refuses.
        #[arg(long)]
        all: bool,
    },
    /// Removes the rows of slaves that have not been seen for a long time
    #[command(disable_help_flag = true)]
    Prune {
        /// Removes slaves that have not been seen for this long.
        #[arg(long, value_name = "DURATION", value_parser = value::duration, default_value = SILENT_FOR)]
        silent_for: Duration,
    },
    /// Shows every node
    #[command(disable_help_flag = true)]
    List {
        /// Prints JSON, one object per node.
        #[arg(long)]
        json: bool,
    },
}
