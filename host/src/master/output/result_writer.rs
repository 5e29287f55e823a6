//! Writes rows to standard output or a file, on a thread of its own. With a journal, the thread also writes
//! the checkpoints, so that each comes after the rows that it counts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;

use bytes::Bytes;

use super::journal::{Checkpoint, FileMark, Header, JournalPen};
use super::output_target::{OutputStream, OutputTarget};
use super::result_stream::ResultStream;
use super::write_error::WriteError;
use super::writer_thread::{Backlog, ThreadEnd, WriterThread, Writing, say_that_a_reader_is_missing};
use crate::master::decisions::ReadyRows;

/// Something for the thread to do.
#[derive(Debug)]
enum RowsLot {
    /// Write rows.
    Rows(ReadyRows),
    /// Begin the output, and the journal with this header.
    Begin(Box<Header>),
    /// Write down how far the run is. How the files stand is filled in: the failed-records file says so
    /// itself, if there is one.
    Checkpoint(Checkpoint, Option<Receiver<FileMark>>),
}

/// The way to the writing thread.
#[derive(Debug)]
pub(crate) struct ResultWriter {
    thread: WriterThread<RowsLot>,
    at_checkpoint: Arc<AtomicBool>,
}

impl ResultWriter {
    /// Starts a writer for that target, and for a journal if there is one.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn start(
        target: OutputTarget,
        pen: Option<JournalPen>,
    ) -> Result<(Self, ThreadEnd), WriteError> {
        let name = target.name.clone();
        let at_checkpoint = Arc::<AtomicBool>::default();
        let shared = at_checkpoint.clone();
        let started = WriterThread::start("results", |backlog| {
            let output = ResultStream::new(target, backlog.written.clone())?;
            Ok(ResultWriting { name: name.clone(), output, pen, backlog, at_checkpoint: shared })
        });
        let (thread, end) = started.map_err(|cause| WriteError::Io { place: name, cause })?;
        Ok((Self { thread, at_checkpoint }, end))
    }

    /// Whether there is room for more rows.
    pub(crate) fn has_room(&self) -> bool {
        self.thread.has_room()
    }

    /// Waits until something has been written, so that there can be room again.
    pub(crate) async fn room(&self) {
        self.thread.room().await;
    }

    /// Hands rows over. To be called while there is [room](Self::has_room).
    pub(crate) fn write(&mut self, ready: ReadyRows) {
        let bytes: usize = ready.rows.iter().map(Bytes::len).sum();
        let records = ready.records;
        if ready.rows.is_empty() {
            self.thread.pass_over(records);
        } else {
            self.thread.hand_over(RowsLot::Rows(ready), bytes, records);
        }
    }

    /// Records that are done but for their rows, which were handed over and are not written.
    pub(crate) fn unwritten(&self) -> u64 {
        self.thread.unwritten()
    }

    /// Begins to write where the journal says that the output stands, with that header of the journal.
    pub(crate) fn begin(&mut self, header: Box<Header>) {
        self.thread.hand_over(RowsLot::Begin(header), 0, 0);
    }

    /// Whether a checkpoint is still on its way to the disk. Another would only wait behind it.
    pub(crate) fn is_at_checkpoint(&self) -> bool {
        self.at_checkpoint.load(Relaxed)
    }

    /// Writes down how far the run is, once the rows that were handed over are on the disk, and the failed
    /// records too.
    pub(crate) fn checkpoint(&mut self, checkpoint: Checkpoint, failed_file: Option<Receiver<FileMark>>) {
        self.at_checkpoint.store(true, Relaxed);
        self.thread.hand_over(RowsLot::Checkpoint(checkpoint, failed_file), 0, 0);
    }

    /// Nothing more is handed over.
    pub(crate) fn close(&mut self) {
        self.thread.close();
    }

    /// Writes what waits, and ends. May be cancelled, and called again.
    ///
    /// # Errors
    /// If not all could be written.
    pub(crate) async fn finish(&mut self, end: &mut ThreadEnd) -> Result<(), WriteError> {
        self.thread.finish(end).await
    }
}

/// The thread's side.
struct ResultWriting {
    name: String,
    output: ResultStream,
    pen: Option<JournalPen>,
    backlog: Arc<Backlog>,
    at_checkpoint: Arc<AtomicBool>,
}

impl Writing<RowsLot> for ResultWriting {
    fn open(&mut self) -> Result<(), WriteError> {
        match self.output.get_mut() {
            stream @ OutputStream::Pipe(_) => {
                let opened = stream.file(say_that_a_reader_is_missing).map(drop);
                opened.map_err(|source| write_error(&self.name, source))
            }
            OutputStream::Open(_) | OutputStream::Unusable(_) => Ok(()),
        }
    }

    fn on_lot(&mut self, lot: RowsLot) -> Result<(), WriteError> {
        match (lot, &mut self.pen) {
            (RowsLot::Rows(ready), _) => self.write(&ready),
            (RowsLot::Begin(header), Some(pen)) => pen.begin(&header),
            (RowsLot::Checkpoint(checkpoint, failed_file), Some(_)) => {
                self.checkpoint(checkpoint, failed_file)
            }
            (RowsLot::Begin(_) | RowsLot::Checkpoint(..), None) => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.output.flush().map_err(|source| write_error(&self.name, source))
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        self.output.finish().map_err(|source| write_error(&self.name, source))
    }
}

impl ResultWriting {
    fn write(&mut self, ready: &ReadyRows) -> Result<(), WriteError> {
        for rows in &ready.rows {
            self.output.write(rows).map_err(|source| write_error(&self.name, source))?;
            if let Some(pen) = &mut self.pen {
                pen.on_rows(rows);
            }
            self.backlog.less(rows.len());
        }
        self.output.end_records(ready.records);
        Ok(())
    }

    fn checkpoint(
        &mut self,
        checkpoint: Checkpoint,
        failed_file: Option<Receiver<FileMark>>,
    ) -> Result<(), WriteError> {
        self.flush()?;
        let written = match (failed_file.map(|mark| mark.recv()).transpose(), &mut self.pen) {
            (Ok(mark), Some(pen)) => pen.checkpoint(checkpoint.with_failed_file(mark.unwrap_or_default())),
            // The failed records cannot be written, which their own thread reports: nothing is certain then.
            (Err(_), _) | (Ok(_), None) => Ok(()),
        };
        self.at_checkpoint.store(false, Relaxed);
        written
    }
}

fn write_error(place: &str, cause: io::Error) -> WriteError {
    match cause.kind() {
        io::ErrorKind::BrokenPipe => WriteError::Closed,
        _ => WriteError::Io { place: place.to_owned(), cause },
    }
}
