//! Finds where records end in a buffer that grows at its back and is emptied at its front.
//!
//! It remembers what it has looked at, so each byte is looked at once, however the input arrives. It must not
//! know where bytes come from or what becomes of the records.

use super::ends::EndsBuilder;
use super::format::Format;

/// The mark that some programs put before UTF-8 text. A quote right after it opens a field, as in csv-core.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts one input into records.
#[derive(Debug)]
pub(super) struct Cutter {
    format: Format,
    /// Bytes of the longest record, its terminator included.
    record_bytes_max: usize,
    /// The bytes of the buffer that have been looked at.
    scanned: usize,
    /// Where the record begins whose end has not been found.
    record_start: usize,
    quotes: Quotes,
}

/// Where the next byte of a csv input stands. Always `Outside` in the other formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Outside,
    Inside,
    /// After a quote inside quotes: a second one makes it text, anything else means that it closed them.
    MaybeClosed,
}

/// How far a cut went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// All bytes of the buffer have been looked at.
    All,
    /// The record at `record_start` exceeds the limit, and nothing after its start was cut.
    TooLong,
}

impl Cutter {
    /// A cutter for an empty buffer. `record_bytes_max` counts the terminator.
    pub(super) fn new(format: Format, record_bytes_max: usize) -> Self {
        Self { format, record_bytes_max, scanned: 0, record_start: 0, quotes: Quotes::Outside }
    }

    /// Looks at the bytes that are new in `buffer` and appends to `ends` the offset just past each record
    /// that ends in them. The buffer must be shorter than 4 GiB.
    pub(super) fn cut(&mut self, buffer: &[u8], ends: &mut EndsBuilder) -> Cut {
        let progress = match self.format {
            Format::Lines | Format::Nul => self.cut_at_terminators(buffer, ends),
            Format::Csv if self.is_free_of_quotes(buffer) => {
                self.quotes = Quotes::Outside;
                self.cut_at_terminators(buffer, ends)
            }
            Format::Csv => self.cut_around_quotes(buffer, ends),
        };
        let is_too_long = buffer.len() - self.record_start > self.record_bytes_max;
        if progress == Cut::TooLong || is_too_long {
            self.scanned = self.record_start;
            return Cut::TooLong;
        }
        self.scanned = buffer.len();
        Cut::All
    }

    /// Where in the buffer the unfinished record begins: the end of the last whole one.
    pub(super) fn record_start(&self) -> usize {
        self.record_start
    }

    /// The whole records were taken off the front of the buffer.
    pub(super) fn on_records_taken(&mut self) {
        self.scanned -= self.record_start;
        self.record_start = 0;
    }

    /// The buffer now begins with a record of which nothing has been looked at.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.format, self.record_bytes_max);
    }

    /// The input has ended after `bytes` bytes of the buffer, and with it the unfinished record.
    pub(super) fn on_input_ended(&mut self, bytes: usize, ends: &mut EndsBuilder) {
        if bytes > self.record_start {
            self.record_start = bytes;
            ends.push(bytes);
        }
        self.quotes = Quotes::Outside;
    }

    /// Whether the new bytes can be cut at every newline.
    fn is_free_of_quotes(&self, buffer: &[u8]) -> bool {
        let fresh = &buffer[self.scanned..];
        self.quotes != Quotes::Inside && !fresh.is_empty() && memchr::memchr(b'"', fresh).is_none()
    }

    fn cut_at_terminators(&mut self, buffer: &[u8], ends: &mut EndsBuilder) -> Cut {
        let start = self.scanned;
        for at in memchr::memchr_iter(self.format.terminator(), &buffer[start..]) {
            if self.end_record(start + at + 1, ends) == Cut::TooLong {
                return Cut::TooLong;
            }
        }
        Cut::All
    }

    fn cut_around_quotes(&mut self, buffer: &[u8], ends: &mut EndsBuilder) -> Cut {
        let mut at = self.scanned;
        while at < buffer.len() {
            let rest = &buffer[at..];
            match self.quotes {
                Quotes::Inside => {
                    let Some(quote) = memchr::memchr(b'"', rest) else { break };
                    self.quotes = Quotes::MaybeClosed;
                    at += quote + 1;
                }
                Quotes::MaybeClosed if rest[0] == b'"' => {
                    self.quotes = Quotes::Inside;
                    at += 1;
                }
                Quotes::MaybeClosed => self.quotes = Quotes::Outside,
                Quotes::Outside => {
                    let Some(found) = memchr::memchr2(b'\n', b'"', rest) else { break };
                    at += found + 1;
                    if rest[found] == b'"' {
                        self.on_quote_outside(&buffer[self.record_start..at - 1]);
                    } else if self.end_record(at, ends) == Cut::TooLong {
                        return Cut::TooLong;
                    }
                }
            }
        }
        Cut::All
    }

    /// A quote opens quotes only at the start of a field; elsewhere it is text. `before` is the record up to
    /// it.
    fn on_quote_outside(&mut self, before: &[u8]) {
        if matches!(before.last(), None | Some(b',')) || before == BYTE_ORDER_MARK {
            self.quotes = Quotes::Inside;
        }
    }

    fn end_record(&mut self, end: usize, ends: &mut EndsBuilder) -> Cut {
        if end - self.record_start > self.record_bytes_max {
            return Cut::TooLong;
        }
        self.record_start = end;
        ends.push(end);
        Cut::All
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::ends;

    /// Cuts `input` as it arrives in pieces that end at `stops`, with whole records taken off in between.
    fn cut_in_pieces(format: Format, input: &[u8], stops: &[usize]) -> Vec<Vec<u8>> {
        let mut cutter = Cutter::new(format, usize::MAX);
        let (mut buffer, mut records) = (Vec::new(), Vec::new());
        let mut seen = 0;
        for stop in stops.iter().copied().chain([input.len()]) {
            let stop = stop.clamp(seen, input.len());
            buffer.extend_from_slice(&input[seen..stop]);
            seen = stop;
            let mut ends = EndsBuilder::default();
            assert_eq!(cutter.cut(&buffer, &mut ends), Cut::All);
            if seen == input.len() {
                cutter.on_input_ended(buffer.len(), &mut ends);
            }
            let mut start = 0;
            for end in ends::iter(&ends.take().into_bytes()).map(|end| end as usize) {
                records.push(buffer[start..end].to_vec());
                start = end;
            }
            assert_eq!(start, cutter.record_start());
            buffer.drain(..start);
            cutter.on_records_taken();
        }
        records
    }

    fn cut(format: Format, input: &[u8]) -> Vec<Vec<u8>> {
        cut_in_pieces(format, input, &[])
    }

    /// All fields of all records that csv-core finds, with the offset just past each record.
    fn read_with_csv_core(input: &[u8]) -> Vec<(usize, Vec<Vec<u8>>)> {
        let mut reader = csv_core::ReaderBuilder::new().terminator(csv_core::Terminator::Any(b'\n')).build();
        let (mut text, mut ends) = (vec![0; input.len() + 1], vec![0; input.len() + 2]);
        let (mut text_len, mut ends_len, mut at) = (0, 0, 0);
        let mut records = Vec::new();
        loop {
            let (result, read, wrote, fields) =
                reader.read_record(&input[at..], &mut text[text_len..], &mut ends[ends_len..]);
            at += read;
            text_len += wrote;
            ends_len += fields;
            match result {
                csv_core::ReadRecordResult::Record => {
                    let starts = [0].into_iter().chain(ends[..ends_len].iter().copied());
                    let fields = starts.zip(&ends[..ends_len]).map(|(from, to)| text[from..*to].to_vec());
                    records.push((at, fields.collect()));
                    (text_len, ends_len) = (0, 0);
                }
                csv_core::ReadRecordResult::End => return records,
                csv_core::ReadRecordResult::InputEmpty => {}
                full => panic!("there is room for everything, yet: {full:?}"),
            }
        }
    }

    #[test]
    fn lines_end_at_newlines_and_nul_records_at_zeros() {
        assert_eq!(cut(Format::Lines, b"a\r\n\n\"b\n\0c"), [&b"a\r\n"[..], b"\n", b"\"b\n", b"\0c"]);
        assert_eq!(cut(Format::Nul, b"a\nb\0\0c"), [&b"a\nb\0"[..], b"\0", b"c"]);
        assert!(cut(Format::Lines, b"").is_empty());
    }

    #[test]
    fn a_newline_between_quotes_belongs_to_the_csv_record() {
        assert_eq!(cut(Format::Csv, b"\"a\nb\",c\nd\n"), [&b"\"a\nb\",c\n"[..], b"d\n"]);
        assert_eq!(cut(Format::Csv, b"a,\"b\"\"\n\"\nc"), [&b"a,\"b\"\"\n\"\n"[..], b"c"]);
        // Not at the start of a field, a quote is text; nor does it open again after it has closed.
        assert_eq!(cut(Format::Csv, b"a\"b\nc\"\n"), [&b"a\"b\n"[..], b"c\"\n"]);
        assert_eq!(cut(Format::Csv, b"\"a\"b\"\n\"\n"), [&b"\"a\"b\"\n"[..], b"\"\n"]);
        assert_eq!(cut(Format::Csv, b"\xef\xbb\xbf\"a\nb\"\nc\n"), [&b"\xef\xbb\xbf\"a\nb\"\n"[..], b"c\n"]);
    }

    #[test]
    fn a_record_of_just_the_longest_length_is_not_too_long() {
        let csv = (Format::Csv, &b"\"a\"\n\"\nb\"\nc"[..]);
        for (format, input) in [(Format::Lines, &b"aaa\nbbbb\nc\n"[..]), csv] {
            let mut cutter = Cutter::new(format, 4);
            let mut ends = EndsBuilder::default();
            assert_eq!(cutter.cut(input, &mut ends), Cut::TooLong);
            assert_eq!((cutter.record_start(), &ends.take().into_bytes()[..]), (4, &[4, 0, 0, 0][..]));
        }
    }

    fn csv_like() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop::sample::select(&b"\"\"\",,\n\n\rab\0\xef\xbb\xbf\xff"[..]);
        let mark = prop::sample::select(vec![Vec::new(), BYTE_ORDER_MARK.to_vec()]);
        (mark, prop::collection::vec(byte, 0..60)).prop_map(|(mark, text)| [mark, text].concat())
    }

    /// A mark inside the input starts a field for us in every record, for csv-core only in the first.
    fn has_a_later_mark(input: &[u8]) -> bool {
        input.windows(4).any(|bytes| bytes[0] == b'\n' && &bytes[1..] == BYTE_ORDER_MARK)
    }

    proptest! {
        #[test]
        fn csv_records_end_where_csv_core_ends_them(input in csv_like()) {
            prop_assume!(!has_a_later_mark(&input));
            let theirs = read_with_csv_core(&input);
            let mut ours = Vec::new();
            let mut end = 0;
            for record in cut(Format::Csv, &input) {
                end += record.len();
                // csv-core drops blank lines, and a mark with nothing after it.
                if record != b"\n" && !read_with_csv_core(&record).is_empty() {
                    let mut alone = read_with_csv_core(&record);
                    prop_assert_eq!(alone.len(), 1, "one record is one record: {:?}", record);
                    ours.push((end, alone.remove(0).1));
                }
            }
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn pieces_make_no_difference(
            input in csv_like(),
            mut stops in prop::collection::vec(0..64_usize, 0..20),
        ) {
            stops.sort_unstable();
            let every_byte: Vec<usize> = (0..input.len()).collect();
            for format in [Format::Lines, Format::Csv, Format::Nul] {
                let whole = cut(format, &input);
                prop_assert_eq!(whole.concat(), input.clone());
                prop_assert_eq!(&cut_in_pieces(format, &input, &stops), &whole);
                prop_assert_eq!(&cut_in_pieces(format, &input, &every_byte), &whole);
            }
        }
    }
}
