//! A cable that can be cut: a TCP proxy in front of a slave that can delay, drop or withhold what passes, and
//! cut it in the middle of a frame.
//!
//! Each connection has two threads, one for each direction, which check the cable's state before every chunk.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a thread checks the state while nothing arrives.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The largest chunk: small, so that delays and cuts hit the middle of frames.
const CHUNK_BYTES: usize = 16 * 1024;

/// A direction of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a master to the slave.
    ToSlave,
    /// From the slave to a master.
    ToMaster,
}

#[derive(Debug, Default)]
struct State {
    /// How many times everything was cut: connections from before the last cut end.
    cuts: u64,
    /// How long each chunk is kept.
    delay: Duration,
    /// Directions in which nothing passes, and nothing is closed.
    stalled: Vec<Way>,
    /// Bytes after which everything is cut.
    fuse: Option<usize>,
    ended: bool,
}

#[derive(Debug, Default)]
struct Cable {
    state: Mutex<State>,
    changed: Condvar,
}

/// The proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    cable: Arc<Cable>,
    address: SocketAddr,
}

impl Proxy {
    /// Listens on `address`, and passes everything on to `target`.
    ///
    /// # Errors
    /// If the address is in use.
    pub fn start(address: SocketAddr, target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let cable = Arc::new(Cable::default());
        let theirs = cable.clone();
        thread::spawn(move || accept(&listener, target, &theirs));
        Ok(Self { cable, address })
    }

    /// Closes all connections. New ones are let through.
    pub fn cut(&self) {
        self.change(|state| state.cuts += 1);
    }

    /// Closes all connections after so many more bytes have passed.
    pub fn cut_after(&self, bytes: usize) {
        self.change(|state| state.fuse = Some(bytes));
    }

    /// Keeps everything for a while before it is passed on.
    pub fn delay(&self, by: Duration) {
        self.change(|state| state.delay = by);
    }

    /// Passes nothing on and closes nothing: what a peer sees when a cable is pulled.
    pub fn stall(&self, ways: &[Way]) {
        self.change(|state| state.stalled = ways.to_vec());
    }

    /// Passes everything on again.
    pub fn heal(&self) {
        self.change(|state| {
            (state.delay, state.fuse) = (Duration::ZERO, None);
            state.stalled.clear();
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.cable.state());
        self.cable.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|state| state.ended = true);
        // The thread waits for a connection: this is the last one.
        let _ = TcpStream::connect(self.address);
    }
}

impl Cable {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a connection that was made after so many cuts is still whole.
    fn is_whole(&self, cuts: u64) -> bool {
        let state = self.state();
        !state.ended && state.cuts == cuts
    }

    /// Waits until bytes can pass, and returns how many; `None` if the connection is cut.
    fn pass(&self, way: Way, cuts: u64, bytes: usize) -> Option<usize> {
        let mut state = self.state();
        if !state.delay.is_zero() {
            let delay = state.delay;
            let waited =
                self.changed.wait_timeout_while(state, delay, |state| state.cuts == cuts && !state.ended);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let is_stalled =
            |state: &mut State| state.stalled.contains(&way) && state.cuts == cuts && !state.ended;
        state = self.changed.wait_while(state, is_stalled).unwrap_or_else(PoisonError::into_inner);
        if state.ended || state.cuts != cuts {
            return None;
        }
        match state.fuse {
            Some(left) if left <= bytes => {
                (state.fuse, state.cuts) = (None, state.cuts + 1);
                drop(state);
                self.changed.notify_all();
                Some(left)
            }
            Some(left) => {
                state.fuse = Some(left - bytes);
                Some(bytes)
            }
            None => Some(bytes),
        }
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, cable: &Arc<Cable>) {
    for master in listener.incoming().flatten() {
        if cable.state().ended {
            return;
        }
        // Without a slave behind it, the connection ends as one to a closed port does, only a little later.
        let Ok(slave) = TcpStream::connect(target) else { continue };
        let cuts = cable.state().cuts;
        for (way, from, to) in [(Way::ToSlave, &master, &slave), (Way::ToMaster, &slave, &master)] {
            let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
            let cable = cable.clone();
            thread::spawn(move || pump(way, from, to, cuts, &cable));
        }
    }
}

/// Passes on what arrives, until one end closes or the cable is cut.
fn pump(way: Way, mut from: TcpStream, mut to: TcpStream, cuts: u64, cable: &Cable) {
    let mut chunk = vec![0; CHUNK_BYTES];
    let _ = to.set_nodelay(true);
    let _ = from.set_read_timeout(Some(LOOK_EVERY));
    while cable.is_whole(cuts) {
        let bytes = match from.read(&mut chunk) {
            Ok(bytes @ 1..) => bytes,
            // An end is held back just as bytes are: nothing reports that a cable was pulled.
            Ok(0) => {
                cable.pass(way, cuts, 0);
                break;
            }
            Err(error) if is_nothing_yet(&error) => continue,
            Err(_) => break,
        };
        let Some(may_pass) = cable.pass(way, cuts, bytes) else { break };
        if to.write_all(&chunk[..may_pass]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn is_nothing_yet(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}
