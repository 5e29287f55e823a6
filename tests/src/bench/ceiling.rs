//! The speed of light for a grid of this shape, with none of our code in it: the same hops, and nothing done
//! at them.
//!
//! A file is read in blocks, which go over TCP to a relay, over socketpairs to its workers, and back as
//! acknowledgements or echoes. The processes are this program again; the first words of each tell it which
//! part it plays ([`play`]). No block is checked, kept or tried again.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};

/// The first word of a call that is a part of the ceiling.
pub const WORD: &str = "ceiling";

/// Bytes of a block: what our own readers read at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// What workers do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Add up a number in it.
    Acknowledge,
    /// Add up a number in it, and send it back.
    Echo,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Echo => "echo",
        }
    }
}

/// Sends a file through, with two workers, and returns the seconds that this took.
///
/// # Errors
/// If a process or a socket fails, or records are missing at the end.
pub fn pass(input: &Path, records: u64, kind: Kind) -> anyhow::Result<f64> {
    let (mut relay, mut stream) = start(2, kind)?;
    let mut answers = stream.try_clone()?;
    let mut input = File::open(input)?;
    let began = Instant::now();
    let collector = thread::spawn(move || collect(&mut answers));
    let (mut block, mut filled) = (vec![0; BLOCK_BYTES], 0);
    loop {
        let read = input.read(&mut block[filled..])?;
        if read == 0 {
            break;
        }
        filled += read;
        if let Some(newline) = block[..filled].iter().rposition(|byte| *byte == b'\n') {
            let whole = newline + 1;
            stream.write_all(&(whole as u64).to_le_bytes())?;
            stream.write_all(&block[..whole])?;
            block.copy_within(whole..filled, 0);
            filled -= whole;
        }
    }
    stream.shutdown(Shutdown::Write)?;
    let seen = collector.join().expect("the collector does not panic")?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(relay.wait()?.success(), "the ceiling's relay has failed");
    ensure!(seen == records, "{seen} of {records} records came back through the ceiling");
    Ok(seconds)
}

/// Sends one record there and back so often, and returns the seconds that each took.
///
/// # Errors
/// If a process or a socket fails.
pub fn round_trips(count: usize) -> anyhow::Result<Vec<f64>> {
    let (mut relay, mut stream) = start(1, Kind::Echo)?;
    let record = b"one record\n";
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        let mut frame = (record.len() as u64).to_le_bytes().to_vec();
        frame.extend_from_slice(record);
        stream.write_all(&frame)?;
        let mut answer = [0; 16 + 11];
        stream.read_exact(&mut answer)?;
        times.push(began.elapsed().as_secs_f64());
    }
    stream.shutdown(Shutdown::Write)?;
    ensure!(relay.wait()?.success(), "the ceiling's relay has failed");
    Ok(times)
}

fn start(workers: usize, kind: Kind) -> anyhow::Result<(Child, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port().to_string();
    let mut relay = Command::new(std::env::current_exe()?);
    let relay = relay.args([WORD, "relay", &port, &workers.to_string(), kind.word()]).stdin(Stdio::null());
    let relay = relay.spawn().context("starting the ceiling's relay")?;
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok((relay, stream))
}

fn collect(answers: &mut TcpStream) -> io::Result<u64> {
    let mut sink = File::create("/dev/null")?;
    let (mut total, mut head, mut rows) = (0, [0; 16], Vec::new());
    while is_read(answers.read_exact(&mut head))? {
        total += number(&head);
        rows.resize(number(&head[8..]) as usize, 0);
        answers.read_exact(&mut rows)?;
        sink.write_all(&rows)?;
    }
    Ok(total)
}

/// Plays a part of the ceiling, as the words of the command line say.
///
/// # Errors
/// If the words make no sense, or a socket fails.
pub fn play(words: &[String]) -> anyhow::Result<()> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["relay", port, workers, kind] => relay(port.parse()?, workers.parse()?, kind),
        ["worker", kind] => {
            let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
            Ok(work(socket, kind == Kind::Echo.word())?)
        }
        _ => anyhow::bail!("`{WORD}` is for the benches themselves"),
    }
}

fn relay(port: u16, workers: usize, kind: &str) -> anyhow::Result<()> {
    let mut master = TcpStream::connect(("127.0.0.1", port))?;
    master.set_nodelay(true)?;
    let answers = Arc::new(Mutex::new(master.try_clone()?));
    let (mut sockets, mut children, mut threads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..workers {
        let (ours, theirs) = UnixStream::pair()?;
        let mut worker = Command::new(std::env::current_exe()?);
        children.push(worker.args([WORD, "worker", kind]).stdin(OwnedFd::from(theirs)).spawn()?);
        let (socket, answers) = (ours.try_clone()?, answers.clone());
        threads.push(thread::spawn(move || give_back(socket, &answers)));
        sockets.push(ours);
    }
    let (mut head, mut block, mut next) = ([0; 8], Vec::new(), 0);
    while is_read(master.read_exact(&mut head))? {
        block.resize(number(&head) as usize, 0);
        master.read_exact(&mut block)?;
        let socket = &mut sockets[next % workers];
        next += 1;
        socket.write_all(&head)?;
        socket.write_all(&block)?;
    }
    sockets.iter().try_for_each(|socket| socket.shutdown(Shutdown::Write))?;
    for thread in threads {
        thread.join().expect("no thread of the ceiling panics")?;
    }
    for mut child in children {
        ensure!(child.wait()?.success(), "a worker of the ceiling has failed");
    }
    Ok(())
}

fn give_back(mut socket: UnixStream, answers: &Mutex<TcpStream>) -> io::Result<()> {
    let (mut head, mut rows) = ([0; 16], Vec::new());
    while is_read(socket.read_exact(&mut head))? {
        rows.resize(number(&head[8..]) as usize, 0);
        socket.read_exact(&mut rows)?;
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.write_all(&head)?;
        answers.write_all(&rows)?;
    }
    Ok(())
}

fn work(mut socket: UnixStream, echo: bool) -> io::Result<()> {
    let call: fn(&[u8]) -> u64 = std::hint::black_box(add_up);
    let (mut sum, mut block, mut rows, mut head) = (0_u64, Vec::new(), Vec::new(), [0; 8]);
    while is_read(socket.read_exact(&mut head))? {
        block.resize(number(&head) as usize, 0);
        socket.read_exact(&mut block)?;
        rows.clear();
        let (mut start, mut records) = (0, 0_u64);
        for end in memchr::memchr_iter(b'\n', &block) {
            sum = sum.wrapping_add(call(&block[start..end]));
            if echo {
                rows.extend_from_slice(&block[start..=end]);
            }
            start = end + 1;
            records += 1;
        }
        socket.write_all(&records.to_le_bytes())?;
        socket.write_all(&(rows.len() as u64).to_le_bytes())?;
        socket.write_all(&rows)?;
    }
    std::hint::black_box(sum);
    Ok(())
}

/// The number after the first comma.
#[inline(never)]
fn add_up(record: &[u8]) -> u64 {
    let Some(comma) = memchr::memchr(b',', record) else { return 0 };
    let digits = record[comma + 1..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: u64, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
}

/// Whether something was read; `false` at the end.
fn is_read(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("a head has eight bytes"))
}
