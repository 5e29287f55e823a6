//! The talk with a command while it runs: feeds it the record, and takes what it writes.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use nix::poll::PollFlags;
use simplegrid_child_process::{Child, LastWords, Lines, wait_for, watched};
use simplegrid_plugin_api::{Line, Output, Result};

/// Bytes that are read at once: what a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// How the talk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The command has ended, and everything that it wrote has been taken.
    Everything,
    /// It took too long.
    TimedOut,
}

/// Buffers that are used for one command after the other.
#[derive(Debug)]
pub(crate) struct Exchange {
    buffer: Box<[u8]>,
    lines: Lines,
    last_words: LastWords,
}

impl Default for Exchange {
    fn default() -> Self {
        Self { buffer: vec![0; READ_BYTES].into(), lines: Lines::default(), last_words: LastWords::default() }
    }
}

impl Exchange {
    /// What the last command has said on its standard error.
    pub(crate) fn last_words(&self) -> &LastWords {
        &self.last_words
    }

    /// Writes `input` and a line break to the command, and makes a row of each line that it writes, until it
    /// has ended. A command need not read what it is given.
    ///
    /// # Errors
    /// Those of the system, or if a row is refused. The command still runs then.
    pub(crate) fn carry(
        &mut self,
        child: &mut Child,
        errors: &File,
        input: Option<&[u8]>,
        deadline: Option<Instant>,
        output: &mut Output<Line>,
    ) -> Result<Heard> {
        self.lines.clear();
        self.last_words.clear();
        let mut input = Input::of(input.unwrap_or_default());
        let mut output_open = true;
        loop {
            // Most records fit into a pipe, so this is over before the command has begun.
            if let Some(pipe) = &mut child.input
                && input.write_to(pipe)?
            {
                child.input = None;
            }
            let ended = {
                let mut waiting =
                    vec![watched(&child.death, PollFlags::POLLIN), watched(errors, PollFlags::POLLIN)];
                if output_open {
                    waiting.push(watched(&child.output, PollFlags::POLLIN));
                }
                if let Some(pipe) = &child.input {
                    waiting.push(watched(pipe, PollFlags::POLLOUT));
                }
                if !wait_for(&mut waiting, deadline)? {
                    self.take_errors(errors)?;
                    self.last_words.finish();
                    return Ok(Heard::TimedOut);
                }
                waiting[0].any() == Some(true)
            };
            output_open = output_open && self.take_output(&mut child.output, output)?;
            self.take_errors(errors)?;
            if ended {
                // Only what a process that it has left behind may still write is not here yet.
                self.lines.finish(|line| output.line(line))?;
                self.last_words.finish();
                return Ok(Heard::Everything);
            }
        }
    }

    /// Takes what is there. Returns whether more can come.
    fn take_output(&mut self, from: &mut File, output: &mut Output<Line>) -> Result<bool> {
        loop {
            match read(&mut *from, &mut self.buffer)? {
                None => return Ok(true),
                Some(0) => return Ok(false),
                Some(bytes) => self.lines.push(&self.buffer[..bytes], |line| output.line(line))?,
            }
        }
    }

    fn take_errors(&mut self, mut from: &File) -> io::Result<()> {
        while let Some(bytes @ 1..) = read(&mut from, &mut self.buffer)? {
            self.last_words.push(&self.buffer[..bytes]);
        }
        Ok(())
    }
}

/// Reads what is there; `None` if nothing is.
fn read(mut from: impl Read, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match from.read(buffer) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What is left to write: the record, and the line break behind it.
struct Input<'a> {
    record: &'a [u8],
    end: &'a [u8],
}

impl<'a> Input<'a> {
    fn of(record: &'a [u8]) -> Self {
        Self { record, end: b"\n" }
    }

    /// Writes what the pipe takes now. Returns whether there is nothing more to write.
    fn write_to(&mut self, pipe: &mut File) -> io::Result<bool> {
        loop {
            let parts = [io::IoSlice::new(self.record), io::IoSlice::new(self.end)];
            match pipe.write_vectored(&parts) {
                Ok(bytes) => {
                    let of_record = bytes.min(self.record.len());
                    self.record = &self.record[of_record..];
                    self.end = &self.end[bytes - of_record..];
                    if self.end.is_empty() {
                        return Ok(true);
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(false),
                    ErrorKind::Interrupted => {}
                    // It does not want to read any more.
                    ErrorKind::BrokenPipe => return Ok(true),
                    _ => return Err(error),
                },
            }
        }
    }
}
