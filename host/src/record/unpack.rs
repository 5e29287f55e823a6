//! Unpacks compressed data, however many parts of it follow each other: gzip's members, zstd's frames, the
//! streams of bzip2 and xz. It must not know where the data comes from, nor what a record is.

use std::io::{self, BufRead, Read, Write};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

use super::compression::{BEGINNING_BYTES_MAX, Compression};
use crate::limits::{UNPACK_WINDOW_LOG_MAX, XZ_MEMORY_MAX};

/// Bytes that are read, and unpacked, at once: a system call's cost vanishes, and they stay in the cache.
const PIECE_BYTES: usize = 128 * 1024;

/// What is wrong with compressed data. Positions count its own bytes, from 0.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// It ends in the middle.
    #[error(
        "it ends after byte {at}, in the middle of the {compression} data that begins at byte {began}: it was cut off, \
         or is still being written"
    )]
    CutOff {
        /// How it is compressed.
        compression: Compression,
        /// Where this part of it began.
        began: u64,
        /// Where it ends.
        at: u64,
    },
    /// A part of it cannot be unpacked, or is not what its checksum says.
    #[error(
        "the {compression} data that begins at byte {began} cannot be unpacked at byte {at} or before: {cause}"
    )]
    Damaged {
        /// How it is compressed.
        compression: Compression,
        /// Where this part of it began.
        began: u64,
        /// How far it was read.
        at: u64,
        /// What the decoder says.
        cause: io::Error,
    },
    /// Something else follows.
    #[error(
        "its compressed data ends at byte {at}, and what follows is neither more of it nor zero bytes: if that can be left \
         out, unpack the input by hand"
    )]
    Garbage {
        /// Where it begins.
        at: u64,
    },
}

/// Why unpacking ended before the data did.
#[derive(Debug)]
pub(super) enum UnpackEnd {
    /// The data is wrong.
    Wrong(UnpackError),
    /// It cannot be read; its reader has said why.
    Unread,
    /// What is unpacked cannot be written: no one wants it any more.
    Unwanted,
}

/// Compressed data as it is read: the decoders take it from a buffer, so that it is known how far they are.
#[derive(Debug)]
pub(super) struct PackedBytes<R> {
    from: R,
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that were taken.
    taken: usize,
    /// Bytes that were taken before those in the buffer.
    taken_before: u64,
    has_ended: bool,
    has_failed: bool,
}

impl<R: Read> PackedBytes<R> {
    /// `beginning` was read already, and comes first.
    pub(super) fn new(beginning: Vec<u8>, from: R) -> Self {
        Self { from, buffer: beginning, taken: 0, taken_before: 0, has_ended: false, has_failed: false }
    }

    /// The reader.
    pub(super) fn into_reader(self) -> R {
        self.from
    }

    fn position(&self) -> u64 {
        self.taken_before + self.taken as u64
    }

    /// Bytes that were read and not taken: so many at least, unless there are no more.
    fn look_ahead(&mut self, bytes: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.taken < bytes && !self.has_ended {
            self.taken_before += self.taken as u64;
            self.buffer.drain(..self.taken);
            self.taken = 0;
            self.read_more()?;
        }
        Ok(&self.buffer[self.taken..])
    }

    fn read_more(&mut self) -> io::Result<()> {
        let held = self.buffer.len();
        self.buffer.resize(held.max(PIECE_BYTES / 2) + PIECE_BYTES / 2, 0);
        let read = self.from.read(&mut self.buffer[held..]);
        self.buffer.truncate(held + read.as_ref().map_or(0, |bytes| *bytes));
        self.has_ended = matches!(read, Ok(0));
        self.has_failed = read.is_err();
        read.map(drop)
    }

    /// How the next part is compressed; `None` at the end. Zero bytes in between are padding.
    fn next_part(&mut self) -> Result<Option<Compression>, UnpackEnd> {
        let began = self.position();
        loop {
            let ahead = self.look_ahead(BEGINNING_BYTES_MAX).map_err(|_| UnpackEnd::Unread)?;
            let padding = ahead.iter().take_while(|byte| **byte == 0).count();
            match (ahead.is_empty(), padding, Compression::of(ahead)) {
                (true, ..) => return Ok(None),
                (false, 0, Some(compression)) => return Ok(Some(compression)),
                (false, 0, None) => return Err(UnpackEnd::Wrong(UnpackError::Garbage { at: began })),
                (false, padding, _) => self.consume(padding),
            }
        }
    }
}

impl<R: Read> Read for PackedBytes<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(room)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

impl<R: Read> BufRead for PackedBytes<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.look_ahead(1)
    }

    fn consume(&mut self, bytes: usize) {
        self.taken += bytes;
    }
}

/// Unpacks all of it into `out`, each piece as soon as it is there.
///
/// # Errors
/// If anything is not as it should be: the end is never taken for an end when it is none.
pub(super) fn unpack(packed: &mut PackedBytes<impl Read>, out: &mut impl Write) -> Result<(), UnpackEnd> {
    let mut piece = vec![0; PIECE_BYTES];
    while let Some(compression) = packed.next_part()? {
        let began = packed.position();
        let wrong = |packed: &PackedBytes<_>, cause| {
            let at = packed.position();
            UnpackEnd::Wrong(match packed.has_ended && packed.buffer.len() == packed.taken {
                true => UnpackError::CutOff { compression, began, at },
                false => UnpackError::Damaged { compression, began, at, cause },
            })
        };
        let unpacked = unpack_part(compression, packed, &mut piece, out);
        match unpacked {
            Ok(()) => {}
            Err(PartEnd::Unwanted) => return Err(UnpackEnd::Unwanted),
            Err(PartEnd::Failed(_)) if packed.has_failed => return Err(UnpackEnd::Unread),
            Err(PartEnd::Failed(cause)) => return Err(wrong(packed, cause)),
        }
    }
    Ok(())
}

/// Why a part is not unpacked.
enum PartEnd {
    /// The decoder, or what it reads, has failed.
    Failed(io::Error),
    /// See [`UnpackEnd::Unwanted`].
    Unwanted,
}

fn unpack_part(
    compression: Compression,
    packed: &mut PackedBytes<impl Read>,
    piece: &mut [u8],
    out: &mut impl Write,
) -> Result<(), PartEnd> {
    let mut decoder = decoder(compression, packed).map_err(PartEnd::Failed)?;
    loop {
        match decoder.read(piece) {
            Ok(0) => return Ok(()),
            Ok(bytes) => out.write_all(&piece[..bytes]).map_err(|_| PartEnd::Unwanted)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(PartEnd::Failed(error)),
        }
    }
}

/// A decoder of one part, which takes no byte of what follows.
fn decoder<'a>(compression: Compression, packed: &'a mut impl BufRead) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::Gzip => Box::new(GzDecoder::new(packed)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(packed)?.single_frame();
            decoder.window_log_max(UNPACK_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
        Compression::Bzip2 => Box::new(BzDecoder::new(packed)),
        Compression::Xz => {
            Box::new(XzDecoder::new_stream(packed, Stream::new_stream_decoder(XZ_MEMORY_MAX, 0)?))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Compression; 4] =
        [Compression::Gzip, Compression::Zstd, Compression::Bzip2, Compression::Xz];

    fn pack(compression: Compression, text: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        match compression {
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(&mut packed, 1).unwrap();
                encoder.include_checksum(true).unwrap();
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(&mut packed, bzip2::Compression::fast());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(&mut packed, 0);
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
        }
        packed
    }

    /// Gives a byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let bytes = room.len().min(1);
            self.0.read(&mut room[..bytes])
        }
    }

    fn unpacked(packed: &[u8]) -> Result<Vec<u8>, UnpackEnd> {
        let mut out = Vec::new();
        unpack(&mut PackedBytes::new(Vec::new(), packed), &mut out).map(|()| out)
    }

    fn error(packed: &[u8]) -> UnpackError {
        match unpacked(packed) {
            Err(UnpackEnd::Wrong(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn text() -> Vec<u8> {
        (0..60).flat_map(|number| format!("record {}\n", number * number).into_bytes()).collect()
    }

    #[test]
    fn every_part_is_unpacked_whatever_follows_what() {
        for kind in KINDS {
            let one = pack(kind, &text());
            assert_eq!(unpacked(&one).unwrap(), text(), "{kind}");
            let mut many = one.repeat(3);
            many.extend(pack(kind, b""));
            many.extend(KINDS.iter().flat_map(|other| pack(*other, &text())));
            let mut out = Vec::new();
            let mut dripping = PackedBytes::new(many[..7].to_vec(), Drip(&many[7..]));
            unpack(&mut dripping, &mut out).unwrap();
            assert_eq!(out, text().repeat(7), "{kind}");
        }
    }

    #[test]
    fn data_of_no_bytes_is_unpacked_to_none() {
        for kind in KINDS {
            let packed = pack(kind, b"");
            assert_eq!(Compression::of(&packed), Some(kind));
            assert_eq!(unpacked(&packed).unwrap(), b"", "{kind}");
        }
    }

    #[test]
    fn zero_bytes_between_and_after_parts_are_padding() {
        for kind in KINDS {
            let mut packed = pack(kind, b"a\n");
            packed.extend([0; 512]);
            packed.extend(pack(kind, b"b\n"));
            packed.extend(vec![0; 3 * PIECE_BYTES]);
            assert_eq!(unpacked(&packed).unwrap(), b"a\nb\n", "{kind}");
        }
    }

    #[test]
    fn data_that_is_cut_anywhere_is_never_taken_for_whole() {
        for kind in KINDS {
            let first = pack(kind, b"a\n");
            let mut packed = first.clone();
            packed.extend(pack(kind, &text()));
            for cut in BEGINNING_BYTES_MAX..packed.len() {
                if cut == first.len() {
                    continue;
                }
                match error(&packed[..cut]) {
                    UnpackError::CutOff { began, at, .. } => {
                        assert_eq!(
                            (began, at),
                            (if cut < first.len() { 0 } else { first.len() as u64 }, cut as u64)
                        );
                    }
                    // So little of the second part is left that it is not known for one.
                    UnpackError::Garbage { at } => {
                        assert!(at == first.len() as u64 && cut < first.len() + 10)
                    }
                    other => panic!("{kind}, cut at {cut}: {other}"),
                }
            }
        }
    }

    #[test]
    fn a_byte_that_was_changed_never_gives_other_records_without_an_error() {
        for kind in KINDS {
            let packed = pack(kind, &text());
            for place in 0..packed.len() {
                let mut changed = packed.clone();
                changed[place] ^= 0x55;
                if let Ok(out) = unpacked(&changed) {
                    // Some bytes say nothing of the content, as the time in gzip's header.
                    assert_eq!(out, text(), "{kind}, byte {place}");
                }
            }
        }
    }

    #[test]
    fn something_else_after_the_first_part_is_an_error() {
        for kind in KINDS {
            for rest in [&b"garbage, and a lot of it\n"[..], b"x", b"\0\0\0x", b"\x1f\x8b\n"] {
                let packed = [&pack(kind, b"a\n")[..], rest].concat();
                let at = (packed.len() - rest.len()) as u64;
                assert!(
                    matches!(error(&packed), UnpackError::Garbage { at: found } if found == at),
                    "{kind} {rest:?}"
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_read_or_is_not_wanted_is_no_fault_of_the_data() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("a bad disk"))
            }
        }
        struct Unwanting;
        impl Write for Unwanting {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for kind in KINDS {
            let packed = pack(kind, &text());
            let mut failing = PackedBytes::new(packed[..20].to_vec(), Failing);
            assert!(matches!(unpack(&mut failing, &mut Vec::new()), Err(UnpackEnd::Unread)), "{kind}");
            let mut whole = PackedBytes::new(packed, io::empty());
            assert!(matches!(unpack(&mut whole, &mut Unwanting), Err(UnpackEnd::Unwanted)), "{kind}");
        }
    }

    #[test]
    fn data_that_needs_too_much_memory_is_refused() {
        let mut packed = Vec::new();
        let mut encoder = zstd::Encoder::new(&mut packed, 1).unwrap();
        encoder.window_log(UNPACK_WINDOW_LOG_MAX + 1).unwrap();
        encoder.write_all(&text()).unwrap();
        encoder.finish().unwrap();
        let said = error(&packed).to_string();
        assert!(said.contains("memory"), "{said}");
    }
}
