//! One TCP connection to a mail server: lines out, replies in. Nothing here can take forever or grow forever.
//!
//! It knows no verbs; the conversation is in `session.rs`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::reply::{LINE_BYTES_MAX, Reply, ReplyError, ReplyParser};

/// How many bytes are read at once. A reply is rarely longer.
const READ_BYTES: usize = 1024;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// Bytes that have arrived and are not a complete line yet.
    unread: Vec<u8>,
}

/// Why a connection can no longer be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("cannot be reached: {0}")]
    Unreachable(io::Error),
    #[error("does not answer: {0}")]
    Silent(&'static str),
    #[error("has closed the connection")]
    Closed,
    #[error("has said goodbye: {0}")]
    Goodbye(Reply),
    #[error("cannot be understood: {0}")]
    NotSmtp(ReplyError),
    #[error("cannot be understood: it speaks before it is asked")]
    OutOfTurn,
    #[error("is cut off: {0}")]
    Broken(io::Error),
}

impl From<ReplyError> for ConnectionError {
    fn from(error: ReplyError) -> Self {
        Self::NotSmtp(error)
    }
}

impl ConnectionError {
    /// Whether the server made us wait for nothing.
    pub(crate) fn is_silence(&self) -> bool {
        match self {
            Self::Silent(_) => true,
            Self::Unreachable(error) => error.kind() == ErrorKind::TimedOut,
            _ => false,
        }
    }

    /// Whether the server has sent us away, politely (421) or not, without saying anything about what was
    /// asked.
    pub(crate) fn is_dismissal(&self) -> bool {
        matches!(self, Self::Closed | Self::Goodbye(_) | Self::Broken(_))
    }
}

impl Connection {
    /// Connects within `patience`.
    pub(crate) fn open(address: SocketAddr, patience: Duration) -> Result<Self, ConnectionError> {
        let stream = TcpStream::connect_timeout(&address, at_least_a_moment(patience))
            .map_err(ConnectionError::Unreachable)?;
        // Each command is one packet, and the next command has to wait for it.
        stream.set_nodelay(true).map_err(ConnectionError::Broken)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Sends a line, and waits for the reply.
    ///
    /// Anything that arrived before the line was sent is not an answer to it. Taking it for one would match
    /// every later reply with the wrong command.
    pub(crate) fn ask(&mut self, line: &str, until: Instant) -> Result<Reply, ConnectionError> {
        debug_assert!(!line.contains(char::is_control), "{line:?}");
        if self.has_something()? {
            return Err(match self.reply(until) {
                Err(ConnectionError::Goodbye(reply)) => ConnectionError::Goodbye(reply),
                Err(ConnectionError::Closed) => ConnectionError::Closed,
                _ => ConnectionError::OutOfTurn,
            });
        }
        self.stream.set_write_timeout(Some(left(until)?)).map_err(ConnectionError::Broken)?;
        self.stream.write_all(format!("{line}\r\n").as_bytes()).map_err(gone)?;
        self.reply(until)
    }

    /// Waits for a reply. One that closes the connection (421) is an error.
    pub(crate) fn reply(&mut self, until: Instant) -> Result<Reply, ConnectionError> {
        let mut parser = ReplyParser::default();
        loop {
            let line = self.line(until)?;
            match parser.push(&line)? {
                Some(reply) if reply.is_goodbye() => return Err(ConnectionError::Goodbye(reply)),
                Some(reply) => return Ok(reply),
                None => {}
            }
        }
    }

    /// The next line without its end.
    fn line(&mut self, until: Instant) -> Result<Vec<u8>, ConnectionError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.unread[searched..].iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<_> = self.unread.drain(..=searched + end).collect();
                line.pop();
                line.pop_if(|byte| *byte == b'\r');
                return Ok(line);
            }
            searched = self.unread.len();
            if searched > LINE_BYTES_MAX {
                return Err(ReplyError::LongLine.into());
            }
            self.fill(until)?;
        }
    }

    fn fill(&mut self, until: Instant) -> Result<(), ConnectionError> {
        self.stream.set_read_timeout(Some(left(until)?)).map_err(ConnectionError::Broken)?;
        let mut buffer = [0; READ_BYTES];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(ConnectionError::Closed),
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(gone(error)),
        }
    }

    /// Whether something has arrived unasked. The end of the connection counts, too.
    fn has_something(&mut self) -> Result<bool, ConnectionError> {
        if !self.unread.is_empty() {
            return Ok(true);
        }
        self.stream.set_nonblocking(true).map_err(ConnectionError::Broken)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).map_err(ConnectionError::Broken)?;
        match peeked {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(gone(error)),
        }
    }
}

/// The time left.
fn left(until: Instant) -> Result<Duration, ConnectionError> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(ConnectionError::Silent("its time is over"))
    } else {
        Ok(at_least_a_moment(left))
    }
}

/// A timeout of nothing, or of less than the clock's tick, would be one of for ever, or an error.
fn at_least_a_moment(duration: Duration) -> Duration {
    duration.max(Duration::from_millis(1))
}

fn gone(error: io::Error) -> ConnectionError {
    match error.kind() {
        // Linux says the first for a timeout of a socket.
        ErrorKind::WouldBlock | ErrorKind::TimedOut => ConnectionError::Silent("its time is over"),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            ConnectionError::Closed
        }
        _ => ConnectionError::Broken(error),
    }
}
