//! Frames out: gathers frames and writes them with as few calls as the stream allows, without copying their
//! raw bytes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::frame::{self, Frame};

/// Pieces handed to one write call: far below the system's limit (1024 on Linux).
const PIECES_PER_WRITE_MAX: usize = 64;

/// Writes frames to a stream.
#[derive(Debug)]
pub struct FrameWriter<W> {
    stream: W,
    pieces: VecDeque<Bytes>,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// Writes to `stream`.
    pub fn new(stream: W) -> Self {
        Self { stream, pieces: VecDeque::new() }
    }

    /// Queues a frame; [`flush`](Self::flush) writes it.
    pub fn push<M: Serialize>(&mut self, frame: &Frame<M>) {
        self.pieces.push_back(frame::encode_head(frame));
        self.pieces.extend([&frame.table, &frame.body].into_iter().filter(|part| !part.is_empty()).cloned());
    }

    /// Whether so much is queued that it should be written before more is pushed.
    pub fn is_full(&self) -> bool {
        self.pieces.len() >= PIECES_PER_WRITE_MAX
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.pieces.is_empty() {
            let slices: Vec<IoSlice<'_>> =
                self.pieces.iter().take(PIECES_PER_WRITE_MAX).map(|piece| IoSlice::new(piece)).collect();
            let written = self.stream.write_vectored(&slices).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.forget(written);
        }
        self.stream.flush().await
    }

    fn forget(&mut self, mut written: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
    }
}
