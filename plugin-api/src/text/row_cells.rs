//! A row as text cells: the struct, one cell for each field.

use serde::Serialize;
use serde::ser::{Impossible, SerializeStruct, Serializer};

use super::TextError;
use super::cell_writer::CellWriter;
use super::row_buffer::RowBuffer;
use super::serde_calls::{compounds_are_refused, refused};
use crate::abi::Bytes;

/// The cells of one row at a time, in buffers that are used again.
#[derive(Debug, Default)]
pub(crate) struct RowCells {
    row: RowBuffer,
    /// The cells in the form that the host takes. Written last, because the buffer moves while it grows.
    cells: Vec<Bytes>,
}

impl RowCells {
    /// The cells of `row`. They are valid until the next call.
    pub(crate) fn encode<T: Serialize>(&mut self, row: &T) -> Result<&[Bytes], TextError> {
        self.row.clear();
        row.serialize(RowWriter { row: &mut self.row })?;
        self.point();
        Ok(&self.cells)
    }

    fn point(&mut self) {
        self.cells.clear();
        let mut start = 0;
        for end in &self.row.ends {
            self.cells.push(match *end {
                None => Bytes::NULL,
                Some(end) => Bytes::of(&self.row.bytes[std::mem::replace(&mut start, end)..end]),
            });
        }
    }
}

/// Takes a row's struct, and nothing else.
struct RowWriter<'a> {
    row: &'a mut RowBuffer,
}

/// Takes the fields of that struct.
struct RowFields<'a> {
    row: &'a mut RowBuffer,
}

impl SerializeStruct for RowFields<'_> {
    type Ok = ();
    type Error = TextError;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), TextError> {
        value
            .serialize(CellWriter { row: self.row })
            .map_err(|error| error.at(format_args!("column `{name}`")))
    }

    /// A field that `skip_serializing_if` leaves out keeps its column.
    fn skip_field(&mut self, _name: &'static str) -> Result<(), TextError> {
        self.row.null();
        Ok(())
    }

    fn end(self) -> Result<(), TextError> {
        Ok(())
    }
}

#[cold]
fn not_a_row() -> TextError {
    TextError::new("a row must be a struct with named fields")
}

impl<'a> Serializer for RowWriter<'a> {
    type Ok = ();
    type Error = TextError;
    type SerializeStruct = RowFields<'a>;

    compounds_are_refused! { not_a_row() }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<RowFields<'a>, TextError> {
        Ok(RowFields { row: self.row })
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _value: &T) -> Result<(), TextError> {
        Err(not_a_row())
    }

    refused! {
        not_a_row();
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        name: &'static str,
        count: i64,
        share: f64,
        good: bool,
        mark: char,
        note: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        more: Option<u8>,
        kind: Kind,
        width: Width,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Plain,
    }

    #[derive(Serialize)]
    struct Width(u16);

    fn row(note: Option<String>) -> Row {
        Row {
            name: "é",
            count: -12,
            share: 0.5,
            good: true,
            mark: 'ß',
            note,
            more: None,
            kind: Kind::Plain,
            width: Width(7),
        }
    }

    /// The cells as text, read from the buffers behind them.
    fn texts(cells: &RowCells) -> Vec<Option<String>> {
        let mut start = 0;
        let text = |end: usize, start: &mut usize| {
            let bytes = &cells.row.bytes[std::mem::replace(start, end)..end];
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        cells.row.ends.iter().map(|end| end.map(|end| text(end, &mut start))).collect()
    }

    #[test]
    fn every_field_is_a_cell() {
        let mut cells = RowCells::default();
        assert_eq!(cells.encode(&row(Some(String::new()))).unwrap().len(), 9);
        let some = |text: &str| Some(text.to_string());
        assert_eq!(
            texts(&cells),
            [
                some("é"),
                some("-12"),
                some("0.5"),
                some("true"),
                some("ß"),
                some(""),
                None,
                some("plain"),
                some("7")
            ]
        );
    }

    #[test]
    fn numbers_are_plain_decimals_without_exponents() {
        #[derive(Serialize)]
        struct Number<T>(T);
        #[derive(Serialize)]
        struct Row<T> {
            number: Number<T>,
        }
        fn written<T: Serialize>(number: T) -> String {
            let mut cells = RowCells::default();
            cells.encode(&Row { number: Number(number) }).unwrap();
            texts(&cells).remove(0).unwrap()
        }
        for (number, text) in [
            (0.1, "0.1"),
            (2.5, "2.5"),
            (1.0, "1"),
            (-0.0, "-0"),
            (16_777_216.0, "16777216"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(written(number), text);
        }
        assert_eq!(written(0.1_f32), "0.1");
        assert_eq!(written(i128::MIN), i128::MIN.to_string());
        for number in [f64::MIN_POSITIVE, f64::MAX, 0.1 + 0.2] {
            assert_eq!(written(number).parse(), Ok(number));
        }
    }

    #[test]
    fn null_is_not_an_empty_text() {
        let mut cells = RowCells::default();
        let encoded = cells.encode(&row(None)).unwrap();
        assert!(encoded[5].ptr.is_null());
        assert!(!cells.encode(&row(Some(String::new()))).unwrap()[5].ptr.is_null());
    }

    #[test]
    fn what_is_not_flat_is_refused_by_column() {
        #[derive(Serialize)]
        struct Deep {
            list: Vec<u8>,
        }
        let mut cells = RowCells::default();
        let error = cells.encode(&Deep { list: vec![1] }).unwrap_err().to_string();
        assert!(error.starts_with("column `list`: "), "{error}");
        assert!(cells.encode(&(1, 2)).is_err());
        assert!(cells.encode(&"text").is_err());
    }
}
