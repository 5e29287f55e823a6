//! The hidden command line of a worker process. It is only there to be read in the output of `ps`: what a
//! worker needs to know comes over its socket.

use clap::Args;

/// What follows `simplegrid worker`.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// The worker's place in its slave.
    #[arg(long, value_name = "N")]
    pub slot: Option<u16>,

    /// The task it runs.
    #[arg(long, value_name = "NAME")]
    pub task: String,
}
