//! The smallest client and worker that speak to gearmand (its protocol, version 1: `\0REQ` or `\0RES`, the
//! packet's type and the length of what follows, big-endian; arguments with NULs between them).

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Instant;

use super::peers::lines_of;

const CAN_DO: u32 = 1;
const PRE_SLEEP: u32 = 4;
const NOOP: u32 = 6;
const SUBMIT_JOB: u32 = 7;
const JOB_CREATED: u32 = 8;
const GRAB_JOB: u32 = 9;
const NO_JOB: u32 = 10;
const JOB_ASSIGN: u32 = 11;
const WORK_COMPLETE: u32 = 13;

const FUNCTION: &[u8] = b"echo";

/// A connection to a server.
struct Connection {
    reader: BufReader<TcpStream>,
    stream: TcpStream,
}

impl Connection {
    fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream.try_clone()?), stream })
    }

    fn send(&mut self, packet: u32, arguments: &[&[u8]]) -> io::Result<()> {
        let body = arguments.join(&0);
        let mut bytes = b"\0REQ".to_vec();
        bytes.extend_from_slice(&packet.to_be_bytes());
        bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&body);
        self.stream.write_all(&bytes)
    }

    fn receive(&mut self) -> io::Result<(u32, Vec<u8>)> {
        let mut head = [0; 12];
        self.reader.read_exact(&mut head)?;
        let number =
            |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().expect("four bytes are a number"));
        let mut body = vec![0; number(8) as usize];
        self.reader.read_exact(&mut body)?;
        Ok((number(4), body))
    }
}

/// Sends all lines of a file as jobs, so many at a time, to so many workers that return them, and returns the
/// seconds that this took.
///
/// # Errors
/// If the server fails, or an answer is missing.
pub(super) fn seconds(port: u16, input: &Path, workers: usize, in_flight: usize) -> anyhow::Result<f64> {
    let lines = lines_of(input)?;
    let mut streams = Vec::new();
    let mut threads = Vec::new();
    for _ in 0..workers {
        let mut connection = Connection::open(port)?;
        connection.send(CAN_DO, &[FUNCTION])?;
        streams.push(connection.stream.try_clone()?);
        threads.push(thread::spawn(move || work(connection)));
    }
    let mut client = Connection::open(port)?;
    let began = Instant::now();
    let mut waiting: VecDeque<_> = lines.iter().collect();
    let (mut open, mut done) = (0, 0);
    while done < lines.len() {
        while open < in_flight
            && let Some(line) = waiting.pop_front()
        {
            client.send(SUBMIT_JOB, &[FUNCTION, b"", line])?;
            open += 1;
        }
        match client.receive()? {
            (JOB_CREATED, _) => {}
            (WORK_COMPLETE, _) => {
                open -= 1;
                done += 1;
            }
            (other, body) => anyhow::bail!("gearmand said {other}: {}", String::from_utf8_lossy(&body)),
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    for stream in streams {
        stream.shutdown(Shutdown::Both)?;
    }
    for thread in threads {
        // The worker ends with the error that its connection is closed.
        let _ = thread.join().expect("a worker does not panic");
    }
    Ok(seconds)
}

fn work(mut connection: Connection) -> io::Result<()> {
    loop {
        connection.send(GRAB_JOB, &[])?;
        match connection.receive()? {
            (JOB_ASSIGN, body) => {
                let mut parts = body.splitn(3, |byte| *byte == 0);
                let (handle, line) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
                connection.send(WORK_COMPLETE, &[handle, line])?;
            }
            (NO_JOB, _) => {
                connection.send(PRE_SLEEP, &[])?;
                while connection.receive()?.0 != NOOP {}
            }
            _ => {}
        }
    }
}
