//! What a record is in each input format: where it ends, and what of it is content.
//!
//! `docs/formats.md` is the user's side of this file. It knows nothing of files, buffers or fields.

use std::fmt;
use std::str::FromStr;

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

/// A word that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use the format `{0}`: it is one of lines, csv and nul")]
pub struct UnknownFormat(String);

impl Format {
    /// The byte that ends a record (in csv only outside quotes).
    pub fn terminator(self) -> u8 {
        match self {
            Self::Lines | Self::Csv => b'\n',
            Self::Nul => 0,
        }
    }

    /// The record without its terminator. The last record of an input may have none.
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

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lines => "lines",
            Self::Csv => "csv",
            Self::Nul => "nul",
        })
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        match word {
            "lines" => Ok(Self::Lines),
            "csv" => Ok(Self::Csv),
            "nul" => Ok(Self::Nul),
            _ => Err(UnknownFormat(word.to_owned())),
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

    #[test]
    fn a_format_is_read_as_it_is_written() {
        for format in [Format::Lines, Format::Csv, Format::Nul] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        let error = "json".parse::<Format>().unwrap_err();
        assert_eq!(error.to_string(), "use the format `json`: it is one of lines, csv and nul");
    }
}
