//! The flags of `simplegrid master`.

use std::time::Duration;

use clap::Args;

use super::registry::RegistryFlags;
use super::run::RunFlags;
use super::value::{self, Pair};

const EXAMPLES: &str = "\
EXAMPLES:
  simplegrid master < records.txt > rows.txt
      Runs the slaves' task over every line, on up to twenty free slaves.
  simplegrid master -m -1 -k -o rows.txt --failed failed.txt records.txt
      Takes every free slave, keeps the order, and writes the failed records to a file.
  simplegrid master --registry sqlite:/srv/grid.db -s < records.txt
      Uses another registry, and shuts the slaves down at the end.

The first INT, HUP or TERM lets the records in flight finish; the second stops at once.";

/// What may follow `simplegrid master`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MasterArgs {
    /// Reserves at most this many slaves; a negative number takes all.
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    pub max_reserve: i64,

    /// Shuts the slaves down when the run is over.
    #[arg(short, long)]
    pub shutdown_slaves: bool,

    /// Sends each slave a command before its first record; may be repeated. harvest=DEST (or scpto=DEST)
    /// delivers the files of slaves with a CSV sink after the last record: to a directory, or to
    /// USER@HOST:DIRECTORY.
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = value::pair)]
    pub init_slave_cmd: Vec<Pair>,

    /// Where the registry is.
    #[command(flatten)]
    pub registry: RegistryFlags,

    /// Waits this long for a free slave before it gives up.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub wait_nodes: Duration,

    /// Looks for more slaves this often, while it has fewer than it may reserve.
    #[arg(long, value_name = "DURATION", value_parser = value::interval)]
    pub reallocate_every: Duration,

    /// What every run needs.
    #[command(flatten)]
    pub run: RunFlags,
}
