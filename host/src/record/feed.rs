//! One input as its records are read from it: as it is, or unpacked, if its first bytes say that it is
//! compressed.

use std::io::{self, Read};

use super::compression::{BEGINNING_BYTES_MAX, Beginning};
use super::input::{InputSource, ReadError, Readiness};
use super::unpacked_input::UnpackedInput;

/// The input.
#[derive(Debug)]
pub(super) struct Feed {
    from: Source,
    /// Bytes that were looked at, and are to be read first.
    beginning: io::Cursor<Vec<u8>>,
}

/// What is behind it.
#[derive(Debug)]
enum Source {
    /// An input of which it is not known whether it is compressed.
    Unknown(InputSource, Beginning),
    /// One that is not compressed.
    Plain(InputSource),
    /// One that is.
    Unpacked(UnpackedInput),
    /// Nothing more: a terminal would go on after its end.
    Ended,
}

impl Feed {
    /// Reads nothing yet.
    pub(super) fn new(input: InputSource) -> Self {
        let from = match input.may_be_compressed() {
            true => Source::Unknown(input, Beginning::default()),
            false => Source::Plain(input),
        };
        Self { from, beginning: io::Cursor::default() }
    }

    /// Whether a read would return at once; with `may_wait`, waits until it would. The wait ends when the
    /// other end of `stop` is closed.
    pub(super) fn poll(&self, stop: &io::PipeReader, may_wait: bool) -> Result<Readiness, ReadError> {
        match &self.from {
            _ if self.bytes_unread() > 0 => Ok(Readiness::Ready),
            Source::Unknown(input, _) | Source::Plain(input) => input.poll(stop, may_wait),
            Source::Unpacked(input) => input.poll(stop, may_wait),
            Source::Ended => Ok(Readiness::Ready),
        }
    }

    /// Reads what fits in `room`: `Some(0)` at the end, `None` if there is nothing at the moment.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Result<Option<usize>, ReadError> {
        if self.bytes_unread() > 0 {
            return Ok(self.beginning.read(room).ok());
        }
        match &mut self.from {
            // What comes next, and from where, may have to be waited for.
            Source::Unknown(..) => self.look().map(|()| None),
            Source::Plain(input) => input.read(room),
            Source::Unpacked(input) => input.read(room),
            Source::Ended => Ok(Some(0)),
        }
    }

    /// About how many bytes are left to read, if that can be known.
    pub(super) fn bytes_left(&self) -> Option<u64> {
        let left = match &self.from {
            Source::Unknown(input, beginning) => input.bytes_left().map(|left| left + beginning.bytes()),
            Source::Plain(input) => input.bytes_left(),
            Source::Unpacked(input) => input.bytes_left(),
            Source::Ended => Some(0),
        };
        left.map(|left| left.saturating_add(self.bytes_unread()))
    }

    fn bytes_unread(&self) -> u64 {
        self.beginning.get_ref().len() as u64 - self.beginning.position()
    }

    /// Reads a little, and begins as soon as it is known how the input is compressed.
    fn look(&mut self) -> Result<(), ReadError> {
        let Source::Unknown(mut input, mut beginning) = std::mem::replace(&mut self.from, Source::Ended)
        else {
            return Ok(());
        };
        let mut more = [0; BEGINNING_BYTES_MAX];
        let read = input.read(&mut more[..beginning.bytes_missing()])?;
        beginning.push(&more[..read.unwrap_or(0)]);
        let has_ended = read == Some(0);
        if beginning.bytes_missing() > 0 && !has_ended {
            self.from = Source::Unknown(input, beginning);
            return Ok(());
        }
        let compression = beginning.compression();
        let bytes = beginning.into_bytes();
        if compression.is_some() {
            self.from = Source::Unpacked(UnpackedInput::start(input, bytes)?);
            return Ok(());
        }
        if !has_ended {
            self.from = Source::Plain(input);
        }
        self.beginning = io::Cursor::new(bytes);
        Ok(())
    }
}
