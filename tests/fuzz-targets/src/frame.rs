//! Frames from any bytes, however they arrive: the readers agree, and never read more than they are sent.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use simplegrid::internals::wire::{
    BlockingReader, Frame, FrameError, FrameLimits, FrameReader, SlaveToMaster,
};

use crate::chunks::Chunks;
use crate::script::Script;

/// Fits a socket's buffer with any system settings.
const BLOCKING_BYTES_MAX: usize = 16 * 1024;

/// The outcome of a stream: its frames, and how it ended.
type Read = (Vec<Frame<SlaveToMaster>>, String);

/// Reads the same stream at once, in pieces, and over a blocking socket.
pub fn frame(data: &[u8]) {
    let mut script = Script::new(data);
    let in_session = script.flag();
    let sizes = script.bytes();
    let stream = script.into_rest();
    let limits = if in_session { FrameLimits::SESSION } else { FrameLimits::HANDSHAKE };
    let at_once = read(Chunks::new(stream, &[]), limits);
    assert_eq!(at_once, read(Chunks::new(stream, sizes), limits), "pieces make no difference");
    let taken: usize = at_once.0.iter().map(|frame| frame.table.len() + frame.body.len()).sum();
    assert!(taken <= stream.len(), "nothing comes out that did not go in");
    if in_session && stream.len() <= BLOCKING_BYTES_MAX {
        assert_eq!(at_once, read_blocking(stream), "both readers agree");
    }
}

fn read(stream: Chunks<'_>, limits: FrameLimits) -> Read {
    let mut reader = FrameReader::new(stream, limits);
    let mut frames = Vec::new();
    loop {
        // A future that has to wait is dropped and made again: the reader promises that nothing is lost.
        let polled = pin!(reader.next::<SlaveToMaster>()).poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Pending => {}
            Poll::Ready(Ok(Some(frame))) => frames.push(frame),
            Poll::Ready(Ok(None)) => return (frames, String::new()),
            Poll::Ready(Err(error)) => return (frames, ending(&error)),
        }
    }
}

fn read_blocking(stream: &[u8]) -> Read {
    let (mut near, far) = UnixStream::pair().expect("a socketpair");
    near.write_all(stream).expect("room for so few bytes");
    near.shutdown(Shutdown::Both).expect("an end");
    let mut reader = BlockingReader::new(far);
    let mut frames = Vec::new();
    loop {
        match reader.read_frame::<SlaveToMaster>() {
            Ok(Some(frame)) => {
                let (table, body) = (frame.table.to_vec().into(), frame.body.to_vec().into());
                frames.push(Frame { head: frame.head, table, body });
            }
            Ok(None) => return (frames, String::new()),
            Err(error) => return (frames, ending(&error)),
        }
    }
}

fn ending(error: &FrameError) -> String {
    assert!(!matches!(error, FrameError::Io(_)), "a stream that cannot fail has failed: {error}");
    error.to_string()
}
