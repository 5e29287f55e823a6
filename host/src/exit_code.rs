//! What the program's exit status means. Scripts rely on these numbers, so they do not change.

use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// 0: every record was done, or the command did what it was asked to do.
    Done,
    /// 1: some records failed; all others were done. Or a check of a task has found a fault.
    SomeFailed,
    /// 2: the command line, the environment or the configuration file is wrong.
    Usage,
    /// 3: no node could be reserved.
    NoNode,
    /// 4: the run, or the command, could not go on.
    CannotGoOn,
    /// 128 plus the number of the signal (129 for HUP, 130 for INT, 143 for TERM), as shells report it.
    BySignal(u8),
}

/// An error caused by what the user typed or configured: the program ends with [`ExitStatus::Usage`].
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub(crate) struct UsageError(anyhow::Error);

impl UsageError {
    /// Marks an error as the user's.
    pub(crate) fn mark(error: impl Into<anyhow::Error>) -> anyhow::Error {
        Self(error.into()).into()
    }
}

/// Shells add this to the number of the signal that ended a program.
const SIGNAL_BASE: u8 = 128;

impl ExitStatus {
    /// The number that the parent process sees.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::SomeFailed => 1,
            Self::Usage => 2,
            Self::NoNode => 3,
            Self::CannotGoOn => 4,
            Self::BySignal(signal) => SIGNAL_BASE.saturating_add(signal),
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_reported_as_shells_do() {
        assert_eq!([1, 2, 15].map(|signal| ExitStatus::BySignal(signal).number()), [129, 130, 143]);
    }
}
