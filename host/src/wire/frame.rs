//! A frame: one message, and the two runs of raw bytes that can go with it.
//!
//! ```text
//! | head bytes: u32 | table bytes: u32 | body bytes: u32 | head (postcard) | table | body |
//! ```
//! All numbers are little-endian. A batch carries its table of ends and its records; a report carries its
//! outcomes and its rows; other messages carry neither. Decoding is total: whatever the bytes are, the answer
//! is a frame, a request for more bytes, or an error.

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits;

/// Bytes of the three lengths at the start of a frame.
pub(super) const LENGTHS_BYTES: usize = 12;

/// A message with its raw bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<M> {
    /// The message.
    pub head: M,
    /// Fixed-size entries that go with it (ends of records, outcomes).
    pub table: Bytes,
    /// Free bytes that go with it (records, rows).
    pub body: Bytes,
}

impl<M> From<M> for Frame<M> {
    fn from(head: M) -> Self {
        Self { head, table: Bytes::new(), body: Bytes::new() }
    }
}

/// How large a peer's frames may be.
#[derive(Debug, Clone, Copy)]
pub struct FrameLimits {
    /// Bytes of the head.
    pub head_bytes_max: usize,
    /// Bytes of table and body together.
    pub raw_bytes_max: usize,
}

impl FrameLimits {
    /// For a peer that has not said who it is: names and numbers, nothing raw.
    pub const HANDSHAKE: Self = Self { head_bytes_max: 64 * 1024, raw_bytes_max: 0 };
    /// For a peer in a session.
    pub const SESSION: Self =
        Self { head_bytes_max: limits::HEADER_BYTES_MAX, raw_bytes_max: limits::FRAME_RAW_BYTES_MAX };
}

/// Why bytes are not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer announced more than it may send.
    #[error("the peer announced a frame of {bytes} bytes, more than the {max} allowed here")]
    TooLarge {
        /// What was announced.
        bytes: usize,
        /// What is allowed.
        max: usize,
    },
    /// The head is not a message.
    #[error("the peer sent a message that cannot be read ({0})")]
    BadMessage(postcard::Error),
    /// The connection ended inside a frame.
    #[error("the connection ended in the middle of a message")]
    Truncated,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(std::io::Error),
}

impl From<postcard::Error> for FrameError {
    fn from(error: postcard::Error) -> Self {
        Self::BadMessage(error)
    }
}

impl From<std::io::Error> for FrameError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// The lengths at the start of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths {
    head: usize,
    table: usize,
    body: usize,
}

impl Lengths {
    /// Reads and checks the lengths; `None` if there are not enough bytes for them yet.
    pub(super) fn read(bytes: &[u8], limits: FrameLimits) -> Result<Option<Self>, FrameError> {
        let Some((lengths, _)) = bytes.split_first_chunk::<LENGTHS_BYTES>() else { return Ok(None) };
        let number = |at: usize| {
            u32::from_le_bytes(lengths[at..at + 4].try_into().expect("four bytes of twelve")) as usize
        };
        let (head, table, body) = (number(0), number(4), number(8));
        if head > limits.head_bytes_max {
            return Err(FrameError::TooLarge { bytes: head, max: limits.head_bytes_max });
        }
        if table + body > limits.raw_bytes_max {
            return Err(FrameError::TooLarge { bytes: table + body, max: limits.raw_bytes_max });
        }
        Ok(Some(Self { head, table, body }))
    }

    /// Bytes of the whole frame, lengths included.
    pub(super) fn frame_bytes(self) -> usize {
        LENGTHS_BYTES + self.head + self.table + self.body
    }

    /// Head, table and body of a whole frame.
    pub(super) fn parts(self, frame: &[u8]) -> (&[u8], &[u8], &[u8]) {
        let (head, rest) = frame[LENGTHS_BYTES..].split_at(self.head);
        let (table, body) = rest.split_at(self.table);
        (head, table, body)
    }
}

/// Takes the first frame off `bytes`, if all of it is there.
pub(super) fn decode<M: DeserializeOwned>(
    bytes: &mut BytesMut,
    limits: FrameLimits,
) -> Result<Option<Frame<M>>, FrameError> {
    match Lengths::read(bytes, limits)? {
        Some(lengths) if bytes.len() >= lengths.frame_bytes() => {
            let mut frame = bytes.split_to(lengths.frame_bytes()).freeze();
            let mut part = |bytes: usize| frame.split_to(bytes);
            part(LENGTHS_BYTES);
            let head = postcard::from_bytes(&part(lengths.head))?;
            Ok(Some(Frame { head, table: part(lengths.table), body: part(lengths.body) }))
        }
        _ => Ok(None),
    }
}

/// The lengths and the head of a frame, to be followed by its table and its body.
pub(super) fn encode_head<M: Serialize>(frame: &Frame<M>) -> Bytes {
    let start = vec![0; LENGTHS_BYTES];
    let mut bytes = postcard::to_extend(&frame.head, start).expect("a message of ours can be encoded");
    let head = bytes.len() - LENGTHS_BYTES;
    for (at, length) in [(0, head), (4, frame.table.len()), (8, frame.body.len())] {
        let length = u32::try_from(length).expect("no part of a frame reaches 4 GiB");
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::message::{MasterToSlave, SlaveToMaster};

    fn whole(frame: &Frame<MasterToSlave>) -> BytesMut {
        let mut bytes = BytesMut::from(&encode_head(frame)[..]);
        bytes.extend_from_slice(&frame.table);
        bytes.extend_from_slice(&frame.body);
        bytes
    }

    #[test]
    fn a_frame_comes_out_as_it_went_in_and_only_when_it_is_whole() {
        let frame = Frame {
            head: MasterToSlave::Ping(7),
            table: Bytes::from_static(b"table"),
            body: Bytes::from_static(b"the body"),
        };
        let bytes = whole(&frame);
        for cut in 0..bytes.len() {
            let mut part = BytesMut::from(&bytes[..cut]);
            assert!(decode::<MasterToSlave>(&mut part, FrameLimits::SESSION).unwrap().is_none());
            assert_eq!(part.len(), cut, "nothing is taken before the frame is whole");
        }
        let mut two = bytes.clone();
        two.extend_from_slice(&bytes);
        for _ in 0..2 {
            assert_eq!(decode(&mut two, FrameLimits::SESSION).unwrap(), Some(frame.clone()));
        }
        assert!(two.is_empty());
    }

    #[test]
    fn giant_lengths_are_refused_before_anything_is_read() {
        let mut bytes = BytesMut::from(&[0xff; LENGTHS_BYTES][..]);
        assert!(matches!(
            decode::<SlaveToMaster>(&mut bytes, FrameLimits::SESSION),
            Err(FrameError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut first = BytesMut::from(&bytes[..]);
            let _ = decode::<MasterToSlave>(&mut first, FrameLimits::SESSION);
            let mut framed = BytesMut::from(&(bytes.len() as u32).to_le_bytes()[..]);
            framed.extend_from_slice(&[0; 8]);
            framed.extend_from_slice(&bytes);
            let _ = decode::<SlaveToMaster>(&mut framed, FrameLimits::SESSION);
        }
    }
}
