//! Writes rows to standard output or a file, on a thread of its own, because either can block. With a
//! journal, the thread also writes the checkpoints, so that each comes after the rows that it counts.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

use super::journal::{Checkpoint, Header, JournalPen};
use super::output_target::{OutputStream, OutputTarget};
use super::write_error::WriteError;

/// Bytes that may wait to be written before no more is taken from slaves: what a slow reader of the output
/// costs in memory.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Lots that may wait: about one for each event of the dispatcher. Their bytes have a limit of their own.
const LOTS_MAX: usize = 1024;

/// Lots that one event can bring: the header of a journal, that of the output, rows, and a checkpoint.
const LOTS_PER_EVENT_MAX: usize = 4;

/// Larger pieces are written as they are, smaller ones are gathered first: a system call costs as much as
/// copying some of them.
const BUFFER_BYTES: usize = 256 * 1024;

/// Something for the thread to do.
#[derive(Debug)]
enum Lot {
    /// Write rows.
    Rows(Vec<Bytes>),
    /// Begin the output, and the journal with this header.
    Begin(Box<Header>),
    /// Write down how far the run is. How the output stands is filled in.
    Checkpoint(Checkpoint),
}

/// The way to the writing thread.
#[derive(Debug)]
pub(crate) struct ResultWriter {
    lots: Option<mpsc::Sender<Lot>>,
    backlog: Arc<Backlog>,
    thread: Option<JoinHandle<()>>,
}

/// Tells when writing has failed.
#[derive(Debug)]
pub(crate) struct WriteFailure(oneshot::Receiver<WriteError>);

impl WriteFailure {
    /// Waits until writing fails; for ever if it does not. Not to be called again once it has.
    pub(crate) async fn wait(&mut self) -> WriteError {
        match (&mut self.0).await {
            Ok(error) => error,
            Err(_) => std::future::pending().await,
        }
    }
}

#[derive(Debug, Default)]
struct Backlog {
    bytes: AtomicUsize,
    checkpoint: AtomicBool,
    less: Notify,
}

impl ResultWriter {
    /// Starts a writer for that target, and for a journal if there is one.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn start(
        target: OutputTarget,
        pen: Option<JournalPen>,
    ) -> Result<(Self, WriteFailure), WriteError> {
        let name = target.name.clone();
        let (lots, lots_out) = mpsc::channel(LOTS_MAX);
        let (report, failure) = oneshot::channel();
        let backlog = Arc::new(Backlog::default());
        let output = BufWriter::with_capacity(BUFFER_BYTES, target.stream);
        let writing = Writing { name: target.name, output, pen, backlog: backlog.clone() };
        let thread = std::thread::Builder::new()
            .name("results".to_owned())
            .spawn(move || {
                if let Err(error) = writing.write_all(lots_out) {
                    // The dispatcher may have ended already.
                    let _ = report.send(error);
                }
            })
            .map_err(|cause| WriteError::Io { place: name, cause })?;
        Ok((Self { lots: Some(lots), backlog, thread: Some(thread) }, WriteFailure(failure)))
    }

    /// Whether there is room for more rows.
    pub(crate) fn has_room(&self) -> bool {
        self.backlog.bytes.load(Relaxed) < WAITING_BYTES_MAX
            && self.lots.as_ref().is_some_and(|lots| lots.capacity() >= LOTS_PER_EVENT_MAX)
    }

    /// Waits until something has been written, so that there can be room again.
    pub(crate) async fn room(&self) {
        self.backlog.less.notified().await;
    }

    /// Hands rows over. To be called while there is [room](Self::has_room).
    pub(crate) fn write(&self, rows: Vec<Bytes>) {
        let bytes: usize = rows.iter().map(Bytes::len).sum();
        self.backlog.bytes.fetch_add(bytes, Relaxed);
        self.hand_over(Lot::Rows(rows));
    }

    /// Begins to write where the journal says that the output stands, with that header of the journal.
    pub(crate) fn begin(&self, header: Box<Header>) {
        self.hand_over(Lot::Begin(header));
    }

    /// Whether a checkpoint is still on its way to the disk. Another would only wait behind it.
    pub(crate) fn is_at_checkpoint(&self) -> bool {
        self.backlog.checkpoint.load(Relaxed)
    }

    /// Writes down how far the run is, once the rows that were handed over are on the disk.
    pub(crate) fn checkpoint(&self, checkpoint: Checkpoint) {
        self.backlog.checkpoint.store(true, Relaxed);
        self.hand_over(Lot::Checkpoint(checkpoint));
    }

    fn hand_over(&self, lot: Lot) {
        if let Some(lots) = &self.lots {
            // A thread that has ended has reported why.
            let _ = lots.try_send(lot);
        }
    }

    /// Writes what waits, and ends.
    ///
    /// # Errors
    /// If not all could be written.
    pub(crate) async fn finish(&mut self, failure: &mut WriteFailure) -> Result<(), WriteError> {
        self.lots = None;
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                let cause = io::Error::other("the thread that writes results has panicked");
                return Err(WriteError::Io { place: "results".to_owned(), cause });
            }
        }
        failure.0.try_recv().map_or(Ok(()), Err)
    }
}

/// The thread's side.
struct Writing {
    name: String,
    output: BufWriter<OutputStream>,
    pen: Option<JournalPen>,
    backlog: Arc<Backlog>,
}

impl Writing {
    fn write_all(mut self, mut lots: mpsc::Receiver<Lot>) -> Result<(), WriteError> {
        loop {
            let lot = match lots.try_recv() {
                Ok(lot) => lot,
                Err(mpsc::error::TryRecvError::Disconnected) => return self.flush(),
                Err(mpsc::error::TryRecvError::Empty) => {
                    // Nothing more to write for the moment, so a program that waits for a row gets it now.
                    self.flush()?;
                    match lots.blocking_recv() {
                        Some(lot) => lot,
                        None => return Ok(()),
                    }
                }
            };
            self.on_lot(lot)?;
            self.backlog.less.notify_one();
        }
    }

    fn on_lot(&mut self, lot: Lot) -> Result<(), WriteError> {
        match (lot, &mut self.pen) {
            (Lot::Rows(lot), _) => lot.iter().try_for_each(|rows| self.write(rows)),
            (Lot::Begin(header), Some(pen)) => pen.begin(&header),
            (Lot::Checkpoint(checkpoint), Some(_)) => self.checkpoint(checkpoint),
            (Lot::Begin(_) | Lot::Checkpoint(_), None) => Ok(()),
        }
    }

    fn write(&mut self, rows: &Bytes) -> Result<(), WriteError> {
        self.output.write_all(rows).map_err(|source| write_error(&self.name, source))?;
        if let Some(pen) = &mut self.pen {
            pen.on_rows(rows);
        }
        self.backlog.bytes.fetch_sub(rows.len(), Relaxed);
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), WriteError> {
        self.flush()?;
        let written = self.pen.as_mut().map_or(Ok(()), |pen| pen.checkpoint(checkpoint));
        self.backlog.checkpoint.store(false, Relaxed);
        written
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.output.flush().map_err(|source| write_error(&self.name, source))
    }
}

fn write_error(place: &str, cause: io::Error) -> WriteError {
    match cause.kind() {
        io::ErrorKind::BrokenPipe => WriteError::Closed,
        _ => WriteError::Io { place: place.to_owned(), cause },
    }
}
