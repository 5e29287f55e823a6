//! The keys that keep records together: how users name them, and how the text of a field is found.
//!
//! Keys that a plugin computes are only named here: nothing here loads a library.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use csv_core::{ReadFieldResult, Reader, ReaderBuilder, Terminator};

/// The mark that some programs put before UTF-8 text; it is not part of the first field.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where a record's partition key comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum PartitionBy {
    /// The text of one CSV field; the first is field 0.
    Field(usize),
    /// The record without its terminator.
    WholeRecord,
    /// A partitioner in a plugin.
    Plugin {
        /// The plugin as the user named it: a path, or a name to look up.
        spec: String,
        /// Which of its partitioners, if it has several.
        name: Option<String>,
    },
}

/// Why a text does not name a partition key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PartitionByError {
    /// `field:` without a number.
    #[error(
        "cannot partition by `field:{number}`: write a number counted from 0, so field:0 is the first field"
    )]
    FieldNumber {
        /// The text in its place.
        number: String,
        /// What is wrong with it.
        source: ParseIntError,
    },
    /// Neither a built-in key nor a plugin.
    #[error("cannot partition by `{0}`: use field:N (field:0 is the first), whole-record or FILE[:NAME]")]
    Unknown(String),
}

/// A record does not have the field, so it has no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field {field} is missing (the first is field 0); fields in the record: {fields}")]
pub struct KeyError {
    /// The field that was asked for.
    pub field: usize,
    /// How many fields the record has.
    pub fields: usize,
}

impl FromStr for PartitionBy {
    type Err = PartitionByError;

    fn from_str(text: &str) -> Result<Self, PartitionByError> {
        if text == "whole-record" {
            return Ok(Self::WholeRecord);
        }
        if let Some(number) = text.strip_prefix("field:") {
            return number
                .parse()
                .map(Self::Field)
                .map_err(|source| PartitionByError::FieldNumber { number: number.to_owned(), source });
        }
        // A colon in the name of a directory belongs to the path.
        let (spec, name) = match text.rsplit_once(':') {
            Some((spec, name)) if !name.contains('/') => (spec, Some(name)),
            _ => (text, None),
        };
        if spec.is_empty() || spec == "field" || name == Some("") {
            return Err(PartitionByError::Unknown(text.to_owned()));
        }
        Ok(Self::Plugin { spec: spec.to_owned(), name: name.map(str::to_owned) })
    }
}

impl fmt::Display for PartitionBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => write!(f, "field:{field}"),
            Self::WholeRecord => f.write_str("whole-record"),
            Self::Plugin { spec, name: Some(name) } => write!(f, "{spec}:{name}"),
            Self::Plugin { spec, name: None } => f.write_str(spec),
        }
    }
}

/// Finds the text of one field of CSV records (RFC 4180).
#[derive(Debug)]
pub struct FieldKey {
    field: usize,
    /// Kept between records, because its tables are costly to build.
    reader: Reader,
}

impl FieldKey {
    /// For the field with this number, counted from 0. `terminator` is the byte that ends records in the
    /// format of the input. A record does not contain it outside quotes, so csv-core takes the whole
    /// content as one record.
    pub fn new(field: usize, terminator: u8) -> Self {
        Self { field, reader: ReaderBuilder::new().terminator(Terminator::Any(terminator)).build() }
    }

    /// Replaces what is in `key` with the text of the field. An empty record has one field, which is empty.
    ///
    /// # Errors
    /// If the record has no such field; `key` is then unspecified.
    pub fn key_into(&mut self, content: &[u8], key: &mut Vec<u8>) -> Result<(), KeyError> {
        key.clear();
        let content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
        match self.find(content) {
            Found::Text(text) => {
                key.extend_from_slice(text);
                Ok(())
            }
            Found::Missing { fields } => Err(KeyError { field: self.field, fields }),
            Found::Irregular => self.parse(content, key),
        }
    }

    /// The fast way, for fields whose text is in the record as it is: unquoted fields, and fields that are
    /// quoted from end to end with no quote inside.
    fn find<'a>(&self, content: &'a [u8]) -> Found<'a> {
        let (mut rest, mut fields) = (content, 0);
        loop {
            let (text, bytes) = match rest.strip_prefix(b"\"") {
                None => {
                    let bytes = memchr::memchr(b',', rest).unwrap_or(rest.len());
                    (&rest[..bytes], bytes)
                }
                Some(quoted) => {
                    let Some(close) = memchr::memchr(b'"', quoted) else { return Found::Irregular };
                    (&quoted[..close], close + 2)
                }
            };
            let after = rest.get(bytes);
            if after.is_some_and(|byte| *byte != b',') {
                return Found::Irregular;
            }
            if fields == self.field {
                return Found::Text(text);
            }
            fields += 1;
            if after.is_none() {
                return Found::Missing { fields };
            }
            rest = &rest[bytes + 1..];
        }
    }

    /// The slow way, for all fields.
    fn parse(&mut self, content: &[u8], key: &mut Vec<u8>) -> Result<(), KeyError> {
        self.reader.reset();
        // No field is longer than its record.
        key.resize(content.len(), 0);
        let (mut rest, mut text_bytes, mut fields) = (content, 0, 0);
        loop {
            let (result, read, wrote) = self.reader.read_field(rest, &mut key[text_bytes..]);
            rest = &rest[read..];
            text_bytes += wrote;
            match result {
                ReadFieldResult::Field { .. } if fields == self.field => {
                    key.truncate(text_bytes);
                    return Ok(());
                }
                ReadFieldResult::Field { .. } => (fields, text_bytes) = (fields + 1, 0),
                // Reading on with empty input tells csv-core that the record has ended.
                ReadFieldResult::InputEmpty => {}
                ReadFieldResult::End => return Err(KeyError { field: self.field, fields }),
                ReadFieldResult::OutputFull => key.resize(key.len() * 2 + 1, 0),
            }
        }
    }
}

/// What the fast way found.
enum Found<'a> {
    Text(&'a [u8]),
    Missing {
        fields: usize,
    },
    /// Quotes that only csv-core can read.
    Irregular,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(field: usize, content: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut key = b"left over".to_vec();
        FieldKey::new(field, b'\n').key_into(content, &mut key).map(|()| key)
    }

    #[test]
    fn the_name_of_a_key_is_read_as_it_is_written() {
        let plugin = |spec: &str, name: Option<&str>| PartitionBy::Plugin {
            spec: spec.into(),
            name: name.map(str::to_owned),
        };
        for (text, by) in [
            ("field:0", PartitionBy::Field(0)),
            ("field:12", PartitionBy::Field(12)),
            ("whole-record", PartitionBy::WholeRecord),
            ("email-domain", plugin("email-domain", None)),
            ("./lib.so:by-email-domain", plugin("./lib.so", Some("by-email-domain"))),
            ("/a:b/lib.so", plugin("/a:b/lib.so", None)),
        ] {
            assert_eq!(text.parse(), Ok(by.clone()));
            assert_eq!(by.to_string(), text);
        }
    }

    #[test]
    fn a_wrong_way_to_partition_says_what_would_be_right() {
        for (text, message) in [
            (
                "field:x",
                "cannot partition by `field:x`: write a number counted from 0, so field:0 is the first field",
            ),
            (
                "field:-1",
                "cannot partition by `field:-1`: write a number counted from 0, so field:0 is the first field",
            ),
            (
                "field",
                "cannot partition by `field`: use field:N (field:0 is the first), whole-record or FILE[:NAME]",
            ),
            ("", "cannot partition by ``: use field:N (field:0 is the first), whole-record or FILE[:NAME]"),
            (
                "a:",
                "cannot partition by `a:`: use field:N (field:0 is the first), whole-record or FILE[:NAME]",
            ),
        ] {
            assert_eq!(text.parse::<PartitionBy>().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_field_is_what_rfc_4180_says() {
        assert_eq!(key(0, b"a,b").unwrap(), b"a");
        assert_eq!(key(1, b"a,b").unwrap(), b"b");
        assert_eq!(key(1, b"a,").unwrap(), b"");
        assert_eq!(key(0, b"").unwrap(), b"");
        assert_eq!(key(1, b"\"a,\"\"\n\",\"b\",c").unwrap(), b"b");
        assert_eq!(key(0, b"\"a,\"\"\n\",\"b\",c").unwrap(), b"a,\"\n");
        assert_eq!(key(0, b"\"\"").unwrap(), b"");
        assert_eq!(key(0, b"a,\"b").unwrap(), b"a");
        assert_eq!(key(1, b"a,\"b").unwrap(), b"b");
        assert_eq!(key(0, b"\xef\xbb\xbfa").unwrap(), b"a");
        assert_eq!(key(0, b"\xef\xbb\xbf\"a,\"").unwrap(), b"a,");
        assert_eq!(key(0, b"\xff\rb").unwrap(), b"\xff\rb");
    }

    #[test]
    fn a_record_without_the_field_has_no_key() {
        let error = key(2, b"a,b").unwrap_err();
        assert_eq!(error, KeyError { field: 2, fields: 2 });
        assert_eq!(error.to_string(), "field 2 is missing (the first is field 0); fields in the record: 2");
        assert_eq!(key(1, b"\"a,b\""), Err(KeyError { field: 1, fields: 1 }));
        assert_eq!(key(1, b""), Err(KeyError { field: 1, fields: 1 }));
    }

    proptest! {
        #[test]
        fn the_fast_way_and_csv_core_agree(
            content in prop::collection::vec(prop::sample::select(&b"\"\",,ab\r\xff"[..]), 1..30),
            field in 0..4_usize,
        ) {
            let mut slow = Vec::new();
            let parsed = FieldKey::new(field, b'\n').parse(&content, &mut slow).map(|()| slow);
            prop_assert_eq!(key(field, &content), parsed);
        }
    }
}
