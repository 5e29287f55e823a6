//! Why the door closes a connection.

use super::waiting_room::GUESTS_MAX;
use crate::limits::SILENCE_MAX;
use crate::wire::{FrameError, HandshakeError, Refusal};

/// Bytes of a reservation's name. Ours have about forty; the name is repeated to other masters, and in the
/// log.
pub(super) const RESERVATION_BYTES_MAX: usize = 256;

/// Why a connection was closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    /// It did not say who it is in time.
    #[error("it did not say who it is within {} s", SILENCE_MAX.as_secs())]
    Silent,
    /// It does not speak our protocol, or not this version of it.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// It broke the protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It was told no.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// Newer connections needed its place.
    #[error("more than {GUESTS_MAX} connections were waiting, and it was the oldest")]
    MadeRoom,
    /// Its reservation's name is too long.
    #[error("the name of its reservation has {0} bytes, more than the {RESERVATION_BYTES_MAX} allowed")]
    LongName(usize),
}
