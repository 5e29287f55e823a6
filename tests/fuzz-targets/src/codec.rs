//! Frames from bytes and back, without a socket.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;
use simplegrid::internals::wire::{Frame, FrameError, FrameLimits, FrameReader, FrameWriter};

/// The first frame in `framed`; `None` if there is nothing.
///
/// # Errors
/// If it is invalid.
pub fn decode<M: DeserializeOwned>(framed: &[u8]) -> Result<Option<Frame<M>>, FrameError> {
    let mut reader = FrameReader::new(framed, FrameLimits::SESSION);
    let polled = pin!(reader.next::<M>()).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(frame) = polled else { panic!("a slice never waits") };
    frame
}

/// A frame as it is on the wire.
pub fn encode<M: Serialize>(frame: &Frame<M>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = FrameWriter::new(&mut bytes);
    writer.push(frame);
    let polled = pin!(writer.flush()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(()))), "a vector takes everything at once");
    bytes
}
