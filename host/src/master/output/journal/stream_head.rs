//! The first bytes of the input as a number, so that another input is noticed even if it has no name. Pure.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

use super::error::Difference;
use crate::limits::JOURNAL_HEAD_BYTES;

/// The beginning of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamHead {
    /// How many of its bytes were looked at: those that came first, and at most [`JOURNAL_HEAD_BYTES`].
    pub bytes: u64,
    /// Their xxh3.
    pub hash: u64,
}

/// Takes the head off an input that comes piece by piece.
pub(super) struct HeadProbe {
    /// How many bytes it must have; `None` to take what the first piece has.
    wanted: Option<u64>,
    bytes: u64,
    hasher: Xxh3Default,
}

impl HeadProbe {
    /// For an input of which nothing has been read. A run that goes on looks at as many bytes as `earlier`
    /// has. A first run takes the first piece as it comes: a pipe may give no more for a long time.
    pub(super) fn new(earlier: Option<&StreamHead>) -> Self {
        let wanted = earlier.map(|head| head.bytes.min(JOURNAL_HEAD_BYTES));
        Self { wanted, bytes: 0, hasher: Xxh3Default::new() }
    }

    /// The next bytes of the input. Returns the head once it is complete.
    pub(super) fn on_bytes(&mut self, bytes: &[u8]) -> Option<StreamHead> {
        let missing = self.wanted.unwrap_or(JOURNAL_HEAD_BYTES) - self.bytes;
        let taken = &bytes[..bytes.len().min(missing as usize)];
        self.hasher.update(taken);
        self.bytes += taken.len() as u64;
        (self.bytes >= self.wanted.unwrap_or(0)).then(|| self.head())
    }

    /// The head, if the input ends here.
    pub(super) fn head(&self) -> StreamHead {
        StreamHead { bytes: self.bytes, hash: self.hasher.digest() }
    }
}

impl StreamHead {
    /// Whether an input begins as the one of the journal did.
    ///
    /// # Errors
    /// The difference, for people.
    pub(crate) fn check(&self, earlier: &Self) -> Result<(), Difference> {
        if self == earlier {
            return Ok(());
        }
        let text = |head: &Self| match head.bytes {
            0 => "empty".to_owned(),
            bytes => format!("{:016x} (xxh3 of {bytes} bytes)", head.hash),
        };
        Err(Difference::of("the beginning of the input", text(earlier), text(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_run_takes_what_comes_first_and_the_next_one_looks_at_as_much() {
        let first = HeadProbe::new(None).on_bytes(b"one\ntwo\n").unwrap();
        assert_eq!(first.bytes, 8);
        let mut again = HeadProbe::new(Some(&first));
        assert_eq!(again.on_bytes(b"one\n"), None);
        assert_eq!(again.on_bytes(b"two\nthree\n"), Some(first), "how it is cut into pieces does not matter");
        let mut other = HeadProbe::new(Some(&first));
        let other = other.on_bytes(b"one\ntwo ").unwrap();
        assert!(other.check(&first).is_err());
    }

    #[test]
    fn no_more_is_looked_at_than_the_limit() {
        let long = vec![b'x'; JOURNAL_HEAD_BYTES as usize + 9];
        let head = HeadProbe::new(None).on_bytes(&long).unwrap();
        assert_eq!(head.bytes, JOURNAL_HEAD_BYTES);
        assert_eq!(HeadProbe::new(Some(&head)).on_bytes(&long[..long.len() - 9]), Some(head));
    }

    #[test]
    fn an_input_that_ends_too_early_is_another() {
        let first = HeadProbe::new(None).on_bytes(b"one\ntwo\n").unwrap();
        let mut again = HeadProbe::new(Some(&first));
        again.on_bytes(b"one\n");
        let difference = again.head().check(&first).unwrap_err();
        assert!(difference.to_string().contains("(xxh3 of 4 bytes)"), "{difference}");
    }
}
