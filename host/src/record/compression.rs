//! Compressed input, known by its first bytes, so that it is not taken for lines. Pure: it reads nothing, and
//! does not know what a record is.

use std::fmt;

/// How an input is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// RFC 1952. Its only method is 8.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The size of its blocks is a digit, and the first block begins with the digits of pi.
    Bzip2,
    /// As the format of xz's files has it.
    Xz,
}

/// Every kind, with the bytes with which it begins; `?` in bzip2's stands for any byte. There is no newline
/// in them, so a line can be told from a compressed file before it is handed on.
const KINDS: [(Compression, &[u8]); 4] = [
    (Compression::Gzip, b"\x1f\x8b\x08"),
    (Compression::Zstd, b"\x28\xb5\x2f\xfd"),
    (Compression::Bzip2, b"BZh?1AY&SY"),
    (Compression::Xz, b"\xfd7zXZ\0"),
];

/// The longest of these beginnings.
pub(super) const BEGINNING_BYTES_MAX: usize = 10;

impl Compression {
    /// How an input with this beginning is compressed, if it is.
    pub(super) fn of(beginning: &[u8]) -> Option<Self> {
        let begins = |first: &[u8]| first.len() <= beginning.len() && agree(first, beginning);
        KINDS.iter().find(|(_, first)| begins(first)).map(|(kind, _)| *kind)
    }

    /// The program that writes such a file's content to its standard output.
    pub(super) fn unpacker(self) -> &'static str {
        match self {
            Self::Gzip => "zcat",
            Self::Zstd => "zstdcat",
            Self::Bzip2 => "bzcat",
            Self::Xz => "xzcat",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        })
    }
}

/// The beginning of an input that arrives in pieces, until it is known whether the input is compressed.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    bytes: Vec<u8>,
    is_settled: bool,
}

impl Beginning {
    /// Looks at the next bytes, and says how the input is compressed as soon as that is known.
    pub(super) fn look_at(&mut self, more: &[u8]) -> Option<Compression> {
        if self.is_settled {
            return None;
        }
        let room = BEGINNING_BYTES_MAX - self.bytes.len();
        self.bytes.extend_from_slice(&more[..more.len().min(room)]);
        let found = Compression::of(&self.bytes);
        self.is_settled = found.is_some() || !KINDS.iter().any(|(_, first)| agree(first, &self.bytes));
        found
    }
}

/// Whether two texts are the same as far as both go.
fn agree(first: &[u8], bytes: &[u8]) -> bool {
    first.iter().zip(bytes).all(|(expected, byte)| expected == byte || *expected == b'?')
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGINNINGS: [(&[u8], Compression); 4] = [
        (b"\x1f\x8b\x08\0rest", Compression::Gzip),
        (b"\x28\xb5\x2f\xfdrest", Compression::Zstd),
        (b"BZh91AY&SYrest", Compression::Bzip2),
        (b"\xfd7zXZ\0rest", Compression::Xz),
    ];

    #[test]
    fn each_kind_is_known_by_its_first_bytes() {
        for (bytes, kind) in BEGINNINGS {
            assert_eq!(Compression::of(bytes), Some(kind));
            assert_eq!(Beginning::default().look_at(bytes), Some(kind));
        }
        assert!(KINDS.iter().all(|(_, first)| first.len() <= BEGINNING_BYTES_MAX && !first.contains(&b'\n')));
    }

    #[test]
    fn each_kind_is_known_when_its_bytes_come_one_at_a_time() {
        for (bytes, kind) in BEGINNINGS {
            let mut beginning = Beginning::default();
            let mut found = bytes.iter().filter_map(|byte| beginning.look_at(&[*byte]));
            assert_eq!(found.next(), Some(kind));
            assert_eq!(found.next(), None, "it is said once");
        }
    }

    #[test]
    fn what_is_no_more_than_similar_is_not_compressed() {
        for bytes in [&b""[..], b"\x1f", b"\x1f\x8b\n\n", b"BZh9\n1AY&SY", b"x\x1f\x8b\x08", b"\xfd7zXZ"] {
            let mut beginning = Beginning::default();
            assert!(bytes.iter().all(|byte| beginning.look_at(&[*byte]).is_none()), "{bytes:?}");
        }
    }
}
