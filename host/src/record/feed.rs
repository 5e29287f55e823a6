//! One input as its records are read from it: as it is, or unpacked, if its first bytes say that it is
//! compressed.

use std::io::{self, Read};

use super::compression::{BEGINNING_BYTES_MAX, Beginning};
use super::input::{InputSource, ReadError, Readiness};
use super::unpacked_input::UnpackedInput;

/// The input.
#[derive(Debug)]
pub(super) struct Feed {
    from: Origin,
    /// Bytes that were looked at, and are to be read first.
    beginning: io::Cursor<Vec<u8>>,
}

/// What is behind it.
#[derive(Debug)]
enum Origin {
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
            true => Origin::Unknown(input, Beginning::default()),
            false => Origin::Plain(input),
        };
        Self { from, beginning: io::Cursor::default() }
    }

    /// Whether a read would return at once; with `may_wait`, waits until it would. The wait ends when the
    /// other end of `stop` is closed.
    pub(super) fn poll(&self, stop: &io::PipeReader, may_wait: bool) -> Result<Readiness, ReadError> {
        match &self.from {
            _ if self.bytes_unread() > 0 => Ok(Readiness::Ready),
            Origin::Unknown(input, _) | Origin::Plain(input) => input.poll(stop, may_wait),
            Origin::Unpacked(input) => input.poll(stop, may_wait),
            Origin::Ended => Ok(Readiness::Ready),
        }
    }

    /// Reads what fits in `room`: `Some(0)` at the end, `None` if there is nothing at the moment.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Result<Option<usize>, ReadError> {
        if self.bytes_unread() > 0 {
            return Ok(self.beginning.read(room).ok());
        }
        match &mut self.from {
            // What comes next, and from where, may have to be waited for.
            Origin::Unknown(..) => self.look().map(|()| None),
            Origin::Plain(input) => input.read(room),
            Origin::Unpacked(input) => input.read(room),
            Origin::Ended => Ok(Some(0)),
        }
    }

    /// About how many bytes are left to read, if that can be known.
    pub(super) fn bytes_left(&self) -> Option<u64> {
        let left = match &self.from {
            Origin::Unknown(input, beginning) => input.bytes_left().map(|left| left + beginning.bytes()),
            Origin::Plain(input) => input.bytes_left(),
            Origin::Unpacked(input) => input.bytes_left(),
            Origin::Ended => Some(0),
        };
        left.map(|left| left.saturating_add(self.bytes_unread()))
    }

    fn bytes_unread(&self) -> u64 {
        self.beginning.get_ref().len() as u64 - self.beginning.position()
    }

    /// Reads a little, and begins as soon as it is known how the input is compressed.
    fn look(&mut self) -> Result<(), ReadError> {
        let Origin::Unknown(mut input, mut beginning) = std::mem::replace(&mut self.from, Origin::Ended)
        else {
            return Ok(());
        };
        let mut more = [0; BEGINNING_BYTES_MAX];
        let read = input.read(&mut more[..beginning.bytes_missing()])?;
        beginning.push(&more[..read.unwrap_or(0)]);
        let has_ended = read == Some(0);
        if beginning.bytes_missing() > 0 && !has_ended {
            self.from = Origin::Unknown(input, beginning);
            return Ok(());
        }
        let compression = beginning.compression();
        let bytes = beginning.into_bytes();
        if compression.is_some() {
            self.from = Origin::Unpacked(UnpackedInput::start(input, bytes)?);
            return Ok(());
        }
        if !has_ended {
            self.from = Origin::Plain(input);
        }
        self.beginning = io::Cursor::new(bytes);
        Ok(())
    }
}
