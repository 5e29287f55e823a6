//! The signals that ask the program to stop, and what they are to others.

use std::fmt;

use crate::exit_code::ExitStatus;

/// A signal that asks the program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// HUP: the terminal was closed.
    Hangup,
    /// INT: Ctrl-C.
    Interrupt,
    /// TERM: what `kill` and service managers send.
    Terminate,
}

impl StopSignal {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Hangup, Self::Interrupt, Self::Terminate];

    /// The signal's number on Linux (signal(7)).
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }

    /// The exit status of a program that this signal stopped.
    pub(crate) fn exit_status(self) -> ExitStatus {
        ExitStatus::BySignal(self.number())
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hangup => "HUP",
            Self::Interrupt => "INT",
            Self::Terminate => "TERM",
        })
    }
}
