//! Standard error, written by a thread of its own: its reader may stop reading at any time (a pager, a
//! stopped terminal, a full pipe), and that must hold up neither a run nor a slave.
//!
//! What is said waits in a bounded queue and comes out in the order in which it was said. When the queue is
//! full, lines are dropped, and how many is said as soon as there is room. Only at the end of a run, when
//! nothing else is left to do, a line waits for room, for a while.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

/// Lines that can wait: with lines of usual length about a mebibyte.
const WAITING_MAX: usize = 8 * 1024;

/// How long a last line waits for room, and how long the end of the program waits until all is written. A
/// reader that is only slow takes less; one that has stopped must not keep the program.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a last line looks for room.
const LOOK_EVERY: Duration = Duration::from_millis(5);

static STDERR: LazyLock<StderrThread> = LazyLock::new(|| StderrThread::start(io::stderr()));

/// Says a line. Never waits: if too much is waiting already, the line is dropped and counted.
pub(crate) fn say(line: impl Display) {
    STDERR.offer(whole(line));
}

/// Says a line at the end of a run, or of the program: it may wait for room, for a second at most.
pub(crate) fn say_last(line: impl Display) {
    STDERR.insist(whole(line));
}

/// Waits until everything is written, for a second at most.
pub(crate) fn flush() {
    STDERR.flush();
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
            STDERR.offer(std::mem::take(&mut self.0));
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
    dropped: Arc<AtomicU64>,
}

impl StderrThread {
    /// Starts a thread that writes there.
    ///
    /// # Panics
    /// If no thread can be started.
    fn start(out: impl Write + Send + 'static) -> Self {
        let (errands, waiting) = sync_channel(WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = dropped.clone();
        let thread = thread::Builder::new().name("stderr".to_owned());
        thread.spawn(move || write_all(out, &waiting, &counted)).expect("a thread can be started");
        Self { errands, dropped }
    }

    fn offer(&self, text: Vec<u8>) {
        if self.errands.try_send(Errand::Write(text)).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    fn insist(&self, text: Vec<u8>) {
        if !self.send_within_patience(Errand::Write(text)) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    fn flush(&self) {
        let (written, is_written) = sync_channel(1);
        if self.send_within_patience(Errand::Flushed(written)) {
            // After that time nobody reads stderr, and the program ends all the same.
            let _ = is_written.recv_timeout(PATIENCE);
        }
    }

    fn send_within_patience(&self, mut errand: Errand) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.errands.try_send(errand) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => errand = back,
                Err(_) => return false,
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

fn write_all(mut out: impl Write, waiting: &Receiver<Errand>, dropped: &AtomicU64) {
    for errand in waiting {
        match errand {
            // If stderr is closed, there is no one to tell, and nowhere to say so.
            Errand::Write(text) => drop(out.write_all(&text)),
            // The program may have stopped waiting.
            Errand::Flushed(written) => drop(written.send(())),
        }
        let lines = dropped.swap(0, Relaxed);
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
