//! A connection that speaks Net::SimpleGrid's wire form: it cuts what comes into records and commands, and
//! sends nothing. It does not know what becomes of the records.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::limits::{BATCH_BYTES_MAX, RECORD_BYTES_MAX};
use crate::record::block::{Block, Piece};
use crate::record::{Format, Records};
use crate::wire::LineCommand;

/// When, and how often, a silent client is asked whether it is still there before it counts as gone: its
/// machine may have vanished, and others wait for their turn. (The client itself may be silent for as long as
/// it likes; its system answers.)
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVES_MAX: u32 = 3;

/// Bytes after which a line counts as long: no command is that long, so a session that only waits for a
/// record need not take the rest into memory.
const LONG_LINE_BYTES: u64 = 64 * 1024;

/// What comes from a client.
#[derive(Debug)]
pub(crate) enum LineEvent {
    /// Lines that are records.
    Records(Records),
    /// A line that is longer than a record may be: its beginning, and how many bytes it had.
    TooLong { record: Bytes, bytes: u64 },
    /// A line that has not ended yet is already long. Reported once.
    LongLine,
    /// A line that is a command.
    Command(LineCommand),
    /// The client has sent everything.
    End,
    /// The connection broke. Half a line that came before is not a record.
    Broken { error: io::Error, in_mid_line: bool },
}

/// The client's side of the conversation.
#[derive(Debug)]
pub(crate) struct LineClient {
    stream: TcpStream,
    block: Block,
    /// Lines that were cut, but not looked at yet.
    lines: Records,
    is_over: bool,
    has_told_of_long_line: bool,
}

impl LineClient {
    /// A client that has sent `beginning` so far.
    pub(crate) fn new(stream: TcpStream, beginning: &[u8]) -> Self {
        if let Err(error) = keep_alive(&stream) {
            tracing::debug!("keepalive cannot be set on a client's connection: {error}");
        }
        let mut block = Block::new(Format::Lines, RECORD_BYTES_MAX, BATCH_BYTES_MAX);
        block.room()[..beginning.len()].copy_from_slice(beginning);
        block.on_read(beginning.len());
        Self { stream, block, lines: Records::default(), is_over: false, has_told_of_long_line: false }
    }

    /// What comes next. Nothing comes after `End` or `Broken`. Cancel safe.
    pub(crate) async fn next(&mut self) -> LineEvent {
        loop {
            if !self.lines.is_empty() {
                return self.take_line_or_records();
            }
            match self.block.take() {
                Some(Piece::Records(lines)) => self.lines = lines,
                Some(Piece::TooLong { record, bytes }) => return LineEvent::TooLong { record, bytes },
                None if self.is_over => return LineEvent::End,
                None if self.block.bytes_held() > LONG_LINE_BYTES && !self.has_told_of_long_line => {
                    self.has_told_of_long_line = true;
                    return LineEvent::LongLine;
                }
                None => {
                    if let Err(error) = self.read().await {
                        let in_mid_line = self.block.bytes_held() > 0;
                        return LineEvent::Broken { error, in_mid_line };
                    }
                }
            }
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        let bytes = self.stream.read(self.block.room()).await?;
        if bytes == 0 {
            self.is_over = true;
            // The last line can lack its end, like the last line of a file.
            self.block.on_input_ended();
        } else {
            self.block.on_read(bytes);
        }
        Ok(())
    }

    /// The first of the lines if it is a command; otherwise all lines before the next command.
    fn take_line_or_records(&mut self) -> LineEvent {
        if let Some(command) = LineCommand::parse(Format::Lines.content(self.lines.get(0))) {
            self.lines = self.lines.slice(1..self.lines.len());
            return LineEvent::Command(command);
        }
        let next_command = (1..self.lines.len()).find(|index| is_command(self.lines.get(*index)));
        let records = self.lines.slice(0..next_command.unwrap_or(self.lines.len()));
        self.lines = self.lines.slice(records.len()..self.lines.len());
        LineEvent::Records(records)
    }
}

fn is_command(line: &[u8]) -> bool {
    line.first() == Some(&b':') && LineCommand::parse(Format::Lines.content(line)).is_some()
}

fn keep_alive(stream: &TcpStream) -> nix::Result<()> {
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &seconds(KEEPALIVE_AFTER))?;
    setsockopt(stream, sockopt::TcpKeepInterval, &seconds(KEEPALIVE_EVERY))?;
    setsockopt(stream, sockopt::TcpKeepCount, &KEEPALIVES_MAX)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::wire::LineScheduler;

    async fn connected(beginning: &[u8]) -> (TcpStream, LineClient) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        (client, LineClient::new(stream, beginning))
    }

    /// All events as texts, those of records joined by bars.
    async fn all(mut client: LineClient) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        loop {
            match client.next().await {
                LineEvent::Records(records) => {
                    all.extend(records.iter().map(|line| String::from_utf8_lossy(line).into_owned()));
                }
                LineEvent::TooLong { bytes, .. } => all.push(format!("[{bytes} bytes]")),
                LineEvent::LongLine => all.push("[a long line]".into()),
                LineEvent::Command(command) => all.push(format!("[{command:?}]")),
                LineEvent::End => return all,
                LineEvent::Broken { in_mid_line, .. } => {
                    all.push(format!("[broken, in mid-line: {in_mid_line}]"));
                    return all;
                }
            }
        }
    }

    #[tokio::test]
    async fn records_and_commands_come_in_their_order() {
        let (mut peer, client) = connected(b":do").await;
        peer.write_all(b"ne=1\na\n:b\n:scheduler=partitioned\nc\r\nd\n:x=y\ne").await.unwrap();
        drop(peer);
        let other = LineCommand::Other { name: "x".into(), value: "y".into() };
        let expected = [
            format!("[{:?}]", LineCommand::Done(true)),
            "a\n".into(),
            ":b\n".into(),
            format!("[{:?}]", LineCommand::Scheduler(LineScheduler::Partitioned)),
            "c\r\n".into(),
            "d\n".into(),
            format!("[{other:?}]"),
            "e".into(),
        ];
        assert_eq!(all(client).await, expected);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_counted_and_dropped() {
        let (mut peer, client) = connected(b"a\n").await;
        let writing = tokio::spawn(async move {
            let long = vec![b'x'; RECORD_BYTES_MAX + 1];
            peer.write_all(&long).await.unwrap();
            peer.write_all(b"\nb\n").await.unwrap();
        });
        let too_long = format!("[{} bytes]", RECORD_BYTES_MAX + 2);
        assert_eq!(all(client).await, ["a\n", "[a long line]", &too_long, "b\n"]);
        writing.await.unwrap();
    }

    #[tokio::test]
    async fn half_a_line_of_a_connection_that_breaks_is_no_record() {
        let (mut peer, client) = connected(b"").await;
        peer.write_all(b"a\nhalf").await.unwrap();
        // A socket that is closed without lingering resets the connection.
        setsockopt(&peer, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
        let mut client = client;
        let LineEvent::Records(records) = client.next().await else { panic!("a record came") };
        assert_eq!(records.len(), 1);
        drop(peer);
        assert_eq!(all(client).await, ["[broken, in mid-line: true]"]);
    }
}
