//! A buffered stream that knows how many records' bytes the system has taken: what only waits in a buffer is
//! not written.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Larger pieces are written as they are, smaller ones are gathered first: a system call costs as much as
/// copying some of them.
const BUFFER_BYTES: usize = 256 * 1024;

/// The stream.
#[derive(Debug)]
pub(super) struct CountedStream<W> {
    out: W,
    buffer: Vec<u8>,
    /// Bytes that were handed over.
    handed_over: u64,
    /// Bytes that the system has taken.
    taken: u64,
    /// How many records end at which byte, as far as the system has not taken it.
    ends: VecDeque<(u64, u64)>,
    /// Records whose bytes the system has taken.
    written: Arc<AtomicU64>,
}

impl<W: Write> CountedStream<W> {
    /// Counts into `written`.
    pub(super) fn new(out: W, written: Arc<AtomicU64>) -> Self {
        let (buffer, ends) = (Vec::with_capacity(BUFFER_BYTES), VecDeque::new());
        Self { out, buffer, handed_over: 0, taken: 0, ends, written }
    }

    /// The stream behind it.
    pub(super) fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes, at once or later. After an error, nothing more must be written.
    ///
    /// # Errors
    /// If the system does not take it, or something before it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.handed_over += bytes.len() as u64;
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            return self.put(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// So many records count as written once the system has taken everything that was handed over so far.
    pub(super) fn end_records(&mut self, records: u64) {
        self.ends.push_back((self.handed_over, records));
        self.count();
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// If the system does not take it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let put = self.put(&buffer);
        buffer.clear();
        self.buffer = buffer;
        put
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    self.taken += bytes as u64;
                    self.count();
                    rest = &rest[bytes..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn count(&mut self) {
        while let Some((_, records)) = self.ends.front().filter(|(end, _)| *end <= self.taken) {
            self.written.fetch_add(*records, Relaxed);
            self.ends.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, three at a time.
    struct Disk {
        room: usize,
        bytes: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(3).min(self.room);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.bytes.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_records_whose_bytes_were_taken_count() {
        let written = Arc::<AtomicU64>::default();
        let mut stream = CountedStream::new(Disk { room: 7, bytes: Vec::new() }, written.clone());
        stream.end_records(5);
        assert_eq!(written.load(Relaxed), 5, "they have no bytes");
        for (bytes, records) in [("ab", 2), ("cd", 1), ("ef", 1), ("gh", 10)] {
            stream.write(bytes.as_bytes()).unwrap();
            stream.end_records(records);
        }
        assert_eq!(written.load(Relaxed), 5, "the rest waits in the buffer");
        assert_eq!(stream.flush().unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(written.load(Relaxed), 9);
        assert_eq!(stream.get_mut().bytes, b"abcdefg");
    }

    #[test]
    fn pieces_of_any_size_come_out_in_their_order() {
        let written = Arc::<AtomicU64>::default();
        let mut stream = CountedStream::new(Vec::new(), written.clone());
        let mut all = Vec::new();
        for (number, bytes) in
            [1, BUFFER_BYTES - 1, 1, 0, BUFFER_BYTES, 7, 2 * BUFFER_BYTES].into_iter().enumerate()
        {
            let piece = vec![number as u8; bytes];
            stream.write(&piece).unwrap();
            stream.end_records(1);
            all.extend(piece);
        }
        stream.flush().unwrap();
        assert!(*stream.get_mut() == all, "the bytes differ");
        assert_eq!(written.load(Relaxed), 7);
    }
}
