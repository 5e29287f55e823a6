//! Standard error, written by a thread of its own: its reader may stop reading at any time (a pager, a
//! stopped terminal, a full pipe), and that must hold up neither a run nor a slave.
//!
//! What is said waits in a bounded queue and comes out in the order in which it was said. When the queue is
//! full, lines are dropped, and how many is said as soon as there is room. Only at the end of a run, when
//! nothing else is left to do, a line waits for room, for a while.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::streams_at_start::{StandardStream, was_closed};

/// Lines that can wait: with lines of usual length about a mebibyte.
const WAITING_MAX: usize = 8 * 1024;

/// Bytes that can wait: a task can print long lines, and they must not fill its slave's memory. A line that
/// is longer than all of this still finds room when nothing else waits.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// How long a last line waits for room, and how long the end of the program waits until all is written. A
/// reader that is only slow takes less; one that has stopped must not keep the program.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a last line looks for room.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Started by the first line, so that a process that says nothing has no such thread.
static STDERR: OnceLock<StderrThread> = OnceLock::new();

fn stderr() -> &'static StderrThread {
    STDERR.get_or_init(|| StderrThread::start(io::stderr()))
}

/// Says a line. Never waits: if too much is waiting already, the line is dropped and counted.
pub(crate) fn say(line: impl Display) {
    stderr().offer(whole(line));
}

/// Says a line at the end of a run, or of the program: it may wait for room, for a second at most.
pub(crate) fn say_last(line: impl Display) {
    stderr().insist(whole(line));
}

/// Waits until everything is written, for a second at most.
pub(crate) fn flush() {
    if let Some(started) = STDERR.get() {
        started.flush();
    }
}

/// The stream, for lines that a user sends there and that must not be dropped: they have a writer of their
/// own.
///
/// # Errors
/// If it was closed when the program began, or the system has no descriptor left.
pub(crate) fn file() -> io::Result<File> {
    if was_closed(StandardStream::Error) {
        return Err(io::Error::other("standard error is closed"));
    }
    io::stderr().as_fd().try_clone_to_owned().map(File::from)
}

fn whole(line: impl Display) -> Vec<u8> {
    format!("simplegrid: {line}\n").into_bytes()
}

/// One event of the log, or one drawing of the progress line: it is said as a whole when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct StderrPiece(Vec<u8>);

impl Write for StderrPiece {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for StderrPiece {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            stderr().offer(std::mem::take(&mut self.0));
        }
    }
}

/// What the thread is given.
enum Errand {
    Write(Vec<u8>),
    /// Everything before this is written.
    Flushed(SyncSender<()>),
}

/// The way to the thread. It is never joined: it may be blocked in a write for ever, and ends with the
/// process.
struct StderrThread {
    errands: SyncSender<Errand>,
    backlog: Arc<StderrBacklog>,
}

/// What the two sides know of the queue.
#[derive(Default)]
struct StderrBacklog {
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl StderrThread {
    /// Starts a thread that writes there. Where no thread can be started, what is said is dropped.
    fn start(out: impl Write + Send + 'static) -> Self {
        let (errands, waiting) = sync_channel(WAITING_MAX);
        let backlog = Arc::<StderrBacklog>::default();
        let shared = backlog.clone();
        let thread = thread::Builder::new().name("stderr".to_owned());
        // Without a thread there is no one to tell, and nothing that depends on it.
        let _ = thread.spawn(move || write_all(out, &waiting, &shared));
        Self { errands, backlog }
    }

    fn offer(&self, text: Vec<u8>) {
        if self.try_write(text).is_err() {
            self.backlog.dropped.fetch_add(1, Relaxed);
        }
    }

    fn insist(&self, text: Vec<u8>) {
        let deadline = Instant::now() + PATIENCE;
        let mut text = text;
        while let Err(back) = self.try_write(text) {
            if Instant::now() >= deadline {
                self.backlog.dropped.fetch_add(1, Relaxed);
                return;
            }
            text = back;
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Queues a text; gives it back if there is no room.
    fn try_write(&self, text: Vec<u8>) -> Result<(), Vec<u8>> {
        let bytes = text.len();
        let waiting = self.backlog.bytes.fetch_add(bytes, Relaxed);
        if waiting > 0 && waiting + bytes > WAITING_BYTES_MAX {
            self.backlog.bytes.fetch_sub(bytes, Relaxed);
            return Err(text);
        }
        self.errands.try_send(Errand::Write(text)).map_err(|error| {
            self.backlog.bytes.fetch_sub(bytes, Relaxed);
            match error {
                TrySendError::Full(Errand::Write(text)) | TrySendError::Disconnected(Errand::Write(text)) => {
                    text
                }
                TrySendError::Full(Errand::Flushed(_)) | TrySendError::Disconnected(Errand::Flushed(_)) => {
                    unreachable!("a text was sent")
                }
            }
        })
    }

    fn flush(&self) {
        let deadline = Instant::now() + PATIENCE;
        let (written, is_written) = sync_channel(1);
        while let Err(TrySendError::Full(_)) = self.errands.try_send(Errand::Flushed(written.clone())) {
            if Instant::now() >= deadline {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
        drop(written);
        // If stderr is not read within that time, the program ends all the same.
        let _ = is_written.recv_timeout(PATIENCE);
    }
}

fn write_all(mut out: impl Write, waiting: &Receiver<Errand>, backlog: &StderrBacklog) {
    for errand in waiting {
        match errand {
            Errand::Write(text) => {
                // If stderr is closed, there is no one to tell, and nowhere to say so.
                let _ = out.write_all(&text);
                backlog.bytes.fetch_sub(text.len(), Relaxed);
            }
            // The program may have stopped waiting.
            Errand::Flushed(written) => drop(written.send(())),
        }
        let lines = backlog.dropped.swap(0, Relaxed);
        if lines > 0 {
            let _ = writeln!(out, "simplegrid: {lines} lines were dropped here, because stderr was not read");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    /// A reader that reads only when it is told to.
    struct Stalled {
        go_on: Mutex<std::sync::mpsc::Receiver<()>>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // A sender that is gone lets everything through.
            let _ = self.go_on.lock().unwrap().recv();
            self.read.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_holds_nothing_up_and_learns_what_it_has_missed() {
        let (resume, go_on) = channel();
        let read = Arc::<Mutex<Vec<u8>>>::default();
        let thread = StderrThread::start(Stalled { go_on: Mutex::new(go_on), read: read.clone() });
        let offered = WAITING_MAX + 11;
        (0..offered).for_each(|number| thread.offer(format!("line {number}\n").into_bytes()));
        thread.insist(b"the summary\n".to_vec());
        drop(resume);
        thread.flush();
        let text = String::from_utf8(read.lock().unwrap().clone()).unwrap();
        // The thread may have taken a line out of the queue at any time, and made room for one more.
        let lines = text.lines().filter(|line| !line.starts_with("simplegrid: ")).count();
        assert!((WAITING_MAX..=WAITING_MAX + 1).contains(&lines), "{lines} lines");
        let missed: usize = text
            .lines()
            .filter_map(|line| line.strip_prefix("simplegrid: ")?.split_once(' ')?.0.parse::<usize>().ok())
            .sum();
        assert_eq!(lines + missed, offered + 1, "what is not there was counted");
    }

    #[test]
    fn long_lines_do_not_fill_the_memory() {
        let (resume, go_on) = channel();
        let read = Arc::<Mutex<Vec<u8>>>::default();
        let thread = StderrThread::start(Stalled { go_on: Mutex::new(go_on), read: read.clone() });
        (0..100).for_each(|_| thread.offer(vec![b'x'; WAITING_BYTES_MAX / 10]));
        assert!(
            thread.backlog.bytes.load(Relaxed) <= WAITING_BYTES_MAX,
            "the one in the thread's hand included"
        );
        assert_eq!(thread.backlog.dropped.load(Relaxed), 90);
        drop(resume);
        thread.flush();
        assert_eq!(thread.backlog.bytes.load(Relaxed), 0, "what is written makes room");
        thread.offer(vec![b'y'; 2 * WAITING_BYTES_MAX]);
        thread.flush();
        assert!(read.lock().unwrap().ends_with(b"yy"), "a longer line goes through alone");
    }

    #[test]
    fn lines_come_out_in_order() {
        let (resume, go_on) = channel();
        let read = Arc::<Mutex<Vec<u8>>>::default();
        let thread = StderrThread::start(Stalled { go_on: Mutex::new(go_on), read: read.clone() });
        thread.offer(b"a\n".to_vec());
        thread.insist(b"b\n".to_vec());
        drop(resume);
        thread.flush();
        assert_eq!(*read.lock().unwrap(), b"a\nb\n");
    }
}
