//! What a pool has to say to its master and could not send yet.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use crate::wire::{Frame, SlaveToMaster};

/// Frames, and bytes of rows in them, that may wait for a master before the pool stops listening to its
/// workers: a master that does not read must not fill the slave's memory.
const OUTBOX_FRAMES_MAX: usize = 64;
const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Frames in the order in which they are to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Frame<SlaveToMaster>>,
    bytes: usize,
}

impl Outbox {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether workers may report more.
    pub(super) fn has_room(&self) -> bool {
        self.frames.len() < OUTBOX_FRAMES_MAX && self.bytes < OUTBOX_BYTES_MAX
    }

    /// One more frame waits.
    pub(super) fn push(&mut self, frame: Frame<SlaveToMaster>) {
        self.bytes += frame.body.len();
        self.frames.push_back(frame);
    }

    /// Forgets everything: the master is gone.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Sends the oldest frame. Cancel safe: a frame leaves the outbox only when there is room for it in
    /// `out`. Only for an outbox that is not empty.
    ///
    /// # Errors
    /// If no one reads `out` any more.
    pub(super) async fn send_next(
        &mut self,
        out: &mpsc::Sender<Frame<SlaveToMaster>>,
    ) -> Result<(), MasterGone> {
        let permit = out.reserve().await.map_err(|_| MasterGone)?;
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.body.len();
            permit.send(frame);
        }
        Ok(())
    }
}

/// The master does not read any more.
#[derive(Debug)]
pub(super) struct MasterGone;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame(bytes: usize) -> Frame<SlaveToMaster> {
        Frame { body: vec![0; bytes].into(), ..SlaveToMaster::Draining.into() }
    }

    #[tokio::test]
    async fn rows_that_wait_are_bounded_by_frames_and_by_bytes() {
        let (out, mut frames) = mpsc::channel(1);
        let mut outbox = Outbox::default();
        outbox.push(frame(OUTBOX_BYTES_MAX));
        assert!(!outbox.has_room(), "too many bytes");
        outbox.send_next(&out).await.unwrap();
        assert!(outbox.has_room() && outbox.is_empty());
        (0..OUTBOX_FRAMES_MAX).for_each(|_| outbox.push(frame(0)));
        assert!(!outbox.has_room(), "too many frames");
        assert_eq!(frames.recv().await.unwrap().body, Bytes::from(vec![0; OUTBOX_BYTES_MAX]));
        drop(frames);
        assert!(outbox.send_next(&out).await.is_err());
    }
}
