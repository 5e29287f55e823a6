//! Lines of a failed-records file: each is a JSON object that holds the record meant.
//!
//! They become ordinary records here, so neither workers nor the wire know of them. No I/O.
//! `docs/failed-records.md` describes the lines; `master/output/failed_writer.rs` writes them.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use super::format::Format;
use super::records::{Records, RecordsBuilder};

/// Bytes that JSON can need for one byte of a record: `\u0000`.
const JSON_BYTES_PER_BYTE: usize = 6;

/// Bytes of a line beside the record: a message of 8 KiB, escaped, the node's name, and the keys.
const LINE_REST_BYTES: usize = 64 * 1024;

/// Why a line cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// It is not a line of a failed-records file.
    #[error("record {number} of the input is not a line of a failed-records file: {reason}")]
    NoFailedRecord {
        /// Its place in the input, counted from one.
        number: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Only the beginning of the record was kept.
    #[error(
        "the line holds only the beginning of this record, which was too long: take the record from the original input"
    )]
    OnlyItsBeginning,
}

/// What comes out of some lines, in their order.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// Whole records.
    Records(Records),
    /// A record that exceeds the limit: its beginning, and how many bytes it has with its terminator.
    TooLong { record: Bytes, bytes: u64 },
    /// A line that cannot be run.
    Unusable { record: Bytes, why: Unusable },
}

/// The parts of a line that matter here.
#[derive(Deserialize)]
struct ParsedLine<'a> {
    #[serde(borrow)]
    record: Cow<'a, str>,
    #[serde(borrow, default)]
    encoding: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

/// Turns lines into the records that they hold.
#[derive(Debug)]
pub(crate) struct FailedLines {
    record_bytes_max: usize,
    /// Lines so far.
    lines: u64,
    /// One record with its terminator.
    record: Vec<u8>,
}

impl FailedLines {
    /// The format of what comes out. A zero byte is put behind each record, and a table says where records
    /// end: so a record can hold anything, zero bytes and line breaks included.
    pub(crate) const FORMAT: Format = Format::Nul;

    /// For records of up to `record_bytes_max` bytes, terminator included.
    pub(crate) fn new(record_bytes_max: usize) -> Self {
        Self { record_bytes_max, lines: 0, record: Vec::new() }
    }

    /// Bytes of the longest line that can hold such a record.
    pub(crate) fn line_bytes_max(&self) -> usize {
        self.record_bytes_max.saturating_mul(JSON_BYTES_PER_BYTE).saturating_add(LINE_REST_BYTES)
    }

    /// A line was dropped because it was longer than that.
    pub(crate) fn skip_line(&mut self) {
        self.lines += 1;
    }

    /// The records of some lines.
    pub(crate) fn decode(&mut self, lines: &Records) -> Vec<Decoded> {
        let mut decoded = Vec::new();
        let mut whole = RecordsBuilder::default();
        for line in lines.iter() {
            self.lines += 1;
            if let Err(other) = self.decode_line(Format::Lines.content(line)) {
                if !whole.is_empty() {
                    decoded.push(Decoded::Records(whole.take()));
                }
                decoded.push(other);
            } else {
                whole.push(&self.record);
            }
        }
        if !whole.is_empty() {
            decoded.push(Decoded::Records(whole.take()));
        }
        decoded
    }

    /// Puts the record of a line into `record`.
    fn decode_line(&mut self, line: &[u8]) -> Result<(), Decoded> {
        let unusable = |reason: String| {
            let why = Unusable::NoFailedRecord { number: self.lines, reason };
            Decoded::Unusable { record: Bytes::copy_from_slice(line), why }
        };
        let meant: ParsedLine<'_> =
            serde_json::from_slice(line).map_err(|error| unusable(without_line(&error)))?;
        self.record.clear();
        match meant.encoding.as_deref() {
            None => self.record.extend_from_slice(meant.record.as_bytes()),
            Some("base64") => STANDARD
                .decode_vec(meant.record.as_bytes(), &mut self.record)
                .map_err(|error| unusable(format!("its record is not base64: {error}")))?,
            Some(other) => {
                return Err(unusable(format!("the encoding {other:?} is unknown; only \"base64\" is known")));
            }
        }
        if meant.reason.as_deref() == Some("too-long") {
            let record = Bytes::copy_from_slice(&self.record);
            return Err(Decoded::Unusable { record, why: Unusable::OnlyItsBeginning });
        }
        self.record.push(Self::FORMAT.terminator());
        if self.record.len() > self.record_bytes_max {
            let bytes = self.record.len() as u64;
            self.record.truncate(super::block::TOO_LONG_KEPT_BYTES);
            return Err(Decoded::TooLong { record: Bytes::copy_from_slice(&self.record), bytes });
        }
        Ok(())
    }
}

/// serde_json counts lines within its input, which is one line here.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line ") {
        Some((reason, _)) => format!("{reason} at column {}", error.column()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(lines: &[&str], record_bytes_max: usize) -> Vec<String> {
        let records = Records::from_iter(lines.iter().map(|line| format!("{line}\n")));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let decoded = FailedLines::new(record_bytes_max).decode(&records);
        let shown = decoded.iter().flat_map(|decoded| match decoded {
            Decoded::Records(records) => records.iter().map(|record| format!("{:?}", text(record))).collect(),
            Decoded::TooLong { bytes, .. } => vec![format!("too long: {bytes}")],
            Decoded::Unusable { record, why } => vec![format!("{}: {why}", text(record))],
        });
        shown.collect()
    }

    #[test]
    fn a_line_is_the_record_that_it_holds() {
        let lines = [
            r#"{"seq":3,"record":"not an address","reason":"rejected","message":"no @","attempts":1,"node":null}"#,
            r#"{"seq":14,"record":"//4gYmFk","encoding":"base64","reason":"crash","slot":1}"#,
            r#"{"record":"two\nlines and \u0000 and \"quotes\""}"#,
            r#"{"record":""}"#,
        ];
        let expected = [
            "\"not an address\\0\"",
            "\"\u{fffd}\u{fffd} bad\\0\"",
            r#""two\nlines and \0 and \"quotes\"\0""#,
            r#""\0""#,
        ];
        assert_eq!(decode(&lines, 100), expected);
    }

    #[test]
    fn an_invalid_line_is_named_and_the_rest_goes_on() {
        let lines =
            ["plain", r#"{"seq":1}"#, r#"{"record":"x","encoding":"rot13"}"#, r#"{"record":"ok"}"#, ""];
        let decoded = decode(&lines, 100);
        let no_line = |number| format!("record {number} of the input is not a line of a failed-records file");
        let expected = [
            format!("plain: {}: expected value at column 1", no_line(1)),
            format!(r#"{{"seq":1}}: {}: missing field `record` at column 9"#, no_line(2)),
            format!(
                r#"{}: {}: the encoding "rot13" is unknown; only "base64" is known"#,
                lines[2],
                no_line(3)
            ),
            r#""ok\0""#.to_owned(),
            format!(": {}: EOF while parsing a value at column 0", no_line(5)),
        ];
        assert_eq!(decoded, expected);
    }

    #[test]
    fn of_a_record_that_was_too_long_there_is_only_the_beginning() {
        let decoded = decode(&[r#"{"record":"begi","reason":"too-long"}"#, r#"{"record":"12345678"}"#], 8);
        assert!(decoded[0].starts_with("begi: the line holds only the beginning"), "{decoded:?}");
        assert_eq!(decoded[1], "too long: 9");
    }
}
