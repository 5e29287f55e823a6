//! Reads the input of a run on a thread of its own and hands on its records in blocks.
//!
//! The thread reads ahead by what the channel holds and no more: while nothing is received, it does not read.
//! It must not know what becomes of the records.

use std::io::{self, PipeReader, PipeWriter};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::block::{Block, Piece};
use super::failed_lines::{Decoded, FailedLines, Unusable};
use super::feed::Feed;
use super::format::Format;
use super::input::{InputSource, ReadError, Readiness};
use super::keys::RecordKeys;
use super::records::Records;
use crate::limits::{BATCH_BYTES_MAX, RECORD_BYTES_MAX};
use crate::owned_task::{OwnedTask, join_thread};

/// Blocks between the thread and the receiver: one to work on, and one that is ready when that is done.
const BLOCKS_AHEAD_MAX: usize = 2;

/// The longest record that any limit can allow: ends of records are counted in 32 bits, and the buffer can
/// reach past the record by a block.
const RECORD_BYTES_CEILING: usize = 1 << 31;

/// What the reader says about its input.
#[derive(Debug)]
pub(crate) enum Input {
    /// Whole records, in input order; at least one. Not more than a block's bytes, unless one record alone is
    /// larger.
    Records {
        /// The records, terminators included.
        records: Records,
        /// Bytes of input after these records, if all that is left are regular files.
        remaining_bytes: Option<u64>,
        /// Their partition keys, if those were computed on the way.
        keys: Option<RecordKeys>,
    },
    /// A record that exceeds the limit. It counts as one record, at this place in the input.
    TooLong {
        /// Its first 64 KiB at most.
        record: Bytes,
        /// How many bytes it has, terminator included.
        bytes: u64,
    },
    /// A line of a failed-records file that cannot be run. It counts as one record, at this place in the
    /// input.
    Unusable {
        /// The line, or the beginning of a record if the file has no more of it.
        record: Bytes,
        /// What is wrong with it.
        why: Unusable,
    },
    /// Everything was read. The last event.
    End,
    /// An input could not be read; all whole records before that were handed on. The last event.
    Failed(ReadError),
}

/// How much can be in memory at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadLimits {
    /// Bytes of the longest record, terminator included. The command line allows 1 GiB.
    pub record_bytes_max: usize,
    /// Bytes of a block.
    pub block_bytes: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { record_bytes_max: RECORD_BYTES_MAX, block_bytes: BATCH_BYTES_MAX }
    }
}

/// The receiving end of a reader. Dropping it ends the thread, even one that waits for a silent pipe.
#[derive(Debug)]
pub(crate) struct RecordReader {
    events: mpsc::Receiver<Input>,
    /// Its closing wakes the thread: no byte is ever written.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
    /// What sends the events in place of a thread.
    task: Option<OwnedTask<()>>,
}

/// Starts to read `inputs`, one after the other.
///
/// # Errors
/// If the system refuses a thread or a pipe.
pub(crate) fn start(
    inputs: Vec<InputSource>,
    format: Format,
    limits: ReadLimits,
) -> io::Result<RecordReader> {
    start_with(inputs, format, limits, None)
}

/// Starts to read `inputs`, which are failed-records files. The records that their lines hold come out, in
/// the format [`FailedLines::FORMAT`].
///
/// # Errors
/// If the system refuses a thread or a pipe.
pub(crate) fn start_failed_lines(inputs: Vec<InputSource>, limits: ReadLimits) -> io::Result<RecordReader> {
    let lines = FailedLines::new(limits.record_bytes_max);
    let limits = ReadLimits { record_bytes_max: lines.line_bytes_max(), ..limits };
    start_with(inputs, Format::Lines, limits, Some(lines))
}

fn start_with(
    inputs: Vec<InputSource>,
    format: Format,
    limits: ReadLimits,
    failed_lines: Option<FailedLines>,
) -> io::Result<RecordReader> {
    let (sender, events) = mpsc::channel(BLOCKS_AHEAD_MAX);
    let (stopped, stop) = io::pipe()?;
    let record_bytes_max = limits.record_bytes_max.min(RECORD_BYTES_CEILING);
    let work = ReaderThread {
        block: Block::new(format, record_bytes_max, limits.block_bytes),
        failed_lines,
        bytes_in_later_inputs: None,
        sender,
        stopped,
    };
    let thread = std::thread::Builder::new().name("record-reader".into()).spawn(|| work.run(inputs))?;
    Ok(RecordReader { events, stop: Some(stop), thread: Some(thread), task: None })
}

impl RecordReader {
    /// A reader without a thread: another part of the program sends its events, up to an `End` or `Failed`.
    pub(crate) fn of_channel(events: mpsc::Receiver<Input>) -> Self {
        Self { events, stop: None, thread: None, task: None }
    }

    /// The same, if a task sends them; it ends when no more events are wanted.
    pub(crate) fn of_task(events: mpsc::Receiver<Input>, task: OwnedTask<()>) -> Self {
        Self { task: Some(task), ..Self::of_channel(events) }
    }

    /// The next event; `None` after the last one, or after a stop. Dropping the future loses no event.
    ///
    /// # Panics
    /// If the thread or the task panicked, with its panic: a run must not take that for the end of its input.
    pub(crate) async fn recv(&mut self) -> Option<Input> {
        let event = self.events.recv().await;
        if event.is_none()
            && let Some(task) = &mut self.task
        {
            task.join().await;
            self.task = None;
        }
        // After a stop there is nothing to learn from the thread, and it can take a moment to end.
        if event.is_none() && self.stop.is_some() {
            self.join();
        }
        event
    }

    /// Stops reading. What is already in the channel can still be received; what the thread holds beyond that
    /// counts as never read.
    pub(crate) fn stop(&mut self) {
        self.events.close();
        self.stop = None;
    }

    /// Waits for the thread, which does nothing after it has dropped its sender: this does not take long.
    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            join_thread(thread);
        }
    }
}

/// The thread's side.
struct ReaderThread {
    block: Block,
    /// Set if the input is lines that hold the records meant.
    failed_lines: Option<FailedLines>,
    bytes_in_later_inputs: Option<u64>,
    sender: mpsc::Sender<Input>,
    stopped: PipeReader,
}

/// Why reading ends before the inputs do.
enum Halt {
    /// The receiver has stopped the reader, or is gone.
    Stopped,
    Failed(ReadError),
}

impl From<ReadError> for Halt {
    fn from(error: ReadError) -> Self {
        Self::Failed(error)
    }
}

impl ReaderThread {
    fn run(mut self, inputs: Vec<InputSource>) {
        let last = match self.read_all(inputs) {
            Ok(()) => Input::End,
            Err(Halt::Stopped) => return,
            Err(Halt::Failed(error)) => match self.hand_on(None) {
                Ok(()) => Input::Failed(error),
                Err(_) => return,
            },
        };
        // A send that fails means that no one waits for the end any more.
        let _ = self.sender.blocking_send(last);
    }

    fn read_all(&mut self, inputs: Vec<InputSource>) -> Result<(), Halt> {
        let mut inputs = inputs.into_iter();
        while let Some(input) = inputs.next() {
            self.bytes_in_later_inputs = inputs.as_slice().iter().map(InputSource::bytes_left).sum();
            self.read_one(input)?;
        }
        self.hand_on(Some(0))
    }

    fn read_one(&mut self, input: InputSource) -> Result<(), Halt> {
        let mut feed = Feed::new(input);
        loop {
            self.wait_for(&feed)?;
            match feed.read(self.block.room())? {
                None => {}
                Some(0) => break,
                Some(bytes) => self.block.on_read(bytes),
            }
            if self.block.is_full() {
                self.hand_on(feed.bytes_left())?;
            }
        }
        self.block.on_input_ended();
        if self.block.is_full() { self.hand_on(Some(0)) } else { Ok(()) }
    }

    /// Waits until there is something to read.
    fn wait_for(&mut self, feed: &Feed) -> Result<(), Halt> {
        let has_pieces = self.block.has_pieces();
        let mut readiness = feed.poll(&self.stopped, !has_pieces)?;
        if readiness == Readiness::Nothing && has_pieces {
            // These records must not wait for the next ones.
            self.hand_on(feed.bytes_left())?;
            readiness = feed.poll(&self.stopped, true)?;
        }
        if readiness == Readiness::Stopped || self.sender.is_closed() {
            return Err(Halt::Stopped);
        }
        Ok(())
    }

    /// Sends everything that is whole. `bytes_left` is what the current input has left.
    fn hand_on(&mut self, bytes_left: Option<u64>) -> Result<(), Halt> {
        while let Some(piece) = self.block.take() {
            let unread = bytes_left.zip(self.bytes_in_later_inputs).map(|(now, later)| now + later);
            let remaining_bytes = unread.map(|unread| unread + self.block.bytes_held());
            match (piece, &mut self.failed_lines) {
                (Piece::Records(records), None) => {
                    self.send(Input::Records { records, remaining_bytes, keys: None })?
                }
                (Piece::Records(lines), Some(decoder)) => {
                    for decoded in decoder.decode(&lines) {
                        self.send(of_decoded(decoded, remaining_bytes))?;
                    }
                }
                (Piece::TooLong { record, bytes }, decoder) => {
                    decoder.iter_mut().for_each(FailedLines::skip_line);
                    self.send(Input::TooLong { record, bytes })?;
                }
            }
        }
        Ok(())
    }

    fn send(&self, event: Input) -> Result<(), Halt> {
        self.sender.blocking_send(event).map_err(|_| Halt::Stopped)
    }
}

fn of_decoded(decoded: Decoded, remaining_bytes: Option<u64>) -> Input {
    match decoded {
        Decoded::Records(records) => Input::Records { records, remaining_bytes, keys: None },
        Decoded::TooLong { record, bytes } => Input::TooLong { record, bytes },
        Decoded::Unusable { record, why } => Input::Unusable { record, why },
    }
}

#[cfg(test)]
mod tests;
