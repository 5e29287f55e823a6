//! Frames for a process without a runtime: a worker, which has one socket and nothing else to wait for.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{self, Frame, FrameError, FrameLimits, LENGTHS_BYTES, Lengths};

/// Room that is kept between frames.
const ROOM_BYTES_MIN: usize = 512 * 1024;

/// A frame that lies in the reader's buffer.
#[derive(Debug)]
pub struct FrameRef<'a, M> {
    /// The message.
    pub head: M,
    /// Its table.
    pub table: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
    /// Whether bytes after this frame were read, too: then the peer has sent more.
    pub more_is_read: bool,
}

/// Frames in, over a blocking socket. One buffer serves all of them.
#[derive(Debug)]
pub struct BlockingReader {
    socket: UnixStream,
    buffer: Vec<u8>,
    /// What was read and not yet handed out lies in `buffer[start..end]`.
    start: usize,
    end: usize,
}

/// Frames out, over a blocking socket.
#[derive(Debug)]
pub(crate) struct BlockingWriter {
    socket: UnixStream,
}

impl BlockingWriter {
    /// Writes to `socket`.
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { socket }
    }

    /// Sends a message without raw bytes.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn send<M: Serialize>(&mut self, message: M) -> std::io::Result<()> {
        self.socket.write_all(&frame::encode_head(&Frame::from(message)))
    }
}

impl BlockingReader {
    /// Reads from `socket`.
    pub fn new(socket: UnixStream) -> Self {
        Self { socket, buffer: vec![0; ROOM_BYTES_MIN], start: 0, end: 0 }
    }

    /// The next frame; `None` when the peer has closed the connection.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub fn read_frame<M: DeserializeOwned>(&mut self) -> Result<Option<FrameRef<'_, M>>, FrameError> {
        let lengths = loop {
            match Lengths::read(&self.buffer[self.start..self.end], FrameLimits::SESSION)? {
                Some(lengths) if self.end - self.start >= lengths.frame_bytes() => break lengths,
                lengths => {
                    self.make_room(self.room_for(lengths));
                    let read = read_some(&mut self.socket, &mut self.buffer[self.end..])?;
                    if read == 0 {
                        return if self.start == self.end { Ok(None) } else { Err(FrameError::Truncated) };
                    }
                    self.end += read;
                }
            }
        };
        let frame = &self.buffer[self.start..self.start + lengths.frame_bytes()];
        self.start += lengths.frame_bytes();
        let more_is_read = self.start < self.end;
        let (head, table, body) = lengths.parts(frame);
        Ok(Some(FrameRef { head: postcard::from_bytes(head)?, table, body, more_is_read }))
    }

    /// What can tell, while a frame is in hand, whether the peer has sent more.
    ///
    /// # Errors
    /// Those of the system.
    pub fn more_input(&self) -> std::io::Result<MoreInput> {
        Ok(MoreInput { socket: self.socket.try_clone()? })
    }

    /// The room to make for a frame that is partly there. It doubles as bytes arrive: a peer cannot make us
    /// take memory by announcing a length.
    fn room_for(&self, lengths: Option<Lengths>) -> usize {
        let arrived = self.end - self.start;
        lengths.map_or(LENGTHS_BYTES, Lengths::frame_bytes).min(ROOM_BYTES_MIN.max(2 * arrived))
    }

    /// Makes room for a frame of that size at `start`.
    fn make_room(&mut self, frame_bytes: usize) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > ROOM_BYTES_MIN && frame_bytes <= ROOM_BYTES_MIN {
                self.buffer.truncate(ROOM_BYTES_MIN);
                self.buffer.shrink_to_fit();
            }
        }
        if self.start + frame_bytes > self.buffer.len() || self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if frame_bytes > self.buffer.len() {
            self.buffer.resize(frame_bytes, 0);
        }
    }
}

/// Tells whether a socket has something to read.
#[derive(Debug)]
pub struct MoreInput {
    socket: UnixStream,
}

impl MoreInput {
    /// Whether the peer has sent something that was not yet read (for what was, see
    /// [`FrameRef::more_is_read`]).
    ///
    /// # Errors
    /// Those of the system.
    pub fn is_waiting(&self) -> std::io::Result<bool> {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO) {
            Ok(ready) => Ok(ready > 0),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn read_some(socket: &mut UnixStream, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match socket.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::MasterToSlave;

    #[test]
    fn a_frame_tells_whether_another_was_read_with_it() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut far = BlockingReader::new(far);
        let ping = frame::encode_head(&Frame::from(MasterToSlave::Ping(1)));
        near.write_all(&ping.repeat(2)).unwrap();
        assert!(far.read_frame::<MasterToSlave>().unwrap().unwrap().more_is_read);
        assert!(!far.read_frame::<MasterToSlave>().unwrap().unwrap().more_is_read);
    }

    #[test]
    fn frames_of_all_sizes_pass() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut far = BlockingReader::new(far);
        let sizes = [0, 1, 600_000, 70_000, 5, 2_000_000, 0, 300_000, 300_000, 12];
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for size in sizes {
                    let body = vec![size as u8; size].into();
                    let head = MasterToSlave::Ping(size as u64);
                    let frame = Frame { head, table: Default::default(), body };
                    near.write_all(&frame::encode_head(&frame)).unwrap();
                    near.write_all(&frame.body).unwrap();
                }
            });
            for size in sizes {
                let frame = far.read_frame::<MasterToSlave>().unwrap().unwrap();
                assert_eq!((frame.head, frame.body.len()), (MasterToSlave::Ping(size as u64), size));
                assert!(frame.body.iter().all(|byte| *byte == size as u8));
            }
            assert!(far.read_frame::<MasterToSlave>().unwrap().is_none());
        });
    }

    #[test]
    fn memory_is_not_taken_on_a_peers_word() {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(&[0u32, 0, 1000 * 1024 * 1024].map(u32::to_le_bytes).concat()).unwrap();
        near.write_all(&[0; 100]).unwrap();
        drop(near);
        let mut far = BlockingReader::new(far);
        assert!(matches!(far.read_frame::<MasterToSlave>(), Err(FrameError::Truncated)));
        assert_eq!(far.buffer.len(), ROOM_BYTES_MIN);
    }
}
