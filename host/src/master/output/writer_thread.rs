//! A thread that writes what it is handed, because every file of the user's can block: a pipe that is not
//! read, a terminal that was stopped, a disk on another machine. What waits for it is bounded.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread::JoinHandle;

use tokio::sync::{Notify, mpsc, oneshot};

use super::write_error::WriteError;
use crate::owned_task::join_thread;

/// Bytes that may wait to be written before no more is taken from slaves: what a slow reader costs in memory.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Lots that may wait: about one for each event of the dispatcher. Their bytes have a limit of their own.
const LOTS_MAX: usize = 1024;

/// Lots that one event can bring: the header of a journal, that of the output, rows, and a checkpoint.
const LOTS_PER_EVENT_MAX: usize = 4;

/// What such a thread does with its lots.
pub(super) trait Writing<L>: Send + 'static {
    /// Opens what is not open yet: this may wait for the other end.
    ///
    /// # Errors
    /// If it cannot be opened.
    fn open(&mut self) -> Result<(), WriteError>;

    /// Writes a lot, at once or later.
    ///
    /// # Errors
    /// If it cannot be written.
    fn on_lot(&mut self, lot: L) -> Result<(), WriteError>;

    /// Hands everything to the system.
    ///
    /// # Errors
    /// If it cannot be written.
    fn flush(&mut self) -> Result<(), WriteError>;

    /// Hands everything to the system, after the last lot.
    ///
    /// # Errors
    /// If it cannot be written.
    fn finish(&mut self) -> Result<(), WriteError> {
        self.flush()
    }
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct WriterThread<L> {
    lots: Option<mpsc::Sender<L>>,
    backlog: Arc<Backlog>,
    thread: Option<JoinHandle<()>>,
    /// What a simulation has in its place.
    #[cfg(any(test, feature = "simulation"))]
    _task: Option<crate::owned_task::OwnedTask<()>>,
    /// Records whose bytes were handed over.
    records: u64,
}

/// What waits for a thread.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: AtomicUsize,
    /// Records that are written.
    pub written: Arc<AtomicU64>,
    less: Notify,
}

impl Backlog {
    /// Bytes of a lot were written, or are in a buffer of a fixed size.
    pub(super) fn less(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }
}

/// Tells how a thread ended, as far as that was not told yet.
#[derive(Debug)]
pub(crate) struct ThreadEnd(Option<oneshot::Receiver<WriteError>>);

impl ThreadEnd {
    /// Waits until writing fails; for ever if it does not, or if that was told before.
    pub(super) async fn failure(&mut self) -> WriteError {
        match self.end().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Waits until the thread has ended, and returns why it failed, if that was not told before.
    async fn end(&mut self) -> Option<WriteError> {
        // Without a report, the thread has come to its end, or has panicked.
        let ended = self.0.as_mut()?.await.ok();
        self.0 = None;
        ended
    }
}

impl<L: Send + 'static> WriterThread<L> {
    /// Starts a thread with that name. `make` is given what waits for it.
    ///
    /// # Errors
    /// If the system refuses a thread, or what `make` needs.
    pub(super) fn start<W: Writing<L>>(
        name: &str,
        make: impl FnOnce(Arc<Backlog>) -> std::io::Result<W>,
    ) -> std::io::Result<(Self, ThreadEnd)> {
        let (lots, waiting) = mpsc::channel(LOTS_MAX);
        let (report, end) = oneshot::channel();
        let backlog = Arc::<Backlog>::default();
        let writing = make(backlog.clone())?;
        let shared = backlog.clone();
        #[cfg(any(test, feature = "simulation"))]
        if crate::turns::current_process().is_some() {
            let task = crate::owned_task::OwnedTask::spawn_apart(name, async move {
                if let Err(error) = write_in_turn(writing, waiting, &shared).await {
                    let _ = report.send(error);
                }
            });
            let lots = Some(lots);
            let writer = Self { lots, backlog, thread: None, _task: Some(task), records: 0 };
            return Ok((writer, ThreadEnd(Some(end))));
        }
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            if let Err(error) = write_all(writing, waiting, &shared) {
                // The dispatcher may have ended already.
                let _ = report.send(error);
            }
        })?;
        let writer = Self {
            lots: Some(lots),
            backlog,
            thread: Some(thread),
            #[cfg(any(test, feature = "simulation"))]
            _task: None,
            records: 0,
        };
        Ok((writer, ThreadEnd(Some(end))))
    }

    /// Whether there is room for what another event brings.
    pub(super) fn has_room(&self) -> bool {
        self.backlog.bytes.load(Relaxed) < WAITING_BYTES_MAX
            && self.lots.as_ref().is_some_and(|lots| lots.capacity() >= LOTS_PER_EVENT_MAX)
    }

    /// Waits until something has been written, so that there can be room again.
    pub(super) async fn room(&self) {
        self.backlog.less.notified().await;
    }

    /// Hands a lot over, with so many bytes, at whose end so many records are done. To be called while there
    /// is [room](Self::has_room).
    ///
    /// # Panics
    /// If there is none: nothing must be lost without a word.
    pub(super) fn hand_over(&mut self, lot: L, bytes: usize, records: u64) {
        let Some(lots) = &self.lots else { return };
        self.records += records;
        self.backlog.bytes.fetch_add(bytes, Relaxed);
        match lots.try_send(lot) {
            // A thread that has ended has reported why.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => panic!("lots are handed over while there is room"),
        }
    }

    /// Records are done that have no bytes.
    pub(super) fn pass_over(&mut self, records: u64) {
        self.records += records;
        self.backlog.written.fetch_add(records, Relaxed);
    }

    /// Records whose bytes were handed over, and are not written.
    pub(super) fn unwritten(&self) -> u64 {
        self.records - self.backlog.written.load(Relaxed)
    }

    /// Nothing more is handed over: the thread writes what waits, and ends.
    pub(super) fn close(&mut self) {
        self.lots = None;
    }

    /// Waits until all is written. May be cancelled, and called again.
    ///
    /// # Errors
    /// If not all could be written.
    ///
    /// # Panics
    /// If the thread did, with its panic.
    pub(super) async fn finish(&mut self, end: &mut ThreadEnd) -> Result<(), WriteError> {
        self.close();
        let failure = end.end().await;
        if let Some(thread) = self.thread.take() {
            join_thread(thread);
        }
        failure.map_or(Ok(()), Err)
    }
}

/// Says that a named pipe is opened, which waits for its reader.
pub(super) fn say_that_a_reader_is_missing(path: &Path) {
    tracing::info!("waiting until a program opens {} for reading", path.display());
}

fn write_all<L>(
    mut writing: impl Writing<L>,
    mut lots: mpsc::Receiver<L>,
    backlog: &Backlog,
) -> Result<(), WriteError> {
    writing.open()?;
    while let Some(lot) = lots.blocking_recv() {
        write_what_waits(&mut writing, lot, &mut lots, backlog)?;
    }
    writing.finish()
}

/// The same as a task of a simulation, whose files do not block.
#[cfg(any(test, feature = "simulation"))]
async fn write_in_turn<L>(
    mut writing: impl Writing<L>,
    mut lots: mpsc::Receiver<L>,
    backlog: &Backlog,
) -> Result<(), WriteError> {
    writing.open()?;
    while let Some(lot) = lots.recv().await {
        write_what_waits(&mut writing, lot, &mut lots, backlog)?;
    }
    writing.finish()
}

/// Writes a lot and those that wait behind it, and hands them to the system when no more are there: a program
/// that waits for a row gets it then.
fn write_what_waits<L>(
    writing: &mut impl Writing<L>,
    first: L,
    lots: &mut mpsc::Receiver<L>,
    backlog: &Backlog,
) -> Result<(), WriteError> {
    let mut next = Some(first);
    while let Some(lot) = next {
        writing.on_lot(lot)?;
        backlog.less.notify_one();
        next = lots.try_recv().ok();
    }
    writing.flush()
}
