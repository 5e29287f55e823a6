//! Rows to their place: standard output or a file, on a thread of its own, because either may block.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

/// Bytes that may wait to be written before no more is taken from slaves: what a slow reader of the output
/// costs in memory.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Lots of rows that may wait: one per event of the dispatcher.
const LOTS_MAX: usize = 1024;

/// Larger pieces are written as they are, smaller ones are gathered first.
const BUFFER_BYTES: usize = 256 * 1024;

/// Why rows could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Whoever read standard output has seen enough.
    #[error("the reader of the output is gone")]
    Closed,
    /// The output cannot be written.
    #[error("cannot write {place}: {source}")]
    Io {
        /// A path, or «standard output».
        place: String,
        /// Why not.
        source: io::Error,
    },
}

/// The way to the writing thread.
#[derive(Debug)]
pub struct ResultWriter {
    lots: Option<mpsc::Sender<Vec<Bytes>>>,
    waiting: Arc<Waiting>,
    thread: Option<JoinHandle<()>>,
}

/// Tells when writing has failed.
#[derive(Debug)]
pub struct WriteFailure(oneshot::Receiver<WriteError>);

impl WriteFailure {
    /// Waits until writing fails; for ever if it does not. To be asked no more once it has.
    pub async fn wait(&mut self) -> WriteError {
        match (&mut self.0).await {
            Ok(error) => error,
            Err(_) => std::future::pending().await,
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: AtomicUsize,
    less: Notify,
}

impl ResultWriter {
    /// Writes to a file, or to standard output.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn start(path: Option<&Path>) -> Result<(Self, WriteFailure), WriteError> {
        let place = path.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
        let failed = |source| WriteError::Io { place: place.clone(), source };
        let output: Box<dyn Write + Send> = match path {
            Some(path) => Box::new(File::create(path).map_err(failed)?),
            None => Box::new(io::stdout()),
        };
        let (lots, lots_out) = mpsc::channel(LOTS_MAX);
        let (report, failure) = oneshot::channel();
        let waiting = Arc::new(Waiting::default());
        let counted = waiting.clone();
        let name = place.clone();
        let thread = std::thread::Builder::new()
            .name("results".to_owned())
            .spawn(move || {
                if let Err(source) = write_all(output, lots_out, &counted) {
                    let closed = source.kind() == io::ErrorKind::BrokenPipe;
                    let error =
                        if closed { WriteError::Closed } else { WriteError::Io { place: name, source } };
                    // The dispatcher may have ended already; then it has seen the thread end.
                    let _ = report.send(error);
                }
            })
            .map_err(failed)?;
        Ok((Self { lots: Some(lots), waiting, thread: Some(thread) }, WriteFailure(failure)))
    }

    /// Whether more rows may be taken.
    pub fn has_room(&self) -> bool {
        self.waiting.bytes.load(Relaxed) < WAITING_BYTES_MAX
            && self.lots.as_ref().is_some_and(|lots| lots.capacity() > 1)
    }

    /// Waits until there may be room again.
    pub async fn room(&self) {
        self.waiting.less.notified().await;
    }

    /// Hands rows over. To be called while there is [room](Self::has_room).
    pub fn write(&self, rows: Vec<Bytes>) {
        let bytes: usize = rows.iter().map(Bytes::len).sum();
        self.waiting.bytes.fetch_add(bytes, Relaxed);
        if let Some(lots) = &self.lots {
            // A thread that has ended has reported why.
            let _ = lots.try_send(rows);
        }
    }

    /// Writes what waits, and ends.
    ///
    /// # Errors
    /// If not all could be written.
    pub async fn finish(mut self, mut failure: WriteFailure) -> Result<(), WriteError> {
        self.lots = None;
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                let source = io::Error::other("the thread that writes results has panicked");
                return Err(WriteError::Io { place: "results".to_owned(), source });
            }
        }
        failure.0.try_recv().map_or(Ok(()), Err)
    }
}

fn write_all(
    output: Box<dyn Write + Send>,
    mut lots: mpsc::Receiver<Vec<Bytes>>,
    waiting: &Waiting,
) -> io::Result<()> {
    let mut output = BufWriter::with_capacity(BUFFER_BYTES, output);
    loop {
        let lot = match lots.try_recv() {
            Ok(lot) => lot,
            Err(mpsc::error::TryRecvError::Disconnected) => return output.flush(),
            Err(mpsc::error::TryRecvError::Empty) => {
                // Nothing more to write for the moment: whoever waits for a row gets it now.
                output.flush()?;
                match lots.blocking_recv() {
                    Some(lot) => lot,
                    None => return Ok(()),
                }
            }
        };
        for rows in lot {
            output.write_all(&rows)?;
            waiting.bytes.fetch_sub(rows.len(), Relaxed);
        }
        waiting.less.notify_one();
    }
}
