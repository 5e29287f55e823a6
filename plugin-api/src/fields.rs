//! Cuts a record into fields, as CSV (RFC 4180), with csv-core.
//!
//! The host owns the dialect and calls this for its plugins; [`testing`](crate::testing) does the same.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use crate::abi::Bytes;

/// Splits one record after the other, using the same buffers again.
///
/// A record without a quote is not copied. A field that begins with `"` ends at the next lone `"`, and `""`
/// within it is one quote; elsewhere a quote is a character like any other. One carriage return at the
/// record's end and a byte order mark at its beginning belong to no field. An empty record is one empty
/// field. No input is an error: a quote that is never closed ends with the record.
#[derive(Debug)]
pub struct Splitter {
    separator: u8,
    /// The byte that `reader` takes for the end of a record.
    terminator: u8,
    reader: Reader,
    /// The fields without their quotes.
    unquoted: Vec<u8>,
    /// Where each field ends in `unquoted`.
    ends: Vec<usize>,
    fields: Vec<Bytes>,
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl Default for Splitter {
    fn default() -> Self {
        Self::new(b',')
    }
}

impl Splitter {
    /// A splitter for fields that are separated by `separator`.
    pub fn new(separator: u8) -> Self {
        let terminator = 0;
        let reader = reader(separator, terminator);
        Self { separator, terminator, reader, unquoted: Vec::new(), ends: Vec::new(), fields: Vec::new() }
    }

    /// The fields of `record`. They point into it or into this splitter, and are valid until either changes.
    pub fn split(&mut self, record: &[u8]) -> &[Bytes] {
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        self.fields.clear();
        if memchr::memchr(b'"', record).is_none() {
            self.split_plain(record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record));
        } else {
            // csv-core removes a mark itself. If one were removed here, csv-core would remove a second one,
            // too, which is text.
            self.split_quoted(record);
        }
        &self.fields
    }

    fn split_plain(&mut self, record: &[u8]) {
        let mut start = 0;
        for end in memchr::memchr_iter(self.separator, record) {
            self.fields.push(Bytes::of(&record[start..end]));
            start = end + 1;
        }
        self.fields.push(Bytes::of(&record[start..]));
    }

    fn split_quoted(&mut self, record: &[u8]) {
        self.choose_terminator(record);
        // Unquoting never makes a record longer, and each field but the last needs a separator. There is room
        // for one more of each, because csv-core stops when there is no room left, whether it needs
        // any or not.
        self.unquoted.resize(record.len() + 1, 0);
        self.ends.resize(record.len() + 2, 0);
        let fields = self.unquote(record);
        let mut start = 0;
        for &end in &self.ends[..fields] {
            self.fields.push(Bytes::of(&self.unquoted[start..end]));
            start = end;
        }
    }

    /// csv-core always has a byte that ends a record. But records are cut already and can contain anything,
    /// even line breaks, so csv-core gets a byte that this record does not contain. For any text, that is
    /// the zero byte. If a record contains every possible byte, its fields end at a zero byte.
    fn choose_terminator(&mut self, record: &[u8]) {
        if memchr::memchr(self.terminator, record).is_none() {
            return;
        }
        let free = |byte: &u8| *byte != self.separator && memchr::memchr(*byte, record).is_none();
        self.terminator = (0..=u8::MAX).find(free).unwrap_or(0);
        self.reader = reader(self.separator, self.terminator);
    }

    /// Runs csv-core over the record, into `unquoted` and `ends`. Returns the number of fields.
    fn unquote(&mut self, mut record: &[u8]) -> usize {
        self.reader.reset();
        let (mut written, mut fields) = (0, 0);
        loop {
            let (result, read, wrote, ended) =
                self.reader.read_record(record, &mut self.unquoted[written..], &mut self.ends[fields..]);
            record = &record[read..];
            written += wrote;
            fields += ended;
            // When the record has been read, the empty rest tells csv-core that it ends. Everything fits (see
            // `split_quoted`), so any other result means the end.
            if result != ReadRecordResult::InputEmpty {
                return fields;
            }
        }
    }
}

fn reader(separator: u8, terminator: u8) -> Reader {
    ReaderBuilder::new().delimiter(separator).terminator(Terminator::Any(terminator)).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glue::test_host::split_texts as split;

    #[test]
    fn plain_fields_point_into_the_record() {
        let record = "a,,b c";
        let mut splitter = Splitter::default();
        assert_eq!(split(&mut splitter, record), ["a", "", "b c"]);
        assert_eq!(splitter.split(record.as_bytes())[2].ptr, record[3..].as_ptr());
    }

    #[test]
    fn quotes_are_removed() {
        let mut splitter = Splitter::default();
        assert_eq!(split(&mut splitter, r#""a,b","say ""no""",c"#), ["a,b", r#"say "no""#, "c"]);
        assert_eq!(split(&mut splitter, r#""""#), [""]);
        assert_eq!(split(&mut splitter, r#"",""#), [","]);
        assert_eq!(split(&mut splitter, r#"x"y,"z""#), [r#"x"y"#, "z"]);
        assert_eq!(split(&mut splitter, r#""open"#), ["open"]);
        assert_eq!(split(&mut splitter, r#""a"b,,"#), ["ab", "", ""]);
    }

    #[test]
    fn a_line_break_within_a_record_is_data() {
        let mut splitter = Splitter::default();
        assert_eq!(split(&mut splitter, "\"one\ntwo\",x"), ["one\ntwo", "x"]);
        assert_eq!(split(&mut splitter, "one\ntwo,\"x\""), ["one\ntwo", "x"]);
        assert_eq!(split(&mut splitter, "\n\"a\""), ["\n\"a\""]);
    }

    #[test]
    fn both_ways_agree_about_the_edges_of_a_record() {
        let mut splitter = Splitter::default();
        assert_eq!(split(&mut splitter, ""), [""]);
        assert_eq!(split(&mut splitter, "\r"), [""]);
        assert_eq!(split(&mut splitter, "a,b\r"), ["a", "b"]);
        assert_eq!(split(&mut splitter, "a,\"b\"\r"), ["a", "b"]);
        assert_eq!(split(&mut splitter, "\u{feff}a,b"), ["a", "b"]);
        assert_eq!(split(&mut splitter, "\u{feff}\"a\",b"), ["a", "b"]);
        assert_eq!(split(&mut splitter, ",\"\","), ["", "", ""]);
        assert_eq!(split(&mut splitter, ",,"), ["", "", ""]);
    }

    #[test]
    fn a_second_byte_order_mark_is_text_with_quotes_and_without() {
        let mut splitter = Splitter::default();
        assert_eq!(split(&mut splitter, "\u{feff}\u{feff}a,b"), ["\u{feff}a", "b"]);
        assert_eq!(split(&mut splitter, "\u{feff}\u{feff}a,\"b\""), ["\u{feff}a", "b"]);
        assert_eq!(split(&mut splitter, "\u{feff}\u{feff}\"a\",b"), ["\u{feff}\"a\"", "b"]);
    }

    #[test]
    fn a_quoted_record_can_contain_any_byte() {
        let mut splitter = Splitter::default();
        assert_eq!(split(&mut splitter, "a\0b,\"c\0d\""), ["a\0b", "c\0d"]);
        assert_eq!(split(&mut splitter, "\0\u{1},\"x\""), ["\0\u{1}", "x"]);
        assert_eq!(split(&mut splitter, "\"again\",y"), ["again", "y"]);
    }

    #[test]
    fn the_separator_is_the_hosts_choice() {
        let mut splitter = Splitter::new(b'\t');
        assert_eq!(split(&mut splitter, "a,b\t\"c\td\""), ["a,b", "c\td"]);
    }
}
