//! How an input or an output can be compressed: an input is known by its first bytes, an output by its name.
//! Pure: it reads nothing, and does not know what a record is.

use std::fmt;
use std::path::Path;

/// A kind of compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// RFC 1952. Its only method is 8.
    Gzip,
    /// RFC 8878: a frame, or one that is skipped, with which `pzstd` begins.
    Zstd,
    /// The size of its blocks is a digit; then comes a block, which begins with the digits of pi, or the end.
    Bzip2,
    /// As the format of xz's files has it.
    Xz,
}

/// Every beginning, as the least and the greatest that each byte can be. There is no newline in them, so a
/// line can be told from compressed data before it is handed on.
const BEGINNINGS: [(Compression, &[u8], &[u8]); 6] = [
    (Compression::Gzip, b"\x1f\x8b\x08", b"\x1f\x8b\x08"),
    (Compression::Zstd, b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd"),
    (Compression::Zstd, b"\x50\x2a\x4d\x18", b"\x5f\x2a\x4d\x18"),
    (Compression::Bzip2, b"BZh11AY&SY", b"BZh91AY&SY"),
    (Compression::Bzip2, b"BZh1\x17rE8P\x90", b"BZh9\x17rE8P\x90"),
    (Compression::Xz, b"\xfd7zXZ\0", b"\xfd7zXZ\0"),
];

/// The longest of these beginnings.
pub(super) const BEGINNING_BYTES_MAX: usize = 10;

impl Compression {
    /// How data with this beginning is compressed, if it is.
    pub(super) fn of(beginning: &[u8]) -> Option<Self> {
        BEGINNINGS
            .iter()
            .find(|(_, least, most)| least.len() <= beginning.len() && agrees(beginning, least, most))
            .map(|(kind, ..)| *kind)
    }

    /// How a file with this name is meant to be compressed, if it is.
    pub(crate) fn of_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "gz" => Some(Self::Gzip),
            "zst" => Some(Self::Zstd),
            "bz2" => Some(Self::Bzip2),
            "xz" => Some(Self::Xz),
            _ => None,
        }
    }

    /// The program that compresses what it reads this way.
    pub(crate) fn packer(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.packer())
    }
}

/// The beginning of an input that arrives in pieces, until it is known whether the input is compressed.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    bytes: Vec<u8>,
}

impl Beginning {
    /// Bytes without which it is not known how the input is compressed; none if it is known.
    pub(super) fn bytes_missing(&self) -> usize {
        let is_open = |(_, least, most): &(Compression, &[u8], &[u8])| {
            self.bytes.len() < least.len() && agrees(&self.bytes, least, most)
        };
        let missing = BEGINNINGS.iter().filter(|kind| is_open(kind)).map(|(_, least, _)| least.len());
        missing.max().map_or(0, |longest| longest - self.bytes.len())
    }

    /// Takes the next bytes, no more of them than are missing.
    pub(super) fn push(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
    }

    /// How the input is compressed, as far as its bytes are here.
    pub(super) fn compression(&self) -> Option<Compression> {
        Compression::of(&self.bytes)
    }

    /// How many bytes are here.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// All its bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Whether each byte is within its bounds, as far as both go.
fn agrees(bytes: &[u8], least: &[u8], most: &[u8]) -> bool {
    bytes.iter().zip(least.iter().zip(most)).all(|(byte, (least, most))| (least..=most).contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPRESSED: [(&[u8], Compression); 7] = [
        (b"\x1f\x8b\x08\0rest", Compression::Gzip),
        (b"\x28\xb5\x2f\xfdrest", Compression::Zstd),
        (b"\x50\x2a\x4d\x18rest", Compression::Zstd),
        (b"\x5e\x2a\x4d\x18rest", Compression::Zstd),
        (b"BZh91AY&SYrest", Compression::Bzip2),
        (b"BZh6\x17rE8P\x90\0\0\0\0", Compression::Bzip2),
        (b"\xfd7zXZ\0rest", Compression::Xz),
    ];

    /// What a reader sees that gets one byte at a time, and how many it has taken.
    fn byte_by_byte(bytes: &[u8]) -> (Option<Compression>, usize) {
        let mut beginning = Beginning::default();
        let mut bytes = bytes.iter();
        while beginning.bytes_missing() > 0
            && let Some(byte) = bytes.next()
        {
            beginning.push(&[*byte]);
        }
        (beginning.compression(), beginning.into_bytes().len())
    }

    #[test]
    fn each_kind_is_known_by_its_first_bytes() {
        for (bytes, kind) in COMPRESSED {
            assert_eq!(Compression::of(bytes), Some(kind));
            let (found, taken) = byte_by_byte(bytes);
            assert_eq!(found, Some(kind), "{bytes:?}");
            assert!(taken <= BEGINNING_BYTES_MAX, "{bytes:?}");
        }
    }

    #[test]
    fn a_line_is_told_from_compressed_data_before_its_end_is_past() {
        for (_, least, most) in BEGINNINGS {
            assert!(least.len() == most.len() && least.len() <= BEGINNING_BYTES_MAX);
            for ended in 0..least.len() {
                let mut line = least[..ended].to_vec();
                line.extend_from_slice(b"\nand so on");
                assert_eq!(byte_by_byte(&line), (None, ended + 1), "{line:?}");
            }
        }
    }

    #[test]
    fn what_is_no_more_than_similar_is_not_compressed() {
        for bytes in [
            &b""[..],
            b"\x1f",
            b"\x1f\x8b\n\n",
            b"BZh9\n1AY&SY",
            b"BZh01AY&SY",
            b"x\x1f\x8b\x08",
            b"\xfd7zXZ",
        ] {
            assert_eq!(byte_by_byte(bytes).0, None, "{bytes:?}");
        }
    }

    #[test]
    fn a_name_says_how_a_file_is_compressed_by_its_last_letters() {
        let of = |name| Compression::of_name(Path::new(name));
        assert_eq!((of("rows.csv.gz"), of("a/rows.zst")), (Some(Compression::Gzip), Some(Compression::Zstd)));
        assert_eq!((of("rows.xz"), of("rows.bz2")), (Some(Compression::Xz), Some(Compression::Bzip2)));
        assert_eq!((of("rows.gz.txt"), of("gz"), of(".gz"), of("rows")), (None, None, None, None));
    }
}
