//! A slave that takes part, as the dispatcher sees it: the way to it, and how its link is ended.

use tokio::sync::{mpsc, oneshot};

use crate::wire::{Frame, MasterToSlave, SinkPlace};

/// A slave that takes part in the run.
pub(super) struct Peer {
    /// What people call it.
    pub name: String,
    /// The way to it; `None` once everything has been said.
    out: Option<mpsc::Sender<Frame<MasterToSlave>>>,
    hang_up: Option<oneshot::Sender<String>>,
    /// It puts rows into a sink of its own,
    pub has_sink: bool,
    /// which has files that have not been delivered yet.
    pub has_files: bool,
    /// Records that have failed for good with an attempt here, beside those that were rejected, since it was
    /// last told so.
    pub given_up: u64,
}

impl Peer {
    /// A slave whose link has just been made.
    pub(super) fn new(
        name: String,
        out: mpsc::Sender<Frame<MasterToSlave>>,
        hang_up: oneshot::Sender<String>,
        sink: Option<&SinkPlace>,
    ) -> Self {
        let (has_sink, has_files) = (sink.is_some(), sink.is_some_and(|sink| sink.has_files));
        Self { name, out: Some(out), hang_up: Some(hang_up), has_sink, has_files, given_up: 0 }
    }

    /// Sends a frame. A slave that does not read what it is sent is given up.
    pub(super) fn send(&mut self, frame: Frame<MasterToSlave>) {
        let Some(out) = &self.out else { return };
        // A link that has ended is about to be reported lost.
        if let Err(mpsc::error::TrySendError::Full(_)) = out.try_send(frame) {
            tracing::warn!(node = self.name, "a node does not read what it is sent; its link is closed");
            self.hang_up("it does not read what it is sent");
        }
    }

    /// Tells it how many records have failed with it. To be called when it has no records any more: the room
    /// in its channel is measured for batches.
    pub(super) fn tell_given_up(&mut self) {
        let records = std::mem::take(&mut self.given_up);
        if records > 0 {
            self.send(MasterToSlave::GaveUp(records).into());
        }
    }

    /// Lets the link end: nothing more is said on it.
    pub(super) fn close(&mut self) {
        self.out = None;
    }

    /// Ends the link at once, whatever the slave still says.
    pub(super) fn hang_up(&mut self, reason: &str) {
        if let Some(hang_up) = self.hang_up.take() {
            // A link that has ended already needs no end.
            let _ = hang_up.send(reason.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> (Peer, mpsc::Receiver<Frame<MasterToSlave>>, oneshot::Receiver<String>) {
        let (out, frames) = mpsc::channel(1);
        let (hang_up, hung_up) = oneshot::channel();
        (Peer::new("n0:1".to_owned(), out, hang_up, None), frames, hung_up)
    }

    #[test]
    fn a_closed_link_ends_after_what_was_said_and_is_sent_nothing_more() {
        let (mut peer, mut frames, mut hung_up) = peer();
        peer.send(MasterToSlave::Bye.into());
        peer.close();
        peer.send(MasterToSlave::Shutdown.into());
        let last = frames.try_recv().map(|frame| frame.head);
        assert!(matches!(last, Ok(MasterToSlave::Bye)), "{last:?}");
        assert!(matches!(frames.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
        assert!(hung_up.try_recv().is_err(), "its answer is still wanted");
    }

    #[test]
    fn a_slave_that_does_not_read_is_hung_up_on_once() {
        let (mut peer, _frames, mut hung_up) = peer();
        (0..3).for_each(|_| peer.send(MasterToSlave::Bye.into()));
        assert_eq!(hung_up.try_recv().as_deref(), Ok("it does not read what it is sent"));
    }
}
