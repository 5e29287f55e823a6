//! The whole command line: the commands, and what concerns all of them.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use super::master::MasterArgs;
use super::node_manager::NodeManagerArgs;
use super::run::RunArgs;
use super::slave::SlaveArgs;
use super::spelling;
use super::task::TaskArgs;
use super::worker::WorkerArgs;

/// The last part of the main help.
const AFTER_HELP: &str = "\
EXAMPLES:
  simplegrid run -t ./libecho.so < records.txt        on this machine, on every core
  simplegrid slave -t echo -m 8                       offer eight workers to the grid
  simplegrid master -o rows.txt < records.txt         use every slave that is free
  simplegrid node-manager list                        list the slaves

SETTINGS:
  Every flag of slave, master, run and node-manager can also be set by an environment variable
  (--max-workers: SIMPLEGRID_MAX_WORKERS) or by a key in a file (max-workers = 8, see --config).
  The command line wins over the environment, and the environment over the file.
  `simplegrid config` shows what is in force and where it comes from.

EXIT STATUS:
  0  every record was done
  1  some records failed
  2  the command line, the environment or the configuration file is wrong
  3  no node could be reserved
  4  the run could not go on
  129, 130, 143  stopped by the signal HUP, INT or TERM
  141  the reader of the results has closed them, as `| head` does";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "simplegrid",
    version,
    about = "Runs a function over a stream of records on many cores and machines, with nothing lost",
    after_help = AFTER_HELP,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// Reads settings from this file instead of ~/.config/simplegrid/simplegrid.toml.
    #[arg(long = "config", value_name = "FILE", global = true, display_order = 900)]
    pub config_file: Option<PathBuf>,

    /// Logs more; given twice, everything.
    #[arg(short, long, action = clap::ArgAction::Count, global = true, display_order = 901)]
    pub verbose: u8,

    /// What to do.
    #[command(subcommand)]
    pub command: CliCommand,
}

/// The first word after the program's name.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Offers this machine's workers to the grid
    Slave(SlaveArgs),
    /// Sends records from the input to the grid's slaves, and writes what comes back
    Master(MasterArgs),
    /// Runs a task over records on this machine alone: no registry, no ports
    Run(RunArgs),
    /// Lists the grid's nodes, and changes their states
    NodeManager(NodeManagerArgs),
    /// Shows what a task's library contains, and which libraries there are
    Task(TaskArgs),
    /// Shows every setting in force, and where it comes from
    #[command(after_help = "Passwords are never shown.")]
    Config,
    /// A worker process, started by its slave only
    #[command(hide = true)]
    Worker(WorkerArgs),
}

/// The command line as clap knows it, with the spellings that Net::SimpleGrid's programs had.
pub(crate) fn command() -> clap::Command {
    spelling::accept_underscores(Cli::command())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn clap_finds_no_contradiction() {
        command().debug_assert();
    }

    #[test]
    fn the_worker_is_hidden_but_there() {
        let words = ["simplegrid", "worker", "--slot", "3", "--task", "echo"];
        let cli = Cli::try_parse_from(words).unwrap();
        let CliCommand::Worker(worker) = cli.command else { panic!("a worker was asked for") };
        assert_eq!((worker.slot, worker.task.as_str()), (Some(3), "echo"));
        assert!(!command().render_help().to_string().contains("worker process"));
    }
}
