//! A TCP server made of threads that can be ended.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// How often a port is looked for that is free in both places.
pub(crate) const PORTS_TRIED_MAX: usize = 100;

/// Listens on the loopback and gives each connection, with its number counted from 0, a thread.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    is_ended: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Starts it on a port that the system chooses.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("there is a free port"), serve)
    }

    /// Starts it on a socket.
    ///
    /// # Panics
    /// If the socket does not know its address.
    pub fn on(socket: TcpListener, serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Self {
        let address = socket.local_addr().expect("a bound socket has an address");
        let is_ended = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let thread = {
            let (is_ended, connections) = (is_ended.clone(), connections.clone());
            thread::spawn(move || accept(&socket, &is_ended, &connections, Arc::new(serve)))
        };
        Self { address, is_ended, connections, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        lock(&self.connections).len()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.is_ended.store(true, Ordering::SeqCst);
        // A thread that waits for its peer ends with its connection; the accepting thread waits for a
        // connection.
        for connection in lock(&self.connections).iter() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept<S: Fn(usize, TcpStream) + Send + Sync + 'static>(
    socket: &TcpListener,
    is_ended: &AtomicBool,
    connections: &Mutex<Vec<TcpStream>>,
    serve: Arc<S>,
) {
    let mut threads = Vec::new();
    while let Ok((stream, _)) = socket.accept() {
        let mut all = lock(connections);
        if is_ended.load(Ordering::SeqCst) {
            break;
        }
        let number = all.len();
        all.push(stream.try_clone().expect("a socket can be cloned"));
        drop(all);
        let serve = serve.clone();
        threads.push(thread::spawn(move || {
            // The list keeps a clone, so dropping this one would not close the connection.
            let end = stream.try_clone();
            serve(number, stream);
            if let Ok(end) = end {
                let _ = end.shutdown(Shutdown::Both);
            }
        }));
    }
    for connection in lock(connections).iter() {
        let _ = connection.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// A failed test holds up no other thread.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
