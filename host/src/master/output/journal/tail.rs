//! The last bytes of a file that is only appended to, kept while it is written, so that a change by someone
//! else can be noticed later. Pure.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::limits::JOURNAL_TAIL_BYTES;

/// How a file stood at a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct FileMark {
    /// Its bytes.
    pub bytes: u64,
    /// The xxh3 of the last [`JOURNAL_TAIL_BYTES`] of them, or of all if there are fewer.
    pub tail: u64,
}

/// The end of a file.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// All bytes of the file.
    bytes: u64,
    /// Its last bytes, and perhaps as many again before them: they are thrown away all at once.
    last: Vec<u8>,
}

impl Tail {
    /// Of a file with so many bytes, of which these are the last.
    pub(super) fn new(bytes: u64, last: Vec<u8>) -> Self {
        Self { bytes, last }
    }

    /// The file grows.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let new = &bytes[bytes.len().saturating_sub(JOURNAL_TAIL_BYTES)..];
        if self.last.len() + new.len() > 2 * JOURNAL_TAIL_BYTES {
            let kept = JOURNAL_TAIL_BYTES - new.len();
            self.last.drain(..self.last.len().saturating_sub(kept));
        }
        self.last.extend_from_slice(new);
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How the file stands.
    pub(crate) fn mark(&self) -> FileMark {
        let last = &self.last[self.last.len().saturating_sub(JOURNAL_TAIL_BYTES)..];
        FileMark { bytes: self.bytes, tail: xxh3_64(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_same_mark_whatever_pieces_it_was_written_in() {
        let file: Vec<u8> = (0..3 * JOURNAL_TAIL_BYTES + 7).map(|at| (at % 251) as u8).collect();
        for piece in [1, 1000, JOURNAL_TAIL_BYTES - 1, JOURNAL_TAIL_BYTES, 2 * JOURNAL_TAIL_BYTES + 1] {
            let mut tail = Tail::default();
            for (index, bytes) in file.chunks(piece).enumerate() {
                tail.push(bytes);
                let written = (index * piece + bytes.len()).min(file.len());
                assert!(tail.last.len() <= 2 * JOURNAL_TAIL_BYTES);
                if piece > 1 || written.is_multiple_of(10_007) || written == file.len() {
                    let last = &file[written.saturating_sub(JOURNAL_TAIL_BYTES)..written];
                    let expected = FileMark { bytes: written as u64, tail: xxh3_64(last) };
                    assert_eq!(tail.mark(), expected, "{written} bytes in pieces of {piece}");
                }
            }
        }
    }
}
