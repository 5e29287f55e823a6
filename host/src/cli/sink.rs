//! The flags that say where rows go, for everything that runs tasks.

use std::path::PathBuf;

use clap::Args;

/// Where rows go.
#[derive(Debug, Args)]
pub(crate) struct SinkFlags {
    /// Writes the rows here instead of to the run's output: csv:DIRECTORY, sqlite:FILE?table=T,
    /// postgres://HOST/DATABASE?table=T or mysql://HOST/DATABASE?table=T.
    #[arg(long, value_name = "URL")]
    pub sink: Option<String>,

    /// Reads the password for the sink from the first line of this file.
    #[arg(long, value_name = "FILE")]
    pub sink_password_file: Option<PathBuf>,
}
