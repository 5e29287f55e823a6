//! A stream whose bytes arrive in pieces of chosen sizes, with pauses between them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes that arrive in pieces.
#[derive(Debug)]
pub(crate) struct Chunks<'a> {
    rest: &'a [u8],
    /// Sizes of the pieces, used in turns; after a zero there is nothing to read for a moment.
    sizes: &'a [u8],
    next: usize,
}

impl<'a> Chunks<'a> {
    /// `stream` in pieces of these sizes, or all at once if there are no sizes.
    pub(crate) fn new(stream: &'a [u8], sizes: &'a [u8]) -> Self {
        Self { rest: stream, sizes, next: 0 }
    }

    fn next_size(&mut self) -> usize {
        let Some(size) = self.sizes.get(self.next % self.sizes.len().max(1)) else { return usize::MAX };
        self.next += 1;
        usize::from(*size)
    }
}

impl AsyncRead for Chunks<'_> {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let size = this.next_size();
        // A stream of pauses only would never end.
        if size == 0 && this.sizes.iter().any(|size| *size > 0) {
            return Poll::Pending;
        }
        let (now, later) = this.rest.split_at(size.max(1).min(into.remaining()).min(this.rest.len()));
        into.put_slice(now);
        this.rest = later;
        Poll::Ready(Ok(()))
    }
}
