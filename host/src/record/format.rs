//! What a record is in each input format: where it ends, and what of it is content.
//!
//! `docs/formats.md` is the user's side of this file. It knows nothing of files, buffers or fields.

use serde::{Deserialize, Serialize};

/// How the input is divided into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A record is a line. A carriage return before the newline belongs to the terminator.
    #[default]
    Lines,
    /// A record is a line, except that newlines between quotes belong to it (RFC 4180).
    Csv,
    /// A record ends with a zero byte, as `find -print0` writes it.
    Nul,
}

impl Format {
    /// The byte that ends a record (in csv only outside quotes).
    pub fn terminator(self) -> u8 {
        match self {
            Self::Lines | Self::Csv => b'\n',
            Self::Nul => 0,
        }
    }

    /// The record without its terminator. The last record of an input can lack it.
    pub fn content(self, record: &[u8]) -> &[u8] {
        let Some(content) = record.strip_suffix(&[self.terminator()]) else {
            return record;
        };
        match self {
            Self::Lines | Self::Csv => content.strip_suffix(b"\r").unwrap_or(content),
            Self::Nul => content,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminator_is_not_content() {
        for format in [Format::Lines, Format::Csv] {
            assert_eq!(format.content(b"a\n"), b"a");
            assert_eq!(format.content(b"a\r\n"), b"a");
            assert_eq!(format.content(b"a\r\r\n"), b"a\r");
            assert_eq!(format.content(b"a\r"), b"a\r");
            assert_eq!(format.content(b"a"), b"a");
            assert_eq!(format.content(b"\n"), b"");
            assert_eq!(format.content(b"\r\n"), b"");
            assert_eq!(format.content(b"\xff\xfe\n"), b"\xff\xfe");
        }
        assert_eq!(Format::Nul.content(b"a\r\n\0"), b"a\r\n");
        assert_eq!(Format::Nul.content(b"a\n"), b"a\n");
        assert_eq!(Format::Nul.content(b"\0"), b"");
    }
}
