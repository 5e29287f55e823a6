//! The flags and verbs of `simplegrid node-manager`. `-h` is the host name, as it was in Net::SimpleGrid, so
//! help is `--help` only.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::value::{self, Pair};

const EXAMPLES: &str = "\
EXAMPLES:
  simplegrid node-manager list
      Shows every node with its state.
  simplegrid node-manager -h node7 -p 1337 disable
      Keeps new masters away from one slave.
  simplegrid node-manager -h node7 shutdown
      Ends a slave once its records in flight are finished.
  simplegrid node-manager prune
      Removes the rows of slaves that have not been seen for a day.";

/// What may follow `simplegrid node-manager`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, disable_help_flag = true, disable_help_subcommand = true)]
pub(crate) struct NodeManagerArgs {
    /// The slave's host name as the list shows it.
    #[arg(short = 'h', long, value_name = "HOST", global = true)]
    pub hostname: Option<String>,

    /// The slave's port.
    // Not required, though there always is one, from the defaults: clap wants no global flag required.
    #[arg(short, long, value_name = "PORT", global = true, required = false, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// The registry to look in, a SQLite file or postgres://HOST/DATABASE or mysql://HOST/DATABASE; without
    /// it, a file of this user on this machine.
    #[arg(long, value_name = "URL", global = true)]
    pub registry: Option<String>,

    /// Sets dsn, username, password or domain as Net::SimpleGrid did; may be repeated.
    #[arg(long, alias = "manager-args", value_name = "NAME=VALUE", value_parser = value::pair, global = true)]
    pub manager_arg: Vec<Pair>,

    /// Takes the host (and port) of the registry's server from here, whatever its address says; `@FILE`
    /// reads it from the first line of a file.
    #[arg(long, value_name = "HOST[:PORT]|@FILE", global = true)]
    pub registry_server: Option<String>,

    /// Reads the password for the registry's server from the first line of this file.
    #[arg(long, value_name = "FILE", global = true)]
    pub password_file: Option<PathBuf>,

    /// Prints this help.
    #[arg(long, display_order = 999, action = clap::ArgAction::Help, global = true)]
    pub help: Option<bool>,

    /// What to do with the node.
    #[command(subcommand)]
    pub verb: NodeVerb,
}

/// The last word after `simplegrid node-manager`.
#[derive(Debug, Clone, Subcommand)]
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
    /// Removes the rows of slaves that have not been seen for long
    #[command(disable_help_flag = true)]
    Prune {
        /// Removes what was not seen for this long.
        #[arg(long, value_name = "DURATION", value_parser = value::duration, default_value = "1d")]
        silent_for: Duration,
    },
    /// Shows every node
    #[command(disable_help_flag = true)]
    List {
        /// Prints JSON, one object a node.
        #[arg(long)]
        json: bool,
    },
}
