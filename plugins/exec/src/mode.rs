//! How many processes a command is.

use serde::Deserialize;

/// Which records share a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Each record has one of its own.
    #[default]
    PerRecord,
    /// Records that came together have one: they are its standard input.
    PerBatch,
    /// All records of a worker have one, which answers each line with one line.
    Stream,
}
