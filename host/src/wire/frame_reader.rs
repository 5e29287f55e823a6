//! Frames in: cuts a byte stream into frames. A large frame has a buffer of its own, and no raw bytes are
//! copied.

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::frame::{self, Frame, FrameError, FrameLimits, Lengths};

/// Room for a read when nothing is known of the next frame.
const ROOM_BYTES_MIN: usize = 16 * 1024;
/// The most room that is made at once when a peer announces a length; a larger frame gets more as its bytes
/// arrive.
const ROOM_BYTES_MAX: usize = 1024 * 1024;

/// Reads frames from a stream.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    limits: FrameLimits,
    buffer: BytesMut,
    /// Bytes of the last frame: the next one is probably as large, and then needs no second buffer.
    last_frame_bytes: usize,
    /// Bytes that have come so far.
    bytes_read: u64,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `stream`, and refuses frames that are larger than `limits` allows.
    pub fn new(stream: R, limits: FrameLimits) -> Self {
        Self { stream, limits, buffer: BytesMut::new(), last_frame_bytes: 0, bytes_read: 0 }
    }

    /// Allows other sizes from now on: after the handshake.
    pub fn set_limits(&mut self, limits: FrameLimits) {
        self.limits = limits;
    }

    /// The next frame; `None` when the peer has closed the connection between two frames.
    ///
    /// Cancel safe: a frame that is half read stays in the buffer.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub async fn next<M: DeserializeOwned>(&mut self) -> Result<Option<Frame<M>>, FrameError> {
        loop {
            let before = self.buffer.len();
            if let Some(frame) = frame::decode(&mut self.buffer, self.limits)? {
                self.last_frame_bytes = before - self.buffer.len();
                return Ok(Some(frame));
            }
            self.make_room()?;
            let read = self.stream.read_buf(&mut self.buffer).await?;
            self.bytes_read += read as u64;
            if read == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Truncated) };
            }
        }
    }

    /// Bytes that have come so far, those of an unfinished frame included: a peer that sends is not silent.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    fn make_room(&mut self) -> Result<(), FrameError> {
        let missing = match Lengths::read(&self.buffer, self.limits)? {
            Some(lengths) => lengths.frame_bytes() - self.buffer.len(),
            None => self.last_frame_bytes.max(ROOM_BYTES_MIN),
        };
        let room = self.buffer.capacity() - self.buffer.len();
        if room < missing && (room == 0 || self.buffer.len() < ROOM_BYTES_MAX) {
            self.buffer.reserve(missing.min(ROOM_BYTES_MAX).max(self.buffer.len()).min(missing));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::wire::frame_writer::FrameWriter;
    use crate::wire::message::MasterToSlave;

    #[tokio::test]
    async fn frames_of_all_sizes_pass_through_a_narrow_pipe() {
        let (near, far) = tokio::io::duplex(1000);
        let sizes = [0, 1, 999, 70_000, 5, 3_000_000, 0, 12];
        let writing = tokio::spawn(async move {
            let mut writer = FrameWriter::new(near);
            for size in sizes {
                let body = vec![size as u8; size].into();
                writer.push(&Frame {
                    head: MasterToSlave::Ping(size as u64),
                    table: Default::default(),
                    body,
                });
            }
            writer.flush().await.unwrap();
        });
        let mut reader = FrameReader::new(far, FrameLimits::SESSION);
        for size in sizes {
            let frame = reader.next::<MasterToSlave>().await.unwrap().unwrap();
            assert_eq!((frame.head, frame.body.len()), (MasterToSlave::Ping(size as u64), size));
        }
        writing.await.unwrap();
        assert!(reader.next::<MasterToSlave>().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_connection_that_ends_inside_a_frame_is_an_error() {
        let (mut near, far) = tokio::io::duplex(1000);
        near.write_all(&[9, 0, 0]).await.unwrap();
        drop(near);
        let mut reader = FrameReader::new(far, FrameLimits::SESSION);
        assert!(matches!(reader.next::<MasterToSlave>().await, Err(FrameError::Truncated)));
    }

    #[tokio::test]
    async fn memory_is_not_taken_on_a_peers_word() {
        let (mut near, far) = tokio::io::duplex(1000);
        let lengths = [0u32, 0, 100 * 1024 * 1024].map(u32::to_le_bytes).concat();
        near.write_all(&lengths).await.unwrap();
        near.write_all(&[0; 100]).await.unwrap();
        let mut reader = FrameReader::new(far, FrameLimits::SESSION);
        let waiting =
            tokio::time::timeout(std::time::Duration::from_millis(1), reader.next::<MasterToSlave>());
        assert!(waiting.await.is_err());
        assert!(reader.buffer.capacity() <= 2 * ROOM_BYTES_MAX, "{}", reader.buffer.capacity());
    }
}
