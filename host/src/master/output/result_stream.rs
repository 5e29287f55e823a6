//! The stream of a file of results: as it is, or compressed, if the file's name says so. A record counts as
//! written when the system has all its bytes: what only waits in the compressor is not written.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use flate2::write::GzEncoder;

use super::counted_stream::CountedStream;
use super::output_target::{OutputStream, OutputTarget, Packing};

/// The stream.
pub(super) struct ResultStream {
    out: CountedStream<OutputStream>,
    packer: Option<Packer>,
}

/// A compressor, with what is in it.
struct Packer {
    encoder: Encoder,
    /// Whether it has bytes that did not come out yet.
    holds_bytes: bool,
    /// Records whose last bytes it holds.
    records: u64,
}

/// It writes to memory, which cannot fail; from there, everything goes to the stream.
enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl ResultStream {
    /// Counts into `written`.
    ///
    /// # Errors
    /// If there is no memory for a compressor.
    pub(super) fn new(target: OutputTarget, written: Arc<AtomicU64>) -> io::Result<Self> {
        let packer = target.packing.map(Packer::new).transpose()?;
        Ok(Self { out: CountedStream::new(target.stream, written), packer })
    }

    /// The stream behind it.
    pub(super) fn get_mut(&mut self) -> &mut OutputStream {
        self.out.get_mut()
    }

    /// Writes, at once or later. After an error, nothing more must be written.
    ///
    /// # Errors
    /// If the system does not take it, or something before it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.packer {
            None => self.out.write(bytes),
            Some(packer) => {
                packer.holds_bytes |= !bytes.is_empty();
                packer.encoder.write_all(bytes)?;
                packer.hand_on(&mut self.out)
            }
        }
    }

    /// So many records count as written once the system has taken everything that was handed over so far.
    pub(super) fn end_records(&mut self, records: u64) {
        match &mut self.packer {
            Some(packer) if packer.holds_bytes => packer.records += records,
            _ => self.out.end_records(records),
        }
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// If the system does not take it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(packer) = self.packer.as_mut().filter(|packer| packer.holds_bytes) {
            packer.encoder.flush()?;
            packer.empty(&mut self.out)?;
        }
        self.out.flush()
    }

    /// Hands everything to the system, with the end of the compressed data. Nothing can be written after it.
    ///
    /// # Errors
    /// If the system does not take it.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Some(packer) = &mut self.packer {
            packer.encoder.finish()?;
            packer.empty(&mut self.out)?;
        }
        self.out.flush()
    }
}

impl Packer {
    fn new(packing: Packing) -> io::Result<Self> {
        let encoder = match packing {
            Packing::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::default())),
            Packing::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Encoder::Zstd(encoder)
            }
        };
        Ok(Self { encoder, holds_bytes: false, records: 0 })
    }

    /// Hands on what has come out.
    fn hand_on(&mut self, out: &mut CountedStream<OutputStream>) -> io::Result<()> {
        let packed = self.encoder.packed();
        let written = out.write(packed);
        packed.clear();
        written
    }

    /// Everything has come out.
    fn empty(&mut self, out: &mut CountedStream<OutputStream>) -> io::Result<()> {
        self.hand_on(out)?;
        self.holds_bytes = false;
        out.end_records(std::mem::take(&mut self.records));
        Ok(())
    }
}

impl Encoder {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.try_finish(),
            Self::Zstd(encoder) => encoder.do_finish(),
        }
    }

    fn packed(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read;
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    fn stream(directory: &tempfile::TempDir, name: &str) -> (ResultStream, Arc<AtomicU64>) {
        let written = Arc::<AtomicU64>::default();
        let target = OutputTarget::open(&directory.path().join(name)).unwrap();
        (ResultStream::new(target, written.clone()).unwrap(), written)
    }

    fn unpacked(directory: &tempfile::TempDir, name: &str) -> Vec<u8> {
        let mut text = Vec::new();
        let file = File::open(directory.path().join(name)).unwrap();
        let read = match name {
            "rows.gz" => flate2::read::GzDecoder::new(file).read_to_end(&mut text),
            _ => zstd::Decoder::new(file).unwrap().read_to_end(&mut text),
        };
        // What was flushed can be read although the end is missing.
        assert!(read.is_ok() || read.is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof));
        text
    }

    #[test]
    fn a_record_counts_when_its_compressed_bytes_are_in_the_file() {
        for name in ["rows.gz", "rows.zst"] {
            let directory = tempfile::tempdir().unwrap();
            let (mut stream, written) = stream(&directory, name);
            stream.write(b"one\n").unwrap();
            stream.end_records(1);
            assert_eq!(written.load(Relaxed), 0, "{name}: it waits in the compressor");
            stream.flush().unwrap();
            assert_eq!((written.load(Relaxed), unpacked(&directory, name)), (1, b"one\n".to_vec()), "{name}");
            stream.end_records(1);
            assert_eq!(written.load(Relaxed), 2, "{name}: it has no bytes");
            stream.write(b"two\n").unwrap();
            stream.end_records(3);
            stream.finish().unwrap();
            assert_eq!(
                (written.load(Relaxed), unpacked(&directory, name)),
                (5, b"one\ntwo\n".to_vec()),
                "{name}"
            );
        }
    }

    #[test]
    fn a_flush_of_nothing_adds_no_byte_and_an_end_is_always_written() {
        for name in ["rows.gz", "rows.zst"] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(name);
            let (mut stream, _) = stream(&directory, name);
            stream.flush().unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), 0, "{name}");
            stream.finish().unwrap();
            assert_ne!(fs::metadata(&path).unwrap().len(), 0, "{name}");
            assert_eq!(unpacked(&directory, name), b"", "{name}");
        }
    }

    #[test]
    fn a_full_disk_counts_no_record_whose_bytes_were_not_taken() {
        for packing in [Packing::Gzip, Packing::Zstd] {
            let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            let written = Arc::<AtomicU64>::default();
            let mut stream = ResultStream {
                out: CountedStream::new(OutputStream::Open(full), written.clone()),
                packer: Some(Packer::new(packing).unwrap()),
            };
            stream.write(b"one\n").unwrap();
            stream.end_records(1);
            assert_eq!(stream.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
            assert_eq!(written.load(Relaxed), 0);
        }
    }
}
