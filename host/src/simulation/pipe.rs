//! Byte streams in memory, in place of sockets. What is written arrives later, in pieces, at times that the
//! dice choose; and a pipe can be slow, stalled, cut, closed in one direction, or held open by someone else.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::turns::Dice;
use crate::wire::{ReadEnd, WriteEnd};

/// Bytes that may be under way in one direction: about what a socket holds.
const CAPACITY: usize = 64 * 1024;

/// One direction of a stream. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Pipe(Arc<Mutex<PipeState>>);

#[derive(Debug)]
struct PipeState {
    under_way: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// When the last of it arrives: what is written later does not come sooner.
    last_arrival: Instant,
    delay: (Duration, Duration),
    is_stalled: bool,
    is_cut: bool,
    /// The writing end is closed, or was made to look so.
    has_ended: bool,
    /// Someone else has the writing end open, too.
    is_held: bool,
    has_reader: bool,
    dice: Dice,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    /// A pipe on which everything takes from `delay.0` to `delay.1`.
    pub(super) fn new(delay: (Duration, Duration), dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(PipeState {
            under_way: VecDeque::new(),
            bytes: 0,
            last_arrival: Instant::now(),
            delay,
            is_stalled: false,
            is_cut: false,
            has_ended: false,
            is_held: false,
            has_reader: true,
            dice,
            reader: None,
            writer: None,
        })))
    }

    /// The end from which it is read.
    pub(super) fn read_end(&self) -> ReadEnd {
        ReadEnd::new(PipeReader { pipe: self.clone(), arrival: None })
    }

    /// The end to which it is written.
    pub(super) fn write_end(&self) -> WriteEnd {
        WriteEnd::new(PipeWriter(self.clone()))
    }

    /// Nothing arrives, or everything does again.
    pub(super) fn stall(&self, is_stalled: bool) {
        self.change(|state| state.is_stalled = is_stalled);
    }

    /// Both ends learn that the connection is broken.
    pub(super) fn cut(&self) {
        self.change(|state| state.is_cut = true);
    }

    /// The reader finds an end after what is under way; the writer does not notice.
    pub(super) fn half_close(&self) {
        self.change(|state| state.has_ended = true);
    }

    /// Everything takes so long from now on.
    pub(super) fn set_delay(&self, delay: (Duration, Duration)) {
        self.change(|state| state.delay = delay);
    }

    /// The reader finds no end when the writer is gone: someone else has it open.
    pub(super) fn hold_open(&self) {
        self.change(|state| state.is_held = true);
    }

    fn change(&self, change: impl FnOnce(&mut PipeState)) {
        let mut state = self.state();
        change(&mut state);
        state.wake_both();
    }

    fn state(&self) -> MutexGuard<'_, PipeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PipeState {
    fn wake_both(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let room = (CAPACITY - self.bytes).min(bytes.len());
        let whole = !self.dice.once_in(4);
        let count = if whole { room } else { self.dice.between(1, room) };
        let (least, most) = self.delay;
        let arrival = (Instant::now() + self.dice.duration(least, most)).max(self.last_arrival);
        self.last_arrival = arrival;
        self.bytes += count;
        self.under_way.push_back((arrival, Bytes::copy_from_slice(&bytes[..count])));
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        count
    }

    fn read(&mut self, buffer: &mut ReadBuf<'_>) {
        let Some((_, front)) = self.under_way.front_mut() else { return };
        let room = front.len().min(buffer.remaining());
        let count = if self.dice.once_in(4) { self.dice.between(1, room) } else { room };
        buffer.put_slice(&front[..count]);
        front.advance(count);
        if front.is_empty() {
            self.under_way.pop_front();
        }
        self.bytes -= count;
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

#[derive(Debug)]
struct PipeReader {
    pipe: Pipe,
    /// When the next bytes arrive.
    arrival: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for PipeReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pipe = self.pipe.clone();
        let mut state = pipe.state();
        state.reader = Some(cx.waker().clone());
        if state.is_cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let next = match state.under_way.front() {
            _ if state.is_stalled => return Poll::Pending,
            None if state.has_ended && !state.is_held => return Poll::Ready(Ok(())),
            None => return Poll::Pending,
            Some((arrival, _)) => *arrival,
        };
        if next > Instant::now() {
            let sleep = self.arrival.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
            sleep.as_mut().reset(next);
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        state.read(buffer);
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.pipe.change(|state| state.has_reader = false);
    }
}

#[derive(Debug)]
struct PipeWriter(Pipe);

impl AsyncWrite for PipeWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.state();
        if state.is_cut || !state.has_reader {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if state.bytes >= CAPACITY {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(state.write(bytes)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.half_close();
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.0.half_close();
    }
}
