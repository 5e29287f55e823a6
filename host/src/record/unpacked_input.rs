//! A compressed input, unpacked by a thread of its own: what it unpacks goes through a pipe, from which it is
//! read like any other input. It must not know what a record is.

use std::io::{self, PipeWriter, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;

use super::input::{InputSource, ReadError, Readiness};
use super::unpack::{PackedBytes, UnpackEnd, unpack};
use crate::owned_task::join_thread;

/// The reading side. Dropping it ends the thread, because then no one reads the pipe.
#[derive(Debug)]
pub(super) struct UnpackedInput {
    pipe: InputSource,
    /// Bytes that were read out of the pipe.
    read: u64,
    state: Arc<UnpackState>,
    thread: Option<JoinHandle<Result<(), ReadError>>>,
}

/// How far the thread is.
#[derive(Debug, Default)]
struct UnpackState {
    /// Compressed bytes that it has read.
    packed: AtomicU64,
    /// Bytes that it has made of them.
    unpacked: AtomicU64,
    /// Compressed bytes that are left, or [`UNKNOWN`].
    packed_left: AtomicU64,
}

/// No file has so many bytes left.
const UNKNOWN: u64 = u64::MAX;

impl UnpackedInput {
    /// Starts the thread. `beginning` was read already.
    ///
    /// # Errors
    /// If the system refuses a thread or a pipe.
    pub(super) fn start(input: InputSource, beginning: Vec<u8>) -> Result<Self, ReadError> {
        let name = input.name().clone();
        Self::try_start(input, beginning).map_err(|source| ReadError::Read { input: name, source })
    }

    fn try_start(input: InputSource, beginning: Vec<u8>) -> io::Result<Self> {
        let (output, out) = io::pipe()?;
        let pipe = InputSource::from_fd(input.name().clone(), OwnedFd::from(output))?;
        let state = Arc::<UnpackState>::default();
        state.packed.store(beginning.len() as u64, Relaxed);
        state.packed_left.store(input.bytes_left().unwrap_or(UNKNOWN), Relaxed);
        let out = CountedPipe { pipe: out, state: state.clone() };
        let packed = PackedInput { input, gone: out.pipe.try_clone()?, state: state.clone(), error: None };
        let builder = std::thread::Builder::new().name("unpacker".into());
        let thread = builder.spawn(move || unpack_all(PackedBytes::new(beginning, packed), out))?;
        Ok(Self { pipe, read: 0, state, thread: Some(thread) })
    }

    /// As of an [input](InputSource::poll) that is not compressed.
    pub(super) fn poll(&self, stop: &io::PipeReader, may_wait: bool) -> Result<Readiness, ReadError> {
        self.pipe.poll(stop, may_wait)
    }

    /// As of an [input](InputSource::read) that is not compressed.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Result<Option<usize>, ReadError> {
        let read = self.pipe.read(room)?;
        self.read += read.unwrap_or(0) as u64;
        match (read, self.thread.take()) {
            // The pipe ends when the thread does, which knows whether the input has ended.
            (Some(0), Some(thread)) => join_thread(thread)?,
            (_, thread) => self.thread = thread,
        }
        Ok(read)
    }

    /// About how many bytes are left to read: what is left of the file will become as much larger as what
    /// was unpacked so far.
    pub(super) fn bytes_left(&self) -> Option<u64> {
        let UnpackState { packed, unpacked, packed_left } = &*self.state;
        let packed_left = Some(packed_left.load(Relaxed)).filter(|left| *left != UNKNOWN)?;
        let (packed, unpacked) = (packed.load(Relaxed).max(1), unpacked.load(Relaxed));
        let to_come = u128::from(packed_left) * u128::from(unpacked) / u128::from(packed);
        let in_the_pipe = unpacked.saturating_sub(self.read);
        Some(in_the_pipe.saturating_add(u64::try_from(to_come).unwrap_or(u64::MAX)))
    }
}

/// What the thread does. Its pipe closes last, so that its end says that the rest is known.
fn unpack_all(mut packed: PackedBytes<PackedInput>, mut out: CountedPipe) -> Result<(), ReadError> {
    let ended = unpack(&mut packed, &mut out);
    let PackedInput { input, error, .. } = packed.into_reader();
    match (ended, error) {
        (Ok(()) | Err(UnpackEnd::Unwanted), _) | (Err(UnpackEnd::Unread), None) => Ok(()),
        (Err(UnpackEnd::Unread), Some(error)) => Err(error),
        (Err(UnpackEnd::Wrong(source)), _) => Err(ReadError::Unpack { input: input.name().clone(), source }),
    }
}

/// The compressed input, as the thread reads it: it waits for input, but not longer than for a reader.
#[derive(Debug)]
struct PackedInput {
    input: InputSource,
    /// The pipe, which shows whether its reader is gone.
    gone: PipeWriter,
    state: Arc<UnpackState>,
    /// Why it cannot be read; nothing, if its reader is gone.
    error: Option<ReadError>,
}

impl PackedInput {
    /// `None` if the reader is gone.
    fn read_patiently(&mut self, room: &mut [u8]) -> Result<Option<usize>, ReadError> {
        loop {
            if self.input.poll(&self.gone, true)? == Readiness::Stopped {
                return Ok(None);
            }
            if let Some(bytes) = self.input.read(room)? {
                return Ok(Some(bytes));
            }
        }
    }
}

impl Read for PackedInput {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self.read_patiently(room) {
            Ok(Some(bytes)) => {
                self.state.packed.fetch_add(bytes as u64, Relaxed);
                self.state.packed_left.store(self.input.bytes_left().unwrap_or(UNKNOWN), Relaxed);
                Ok(bytes)
            }
            Ok(None) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) => {
                self.error = Some(error);
                Err(io::Error::other("the input cannot be read"))
            }
        }
    }
}

/// The writing end of the pipe, which counts.
#[derive(Debug)]
struct CountedPipe {
    pipe: PipeWriter,
    state: Arc<UnpackState>,
}

impl io::Write for CountedPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.pipe.write(bytes)?;
        self.state.unpacked.fetch_add(written as u64, Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
