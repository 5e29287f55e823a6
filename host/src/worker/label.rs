//! The names of workers, for people.

/// What a worker is called in `ps` and in the log.
#[derive(Debug, Clone)]
pub(crate) struct WorkerLabel {
    /// Its slave.
    pub node: String,
    /// Its place there; `None` for a process that only prepares or looks.
    pub slot: Option<u16>,
    /// The task that it runs.
    pub task: String,
}
