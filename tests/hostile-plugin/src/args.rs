//! What spoils a task as a whole: the values of `--task-arg`.

use std::path::PathBuf;

use serde::Deserialize;

/// The values of `--task-arg`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Args {
    /// `side-log=FILE`: where executions are noted.
    pub side_log: Option<PathBuf>,
    /// `flush=finish|keep|reject|panic|abort|hang`: what becomes of held records.
    #[serde(default)]
    pub flush: Flush,
    /// `new=fail|panic|hang`.
    pub new: Option<Spoiled>,
    /// `new-waits-for=FILE`: `new` does not return before that file is there.
    pub new_waits_for: Option<PathBuf>,
    /// `new-hangs-once=FILE`: whenever the file exists, one `new` removes it and never returns.
    pub new_hangs_once: Option<PathBuf>,
    /// `prepare=fail|panic|hang`.
    pub prepare: Option<Spoiled>,
    /// `batch=N`: takes so many records in one call.
    #[serde(default = "one")]
    pub batch: usize,
    /// `drop=panic|hang`.
    pub drop: Option<Spoiled>,
}

fn one() -> usize {
    1
}

/// What `flush` does if records are held.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flush {
    /// Finishes them, as it should.
    #[default]
    Finish,
    /// Finishes none.
    Keep,
    /// Says that something is bad.
    Reject,
    /// Panics.
    Panic,
    /// Aborts the process.
    Abort,
    /// Never returns.
    Hang,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spoiled {
    /// It returns an error.
    Fail,
    /// It panics.
    Panic,
    /// It never returns.
    Hang,
}
