//! The file of the failed records, on a thread of its own. With a journal, it says how the file stands.

use std::io::{self, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::journal::{FileMark, Tail};
use super::output_target::OutputTarget;
use super::result_stream::ResultStream;
use super::write_error::WriteError;
use super::writer_thread::{Backlog, ThreadEnd, WriterThread, Writing, say_that_a_reader_is_missing};

/// Something for the thread to do.
#[derive(Debug)]
enum FailedLot {
    /// Write the lines of so many records.
    Lines(Vec<u8>, u64),
    /// Cut the file to what counts of it, and go on there.
    GoOnFrom(Tail),
    /// Hand everything to the system, and say how the file stands.
    Mark(SyncSender<FileMark>),
}

/// The way to the file.
#[derive(Debug)]
pub(super) struct FailedFile {
    thread: WriterThread<FailedLot>,
    /// Lines that were not handed over yet, and how many they are.
    lines: Vec<u8>,
    records: u64,
}

impl FailedFile {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn start(target: OutputTarget) -> Result<(Self, ThreadEnd), WriteError> {
        let place = format!("the failed records to {}", target.name);
        let started = WriterThread::start("failed-records", |backlog| {
            let out = ResultStream::new(target, backlog.written.clone())?;
            Ok(FailedWriting { place: place.clone(), out, tail: Tail::default(), backlog })
        });
        let (thread, end) = started.map_err(|cause| WriteError::Io { place, cause })?;
        Ok((Self { thread, lines: Vec::new(), records: 0 }, end))
    }

    /// Whether there is room for more lines.
    pub(super) fn has_room(&self) -> bool {
        self.thread.has_room()
    }

    /// Waits until something has been written, so that there can be room again.
    pub(super) async fn room(&self) {
        self.thread.room().await;
    }

    /// Takes a line without its end. It is on its way after [`hand_over`](Self::hand_over).
    pub(super) fn write(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.lines);
        self.lines.push(b'\n');
        self.records += 1;
    }

    /// Hands over the lines of an event.
    pub(super) fn hand_over(&mut self) {
        if self.records > 0 {
            let (lines, records) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.records));
            let bytes = lines.len();
            self.thread.hand_over(FailedLot::Lines(lines, records), bytes, records);
        }
    }

    /// Cuts the file to what counts of it, and goes on there.
    pub(super) fn go_on_from(&mut self, tail: Tail) {
        self.thread.hand_over(FailedLot::GoOnFrom(tail), 0, 0);
    }

    /// How the file stands, once everything before is written; nothing comes if that fails.
    pub(super) fn mark(&mut self) -> Receiver<FileMark> {
        self.hand_over();
        let (mark, marked) = sync_channel(1);
        self.thread.hand_over(FailedLot::Mark(mark), 0, 0);
        marked
    }

    /// Records whose lines are not written.
    pub(super) fn unwritten(&self) -> u64 {
        self.records + self.thread.unwritten()
    }

    /// Nothing more is handed over.
    pub(super) fn close(&mut self) {
        self.hand_over();
        self.thread.close();
    }

    /// Writes what waits, and ends. May be cancelled, and called again.
    ///
    /// # Errors
    /// If not all could be written.
    pub(super) async fn finish(&mut self, end: &mut ThreadEnd) -> Result<(), WriteError> {
        self.thread.finish(end).await
    }
}

/// The thread's side.
struct FailedWriting {
    place: String,
    out: ResultStream,
    /// How the file ends, with what waits in the buffer.
    tail: Tail,
    backlog: Arc<Backlog>,
}

impl Writing<FailedLot> for FailedWriting {
    fn open(&mut self) -> Result<(), WriteError> {
        let opened = self.out.get_mut().file(say_that_a_reader_is_missing).map(drop);
        opened.map_err(|source| self.error(source))
    }

    fn on_lot(&mut self, lot: FailedLot) -> Result<(), WriteError> {
        match lot {
            FailedLot::Lines(lines, records) => {
                self.tail.push(&lines);
                self.out.write(&lines).map_err(|source| self.error(source))?;
                self.out.end_records(records);
                self.backlog.less(lines.len());
                Ok(())
            }
            FailedLot::GoOnFrom(tail) => self.go_on_from(tail).map_err(|source| self.error(source)),
            FailedLot::Mark(mark) => {
                self.flush()?;
                // A run that has ended wants no mark.
                let _ = mark.send(self.tail.mark());
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.out.flush().map_err(|source| self.error(source))
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        self.out.finish().map_err(|source| self.error(source))
    }
}

impl FailedWriting {
    fn go_on_from(&mut self, tail: Tail) -> io::Result<()> {
        let bytes = tail.bytes();
        self.tail = tail;
        let file = self.out.get_mut().file(|_| {})?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes)).map(drop)
    }

    fn error(&self, cause: io::Error) -> WriteError {
        WriteError::Io { place: self.place.clone(), cause }
    }
}
