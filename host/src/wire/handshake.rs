//! The first eight bytes of a connection, before any message: they say that we are SimpleGrid, and which
//! protocol we speak.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a preamble.
pub(crate) const PREAMBLE_BYTES: usize = 8;

/// Seven letters, so that a peer that speaks something else is recognised at once.
pub(super) const MAGIC: &[u8; 7] = b"SIMPLEG";

/// The version of `docs/protocol.md`. Peers of another version are refused.
const PROTOCOL_VERSION: u8 = 4;

/// Why a peer is turned away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// It speaks something else.
    #[error("the peer does not speak SimpleGrid's protocol")]
    NotSimpleGrid,
    /// It speaks another version of our protocol.
    #[error(
        "the peer speaks version {theirs} of the protocol and this program version {PROTOCOL_VERSION}: run the same version of SimpleGrid on both sides"
    )]
    OtherVersion {
        /// The peer's version.
        theirs: u8,
    },
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(io::Error),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Sends our preamble and checks the peer's.
///
/// # Errors
/// If the peer does not speak this version of our protocol, or the connection fails.
pub(crate) async fn exchange_preambles<R, W>(reader: &mut R, writer: &mut W) -> Result<(), HandshakeError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    send_preamble(writer).await?;
    let mut theirs = [0; PREAMBLE_BYTES];
    reader.read_exact(&mut theirs).await?;
    check(theirs)
}

/// Answers a peer whose preamble was read before: a slave that also takes lines waits to see what a peer
/// speaks.
///
/// # Errors
/// If the peer does not speak this version of our protocol, or the connection fails.
pub(crate) async fn answer_preamble<W: AsyncWrite + Unpin>(
    theirs: [u8; PREAMBLE_BYTES],
    writer: &mut W,
) -> Result<(), HandshakeError> {
    send_preamble(writer).await?;
    check(theirs)
}

async fn send_preamble<W: AsyncWrite + Unpin>(writer: &mut W) -> io::Result<()> {
    let mut ours = [PROTOCOL_VERSION; PREAMBLE_BYTES];
    ours[..MAGIC.len()].copy_from_slice(MAGIC);
    writer.write_all(&ours).await?;
    writer.flush().await
}

fn check(theirs: [u8; PREAMBLE_BYTES]) -> Result<(), HandshakeError> {
    match theirs.split_last() {
        Some((&PROTOCOL_VERSION, magic)) if magic == MAGIC => Ok(()),
        Some((&theirs, magic)) if magic == MAGIC => Err(HandshakeError::OtherVersion { theirs }),
        _ => Err(HandshakeError::NotSimpleGrid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(theirs: &[u8]) -> Result<(), HandshakeError> {
        let (mut near, mut far) = tokio::io::duplex(64);
        far.write_all(theirs).await.unwrap();
        far.shutdown().await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(&mut near);
        exchange_preambles(&mut reader, &mut writer).await
    }

    #[tokio::test]
    async fn only_the_same_version_of_ours_is_accepted() {
        assert!(answer(b"SIMPLEG\x04").await.is_ok());
        assert!(matches!(answer(b"SIMPLEG\x07").await, Err(HandshakeError::OtherVersion { theirs: 7 })));
        assert!(matches!(answer(b"GET / HT").await, Err(HandshakeError::NotSimpleGrid)));
        assert!(matches!(answer(b"SIM").await, Err(HandshakeError::Io(_))));
    }
}
