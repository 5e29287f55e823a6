//! A buffer that fills at its back and hands on blocks of whole records at its front.
//!
//! No record is copied on its way, except that an unfinished one moves along when a new buffer begins. Memory
//! is bounded: of a record that exceeds the limit only the beginning is kept; the rest is counted and
//! dropped. No I/O here.

use bytes::{Buf, Bytes, BytesMut};

use super::cutter::{Cut, Cutter};
use super::ends::EndsBuilder;
use super::format::Format;
use super::records::Records;
use crate::limits::BATCH_RECORDS_MAX;

/// Bytes kept of a record that exceeds the limit: enough to recognise it in a report.
pub(super) const TOO_LONG_KEPT_BYTES: usize = 64 * 1024;

/// A read into less room than this share of a block is not worth its system call.
const READ_SHARE_OF_BLOCK: usize = 16;

/// What comes off the front of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Whole records.
    Records(Records),
    /// A record that was dropped: its first bytes, and how many it had with its terminator.
    TooLong { record: Bytes, bytes: u64 },
}

/// The bytes of an input between being read and being handed on.
#[derive(Debug)]
pub struct Block {
    cutter: Cutter,
    terminator: u8,
    record_bytes_max: usize,
    block_bytes: usize,
    /// Initialised memory, of which the first `filled` bytes are input.
    bytes: BytesMut,
    filled: usize,
    /// The ends of the whole records at the front of `bytes`.
    ends: EndsBuilder,
    /// Records that were taken off `bytes` and not yet handed on.
    ready: Records,
    overlong: Overlong,
}

/// How far we are with a record that is longer than the limit.
#[derive(Debug)]
enum Overlong {
    No,
    /// It follows the whole records in `bytes`.
    Found,
    /// It is being dropped, as far as it has been read.
    Dropping(Dropped),
    /// Its end was found.
    Ended(Dropped),
}

#[derive(Debug, Default)]
struct Dropped {
    kept: Vec<u8>,
    bytes: u64,
}

impl Block {
    /// An empty block. It holds `block_bytes`, or one record of up to `record_bytes_max`.
    pub fn new(format: Format, record_bytes_max: usize, block_bytes: usize) -> Self {
        Self {
            cutter: Cutter::new(format, record_bytes_max),
            terminator: format.terminator(),
            record_bytes_max,
            block_bytes: block_bytes.max(1),
            bytes: BytesMut::new(),
            filled: 0,
            ends: EndsBuilder::default(),
            ready: Records::default(),
            overlong: Overlong::No,
        }
    }

    /// Where the next bytes of the input go; never empty. Tell `on_read` how many came.
    pub fn room(&mut self) -> &mut [u8] {
        if !self.has_room() {
            self.move_to_a_new_buffer();
        }
        &mut self.bytes[self.filled..]
    }

    /// The first `bytes` bytes of the room were read.
    pub fn on_read(&mut self, bytes: usize) {
        self.filled += bytes;
        self.scan();
    }

    /// The input has ended, and with it the unfinished record. Another input can follow.
    pub fn on_input_ended(&mut self) {
        match std::mem::replace(&mut self.overlong, Overlong::No) {
            Overlong::No => self.cutter.on_input_ended(self.filled, &mut self.ends),
            Overlong::Dropping(dropped) => self.overlong = Overlong::Ended(dropped),
            Overlong::Found | Overlong::Ended(_) => unreachable!("pieces are taken before an input ends"),
        }
    }

    /// Whether pieces must be taken before anything more is read.
    pub fn is_full(&self) -> bool {
        match self.overlong {
            Overlong::Found | Overlong::Ended(_) => true,
            Overlong::Dropping(_) => false,
            Overlong::No => !self.has_room() && self.cutter.record_start() > 0,
        }
    }

    /// Whether there is anything to take.
    pub fn has_pieces(&self) -> bool {
        let is_ended = matches!(self.overlong, Overlong::Ended(_));
        is_ended || !self.ready.is_empty() || self.cutter.record_start() > 0
    }

    /// Bytes that were read and not yet taken.
    pub fn bytes_held(&self) -> u64 {
        (self.filled + self.ready.data().len()) as u64
    }

    /// The next piece, in the order of the input. Call it until there is none.
    pub fn take(&mut self) -> Option<Piece> {
        if self.ready.is_empty() {
            self.ready = self.take_whole_records();
        }
        if !self.ready.is_empty() {
            let records = self.ready.split_off_front(BATCH_RECORDS_MAX, self.block_bytes);
            return Some(Piece::Records(records));
        }
        if matches!(self.overlong, Overlong::Found) {
            self.begin_dropping();
        }
        match std::mem::replace(&mut self.overlong, Overlong::No) {
            Overlong::Ended(Dropped { kept, bytes }) => {
                self.scan();
                Some(Piece::TooLong { record: kept.into(), bytes })
            }
            unfinished => {
                self.overlong = unfinished;
                None
            }
        }
    }

    fn has_room(&self) -> bool {
        self.bytes.len() - self.filled > self.block_bytes / READ_SHARE_OF_BLOCK
    }

    /// Room grows with the unfinished record, geometrically, so that a long one is not copied too often.
    fn move_to_a_new_buffer(&mut self) {
        let wanted = (self.filled * 2).min(self.record_bytes_max.saturating_add(self.block_bytes));
        let least = self.filled + self.block_bytes / READ_SHARE_OF_BLOCK + 1;
        let mut bytes = BytesMut::zeroed(wanted.max(least).max(self.block_bytes));
        bytes[..self.filled].copy_from_slice(&self.bytes[..self.filled]);
        self.bytes = bytes;
    }

    /// Cuts what was read, up to the end of a record that is too long.
    fn scan(&mut self) {
        match &mut self.overlong {
            Overlong::No => {
                if self.cutter.cut(&self.bytes[..self.filled], &mut self.ends) == Cut::TooLong {
                    self.overlong = Overlong::Found;
                }
            }
            Overlong::Dropping(_) => self.drop_to_terminator(),
            Overlong::Found | Overlong::Ended(_) => {}
        }
    }

    fn take_whole_records(&mut self) -> Records {
        let bytes = self.cutter.record_start();
        if bytes == 0 {
            return Records::default();
        }
        self.filled -= bytes;
        self.cutter.on_records_taken();
        Records::new(self.bytes.split_to(bytes).freeze(), self.ends.take())
    }

    /// The overlong record is at the front. It ends at the first terminator past the limit, even between
    /// quotes: otherwise one stray quote would swallow the rest of a file.
    fn begin_dropping(&mut self) {
        self.overlong = Overlong::Dropping(Dropped::default());
        self.drop_front(self.record_bytes_max);
        self.cutter.restart();
        self.drop_to_terminator();
    }

    fn drop_to_terminator(&mut self) {
        match memchr::memchr(self.terminator, &self.bytes[..self.filled]) {
            Some(at) => {
                self.drop_front(at + 1);
                if let Overlong::Dropping(dropped) = &mut self.overlong {
                    self.overlong = Overlong::Ended(std::mem::take(dropped));
                }
            }
            None => self.drop_front(self.filled),
        }
    }

    fn drop_front(&mut self, bytes: usize) {
        if let Overlong::Dropping(dropped) = &mut self.overlong {
            let missing = TOO_LONG_KEPT_BYTES - dropped.kept.len();
            dropped.kept.extend_from_slice(&self.bytes[..bytes.min(missing)]);
            dropped.bytes += bytes as u64;
        }
        if bytes < self.filled {
            self.bytes.advance(bytes);
        }
        // If nothing is left behind them, the bytes need not move: the next ones overwrite them.
        self.filled -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `input` in reads of the given sizes (again and again), and takes pieces when it must, or after
    /// every read if `eager`.
    fn pieces(mut block: Block, input: &[u8], reads: &[usize], eager: bool) -> Vec<Piece> {
        let (mut pieces, mut at) = (Vec::new(), 0);
        let mut reads = reads.iter().cycle();
        while at < input.len() {
            let room = block.room();
            let bytes = room.len().min(input.len() - at).min(*reads.next().unwrap());
            room[..bytes].copy_from_slice(&input[at..at + bytes]);
            at += bytes;
            block.on_read(bytes);
            if block.is_full() || eager {
                pieces.extend(std::iter::from_fn(|| block.take()));
                assert!(!block.has_pieces());
            }
        }
        block.on_input_ended();
        pieces.extend(std::iter::from_fn(|| block.take()));
        assert_eq!((block.has_pieces(), block.bytes_held()), (false, 0));
        pieces
    }

    /// One record, or the length and the first bytes of one that was too long.
    #[derive(Debug, PartialEq)]
    enum One {
        Record(Vec<u8>),
        TooLong(u64, Vec<u8>),
    }

    fn one_by_one(pieces: &[Piece]) -> Vec<One> {
        let mut all = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Records(records) => {
                    all.extend(records.iter().map(|record| One::Record(record.into())))
                }
                Piece::TooLong { record, bytes } => all.push(One::TooLong(*bytes, record.to_vec())),
            }
        }
        all
    }

    /// The rule in its plainest form, byte by byte, to compare with.
    fn by_the_rule(format: Format, input: &[u8], record_bytes_max: usize) -> Vec<One> {
        let (mut all, mut record, mut is_quoted) = (Vec::new(), Vec::new(), false);
        let mut previous_quote_closed = false;
        for byte in input.iter().copied() {
            if format == Format::Csv && byte == b'"' {
                let opens = matches!(record.last(), None | Some(b',')) || previous_quote_closed;
                previous_quote_closed = is_quoted;
                is_quoted = !is_quoted && opens;
            } else {
                previous_quote_closed = false;
            }
            record.push(byte);
            if byte == format.terminator() && (!is_quoted || record.len() > record_bytes_max) {
                all.push(std::mem::take(&mut record));
                is_quoted = false;
            }
        }
        all.extend((!record.is_empty()).then_some(record));
        all.into_iter()
            .map(|record| match record.len() > record_bytes_max {
                true => One::TooLong(record.len() as u64, record),
                false => One::Record(record),
            })
            .collect()
    }

    fn records_of(pieces: &[Piece]) -> Vec<&Records> {
        let records = pieces.iter().map(|piece| match piece {
            Piece::Records(records) => records,
            piece => panic!("no record is too long here: {piece:?}"),
        });
        records.collect()
    }

    proptest! {
        #[test]
        fn however_it_is_read_the_records_are_those_of_the_rule(
            input in prop::collection::vec(prop::sample::select(&b"\"\"\",\n\n\rabcd\0\0"[..]), 0..120),
            reads in prop::collection::vec(1..40_usize, 1..8),
            record_bytes_max in 1..40_usize,
            block_bytes in 1..40_usize,
            eager: bool,
        ) {
            for format in [Format::Lines, Format::Csv, Format::Nul] {
                let block = Block::new(format, record_bytes_max, block_bytes);
                let pieces = pieces(block, &input, &reads, eager);
                prop_assert_eq!(one_by_one(&pieces), by_the_rule(format, &input, record_bytes_max));
                for piece in &pieces {
                    if let Piece::Records(records) = piece {
                        prop_assert!(records.len() == 1 || records.data().len() <= block_bytes);
                    }
                }
            }
        }
    }

    #[test]
    fn records_are_shared_with_the_buffer_that_was_read_into() {
        let mut block = Block::new(Format::Lines, 100, 64);
        let room = block.room();
        room[..6].copy_from_slice(b"a\nb\nc\n");
        let address = room.as_ptr();
        block.on_read(6);
        let Some(Piece::Records(records)) = block.take() else { panic!("three records were read") };
        assert_eq!((records.len(), records.data().as_ptr()), (3, address));
    }

    #[test]
    fn a_record_larger_than_a_block_makes_a_block_of_its_own() {
        let long = [&[b'x'; 10 * 1024 * 1024][..], b"\n"].concat();
        let input = [b"before\n", &long[..], b"after\nlast\n"].concat();
        let block = Block::new(Format::Lines, 16 * 1024 * 1024, 256 * 1024);
        let pieces = pieces(block, &input, &[64 * 1024], false);
        let records = records_of(&pieces);
        assert_eq!(records.iter().map(|records| records.len()).collect::<Vec<_>>(), [1, 1, 2]);
        assert!(records[1].get(0) == long);
    }

    #[test]
    fn a_flood_of_empty_lines_comes_in_batches_of_bounded_count() {
        let input = vec![b'\n'; 1_000_000];
        for format in [Format::Lines, Format::Csv] {
            let pieces = pieces(Block::new(format, 1000, 256 * 1024), &input, &[usize::MAX], false);
            let counts: Vec<_> = records_of(&pieces).iter().map(|records| records.len()).collect();
            assert_eq!(counts.iter().sum::<usize>(), input.len());
            assert!(counts.iter().all(|count| *count <= BATCH_RECORDS_MAX), "{counts:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_counted_and_not_kept() {
        let input = [&[b'x'; 3_000_000][..], b"\nnext\n"].concat();
        let mut block = Block::new(Format::Lines, 100_000, 16 * 1024);
        let mut largest = 0;
        for read in input.chunks(1024) {
            block.room()[..read.len()].copy_from_slice(read);
            block.on_read(read.len());
            largest = largest.max(block.bytes.len());
            while block.is_full() && block.take().is_some() {}
        }
        assert!(largest <= 100_000 + 2 * 16 * 1024, "{largest}");

        let block = Block::new(Format::Lines, 100_000, 16 * 1024);
        let pieces = pieces(block, &input, &[4096], false);
        let [Piece::TooLong { record, bytes }, Piece::Records(next)] = &pieces[..] else {
            panic!("{pieces:?}")
        };
        assert_eq!((record.len(), *bytes, next.get(0)), (TOO_LONG_KEPT_BYTES, 3_000_001, &b"next\n"[..]));
    }

    #[test]
    fn an_unclosed_quote_swallows_no_more_than_the_limit() {
        let input = [b"a\n\"b\n", &b"c\n".repeat(10)[..], b"d\n"].concat();
        let block = Block::new(Format::Csv, 8, 1024);
        let all = one_by_one(&pieces(block, &input, &[7], false));
        assert_eq!(all[..2], [One::Record(b"a\n".into()), One::TooLong(9, b"\"b\nc\nc\nc\n".into())]);
        assert_eq!(all[2..9], [(); 7].map(|()| One::Record(b"c\n".into())));
        assert_eq!(all[9..], [One::Record(b"d\n".into())]);
    }

    #[test]
    fn a_record_ends_where_its_input_ends() {
        let mut block = Block::new(Format::Csv, 100, 1024);
        for input in [&b"a\n\"b"[..], b"", b"c\nd"] {
            block.room()[..input.len()].copy_from_slice(input);
            block.on_read(input.len());
            block.on_input_ended();
        }
        let pieces: Vec<_> = std::iter::from_fn(|| block.take()).collect();
        let ones = [&b"a\n"[..], b"\"b", b"c\n", b"d"].map(|record| One::Record(record.into()));
        assert_eq!(one_by_one(&pieces), ones);
    }
}
