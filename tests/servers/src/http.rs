//! A web server that follows a script and answers one request per connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};

use crate::certificate::Certificate;
use crate::listener::{Listener, lock};

/// How much of an endless answer is written at most if the client does not hang up: enough to show in a test
/// that fails.
const ENDLESS_BYTES_MAX: usize = 1 << 30;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The path with its query.
    pub path: String,
    /// The lines of the head after the first one.
    pub headers: Vec<String>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found =
            |line: &&String| line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name));
        Some(self.headers.iter().find(found)?.split_once(':')?.1.trim())
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These bytes, including the head, and then the end.
    Bytes(Vec<u8>),
    /// The first bytes, and then the second ones over and over, until the client hangs up or a GiB is
    /// written.
    Endless(Vec<u8>, Vec<u8>),
    /// The first bytes, and then the second ones, one by one with a pause before each.
    Drip(Vec<u8>, Vec<u8>, Duration),
    /// Nothing, and the connection stays open.
    Silence,
}

impl Reply {
    /// A page with a status of 200.
    pub fn page(content_type: &str, body: impl AsRef<[u8]>) -> Self {
        Self::with("200 OK", &format!("Content-Type: {content_type}\r\n"), body)
    }

    /// A page in HTML and UTF-8.
    pub fn html(body: impl AsRef<[u8]>) -> Self {
        Self::page("text/html; charset=utf-8", body)
    }

    /// A redirection to another page.
    pub fn redirect(to: &str) -> Self {
        Self::with("302 Found", &format!("Location: {to}\r\n"), "")
    }

    /// A status, headers that end with `\r\n`, and a body of known length.
    pub fn with(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        Self::Bytes([head.as_bytes(), body].concat())
    }
}

/// The server.
#[derive(Debug)]
pub struct HttpServer {
    requests: Arc<Mutex<Vec<Request>>>,
    written: Arc<AtomicUsize>,
    // Before the listener: a drip that waits ends when this is dropped.
    _end: mpsc::Sender<()>,
    listener: Listener,
}

impl HttpServer {
    /// Starts one with a script.
    pub fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("there is a free port"), script)
    }

    /// Starts one on a socket.
    pub fn on(socket: TcpListener, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_streams(socket, script, |stream| Some(Box::new(stream)))
    }

    /// Starts one that speaks TLS.
    pub fn tls(
        certificate: &Certificate,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let config = certificate.config();
        let socket = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        Self::with_streams(socket, script, move |stream| {
            let connection = ServerConnection::new(config.clone()).ok()?;
            Some(Box::new(StreamOwned::new(connection, stream)))
        })
    }

    fn with_streams(
        socket: TcpListener,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        open: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::new(AtomicUsize::new(0));
        let (end, ended) = mpsc::channel();
        let ended = Mutex::new(ended);
        let listener = {
            let (requests, written) = (requests.clone(), written.clone());
            Listener::on(socket, move |_, stream| {
                let Some(mut stream) = open(stream) else { return };
                let Some(request) = read(&mut stream) else { return };
                let reply = script(&request);
                lock(&requests).push(request);
                // An error means that the client has hung up.
                let _ = write(&mut stream, reply, &written, &ended);
                let _ = stream.flush();
            })
        };
        Self { requests, written, _end: end, listener }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// A URL on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.listener.connections()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }

    /// The bytes of all answers so far.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::SeqCst)
    }
}

/// A connection, with or without TLS.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

fn read(stream: &mut dyn Stream) -> Option<Request> {
    let mut lines = BufReader::new(stream.take(64 * 1024)).lines();
    let first = lines.next()?.ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let headers = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    Some(Request { path, headers })
}

fn write(
    stream: &mut dyn Stream,
    reply: Reply,
    written: &AtomicUsize,
    ended: &Mutex<mpsc::Receiver<()>>,
) -> std::io::Result<()> {
    let mut put = |bytes: &[u8]| {
        stream.write_all(bytes)?;
        written.fetch_add(bytes.len(), Ordering::SeqCst);
        Ok(())
    };
    match reply {
        Reply::Bytes(bytes) => put(&bytes),
        Reply::Endless(head, more) => {
            put(&head)?;
            for _ in 0..ENDLESS_BYTES_MAX / more.len().max(1) {
                put(&more)?;
            }
            Ok(())
        }
        Reply::Drip(head, body, pause) => {
            put(&head)?;
            for byte in body {
                if lock(ended).recv_timeout(pause) != Err(mpsc::RecvTimeoutError::Timeout) {
                    break;
                }
                put(&[byte])?;
            }
            Ok(())
        }
        Reply::Silence => {
            stream.read_to_end(&mut Vec::new())?;
            Ok(())
        }
    }
}
