//! Why a worker process ends before its time.

use std::io;

use crate::scoreboard;
use crate::wire::FrameError;

/// Why a worker ends before its time. The slave sees only that it is gone, so this goes to the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkerError {
    /// The socket or the scoreboard failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The slave sent something that is not a message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What was passed is not a scoreboard.
    #[error(transparent)]
    Board(#[from] scoreboard::BoardError),
    /// The slave broke the protocol.
    #[error("the slave sent {0}")]
    Protocol(&'static str),
}

impl WorkerError {
    /// Whether the slave is gone, perhaps in the middle of a frame.
    pub(super) fn is_slave_gone(&self) -> bool {
        let error = match self {
            Self::Frame(FrameError::Truncated) => return true,
            Self::Frame(FrameError::Io(error)) | Self::Io(error) => error,
            _ => return false,
        };
        matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
    }
}
