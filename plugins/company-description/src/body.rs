//! A response's body without its compression, and no more of it than is wanted.
//!
//! The same limit applies twice: to what comes over the wire, and to what comes out of the decoder. A page
//! that is longer simply ends there.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::rc::Rc;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Deflate,
}

impl Coding {
    /// The codings that the worker tells a server it can read.
    pub(crate) const ACCEPTED: &'static str = "gzip, deflate";

    /// The coding that a `Content-Encoding` names. If it is not one of these, the error is the header's text.
    pub(crate) fn of(header: &str) -> Result<Self, String> {
        match header.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            _ => Err(header.to_owned()),
        }
    }
}

/// The first `bytes_max` bytes of a body, decompressed.
pub(crate) fn open<'b>(
    body: impl Read + 'b,
    coding: Coding,
    bytes_max: u64,
) -> io::Result<Box<dyn Read + 'b>> {
    let is_cut = Rc::new(Cell::new(false));
    let mut wire = BufReader::new(Cut { body, left: bytes_max, is_cut: is_cut.clone() });
    let plain: Box<dyn Read> = match coding {
        Coding::Identity => return Ok(Box::new(wire)),
        Coding::Gzip => Box::new(MultiGzDecoder::new(wire)),
        // By “deflate” the standard means zlib, but some servers take the word literally.
        Coding::Deflate if is_zlib(wire.fill_buf()?) => Box::new(ZlibDecoder::new(wire)),
        Coding::Deflate => Box::new(DeflateDecoder::new(wire)),
    };
    Ok(Box::new(Uncompressed { plain: plain.take(bytes_max), is_cut }))
}

/// The first bytes of a body, and whether there were more.
struct Cut<R> {
    body: R,
    left: u64,
    is_cut: Rc<Cell<bool>>,
}

impl<R: Read> Read for Cut<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.is_cut.set(true);
            return Ok(0);
        }
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let length = self.body.read(&mut buffer[..room])?;
        self.left -= length as u64;
        Ok(length)
    }
}

/// What comes out of a decoder. If the decoder misses an end that was cut off here, that is not an error.
struct Uncompressed<R> {
    plain: R,
    is_cut: Rc<Cell<bool>>,
}

impl<R: Read> Read for Uncompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.plain.read(buffer) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && self.is_cut.get() => Ok(0),
            result => result,
        }
    }
}

/// RFC 1950, 2.2.
fn is_zlib(beginning: &[u8]) -> bool {
    matches!(beginning, [method, flags, ..]
        if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn read(body: &[u8], coding: Coding, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        open(body, coding, bytes_max)?.read_to_end(&mut text)?;
        Ok(text)
    }

    /// The same in all codings.
    fn coded(text: &[u8]) -> Vec<(Coding, Vec<u8>)> {
        let level = Compression::default();
        let mut gzip = GzEncoder::new(Vec::new(), level);
        let mut zlib = ZlibEncoder::new(Vec::new(), level);
        let mut deflate = DeflateEncoder::new(Vec::new(), level);
        gzip.write_all(text).unwrap();
        zlib.write_all(text).unwrap();
        deflate.write_all(text).unwrap();
        vec![
            (Coding::Identity, text.to_vec()),
            (Coding::Gzip, gzip.finish().unwrap()),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, deflate.finish().unwrap()),
        ]
    }

    #[test]
    fn every_coding_is_undone() {
        for text in [b"".as_slice(), b"hello", &[b'x'; 100_000]] {
            for (coding, body) in coded(text) {
                assert!(read(&body, coding, 1 << 20).unwrap() == text, "{coding:?}");
            }
        }
        let two = [coded(b"one ").remove(1).1, coded(b"two").remove(1).1].concat();
        assert_eq!(read(&two, Coding::Gzip, 1 << 20).unwrap(), b"one two");
    }

    #[test]
    fn no_more_comes_out_than_is_wanted() {
        for (coding, body) in coded(&vec![0; 8 << 20]) {
            assert_eq!(read(&body, coding, 10_000).unwrap().len(), 10_000, "{coding:?}");
        }
    }

    #[test]
    fn what_we_cut_off_is_not_missed() {
        let text: Vec<_> =
            (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for (coding, body) in coded(&text) {
            let found = read(&body, coding, 5_000).unwrap();
            assert!(!found.is_empty() && text.starts_with(&found), "{coding:?}");
        }
    }

    #[test]
    fn what_the_server_cut_off_is_missed() {
        for (coding, body) in coded(&vec![b'x'; 100_000]).into_iter().skip(1) {
            let error = read(&body[..body.len() / 2], coding, 1 << 20).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{coding:?}");
        }
        assert!(read(b"this is no gzip at all", Coding::Gzip, 1 << 20).is_err());
    }

    #[test]
    fn codings_have_names() {
        assert_eq!(Coding::of(" GZIP "), Ok(Coding::Gzip));
        assert_eq!(Coding::of("deflate"), Ok(Coding::Deflate));
        assert_eq!(Coding::of(""), Ok(Coding::Identity));
        assert_eq!(Coding::of("br"), Err("br".into()));
        assert_eq!(Coding::of("gzip, gzip"), Err("gzip, gzip".into()));
    }
}
