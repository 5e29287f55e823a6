//! How the cells of a row become a line of the output. Pure.

use serde::de::IgnoredAny;

use crate::plugin::{Column, Kind, RowFormat, escape_tsv, quote_csv, write_csv};

/// Writes the rows of one task.
#[derive(Debug)]
pub(super) struct RowText {
    /// In which format.
    pub(super) format: RowFormat,
    /// Rows are lines as they are, whatever the format.
    raw: bool,
    /// Every CSV row tells an empty text from NULL.
    marks_null: bool,
    /// What comes before each cell of an object, and what the cell holds.
    members: Vec<(Vec<u8>, Kind)>,
}

/// A row that does not have a cell for each column. An object cannot be made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the task wrote a row of {cells} cells, and has {columns} columns")]
pub(super) struct WrongCells {
    cells: usize,
    columns: usize,
}

impl RowText {
    /// For a task with these columns; `raw` if it writes raw lines. CSV, until another format is asked for.
    pub(super) fn new(columns: &[Column], raw: bool, marks_null: bool) -> Self {
        let member = |(index, column): (usize, &Column)| {
            let name = serde_json::to_string(&column.name).expect("a text is valid JSON");
            let before = if index == 0 { "{" } else { "," };
            (format!("{before}{name}:").into_bytes(), column.kind)
        };
        let members = columns.iter().enumerate().map(member).collect();
        Self { format: RowFormat::Csv, raw, marks_null, members }
    }

    /// Appends one row and the end of its line.
    ///
    /// # Errors
    /// If an object is to be made of a row that has too few or too many cells.
    pub(super) fn write<'a>(
        &self,
        cells: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
        row: &mut Vec<u8>,
    ) -> Result<(), WrongCells> {
        match self.format {
            _ if self.raw => self.csv(cells, row),
            RowFormat::Csv => self.csv(cells, row),
            RowFormat::Tsv => tsv(cells, row),
            RowFormat::JsonLines => return self.object(cells, row),
        }
        Ok(())
    }

    /// One row as CSV (RFC 4180, lines end with LF), or as a line if the task writes raw lines.
    /// An empty text has quotes where it could be mistaken: for an empty line if it is the only cell, and for
    /// NULL if that matters.
    fn csv<'a>(&self, cells: impl ExactSizeIterator<Item = Option<&'a [u8]>>, row: &mut Vec<u8>) {
        let marks_empty = self.marks_null || cells.len() == 1;
        for (index, cell) in cells.enumerate() {
            if index > 0 {
                row.push(b',');
            }
            let text = cell.unwrap_or_default();
            if self.raw {
                row.extend_from_slice(text);
            } else if marks_empty && cell.is_some() && text.is_empty() {
                quote_csv(text, row);
            } else {
                write_csv(text, row);
            }
        }
        row.push(b'\n');
    }

    fn object<'a>(
        &self,
        cells: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
        row: &mut Vec<u8>,
    ) -> Result<(), WrongCells> {
        if cells.len() != self.members.len() {
            return Err(WrongCells { cells: cells.len(), columns: self.members.len() });
        }
        if self.members.is_empty() {
            row.push(b'{');
        }
        for ((before, kind), cell) in self.members.iter().zip(cells) {
            row.extend_from_slice(before);
            match cell {
                None => row.extend_from_slice(b"null"),
                Some(text) => json_value(*kind, text, row),
            }
        }
        row.extend_from_slice(b"}\n");
        Ok(())
    }
}

/// One row as PostgreSQL's COPY reads it: NULL is `\N`.
fn tsv<'a>(cells: impl Iterator<Item = Option<&'a [u8]>>, row: &mut Vec<u8>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            row.push(b'\t');
        }
        match cell {
            None => row.extend_from_slice(b"\\N"),
            Some(text) => escape_tsv(text, row),
        }
    }
    row.push(b'\n');
}

/// A cell as JSON. Its kind is what the task promises, not what a C plugin is sure to write: a text that is
/// not of its kind is a string, so nothing is lost and the line stays valid.
fn json_value(kind: Kind, text: &[u8], row: &mut Vec<u8>) {
    match kind {
        Kind::Int | Kind::Float if is_json_number(text) => row.extend_from_slice(text),
        Kind::Float if matches!(text, b"NaN" | b"inf" | b"-inf") => row.extend_from_slice(b"null"),
        Kind::Bool if matches!(text, b"true" | b"false") => row.extend_from_slice(text),
        _ => json_string(text, row),
    }
}

/// Whether a text is a number in JSON's grammar: a valid document that begins and ends as a number does.
fn is_json_number(text: &[u8]) -> bool {
    let begins = matches!(text.first(), Some(b'-' | b'0'..=b'9'));
    let ends = text.last().is_some_and(u8::is_ascii_digit);
    begins && ends && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// A JSON string. Bytes that are no UTF-8 become U+FFFD.
fn json_string(text: &[u8], row: &mut Vec<u8>) {
    serde_json::to_writer(row, &String::from_utf8_lossy(text))
        .expect("a text is valid JSON, and memory takes it");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: RowFormat, cells: &[(Kind, Option<&[u8]>)]) -> String {
        let column = |(index, (kind, _)): (usize, &(Kind, _))| Column {
            name: format!("c{index}"),
            kind: *kind,
            nullable: true,
        };
        let columns: Vec<_> = cells.iter().enumerate().map(column).collect();
        let mut text = RowText::new(&columns, false, false);
        text.format = format;
        let mut row = Vec::new();
        text.write(cells.iter().map(|(_, cell)| *cell), &mut row).unwrap();
        String::from_utf8(row).unwrap()
    }

    fn value(kind: Kind, text: &[u8]) -> String {
        let row = written(RowFormat::JsonLines, &[(kind, Some(text))]);
        row.strip_prefix("{\"c0\":").and_then(|row| row.strip_suffix("}\n")).unwrap().to_owned()
    }

    #[test]
    fn an_object_has_the_types_of_its_columns() {
        let cells: &[(Kind, Option<&[u8]>)] = &[
            (Kind::Int, Some(b"-12")),
            (Kind::Float, Some(b"0.5")),
            (Kind::Bool, Some(b"true")),
            (Kind::Text, Some(b"7")),
            (Kind::Text, None),
            (Kind::Text, Some(b"")),
        ];
        assert_eq!(
            written(RowFormat::JsonLines, cells),
            "{\"c0\":-12,\"c1\":0.5,\"c2\":true,\"c3\":\"7\",\"c4\":null,\"c5\":\"\"}\n"
        );
        assert_eq!(written(RowFormat::JsonLines, &[]), "{}\n");
    }

    #[test]
    fn what_json_has_no_number_for_is_null_or_a_string() {
        for text in [&b"NaN"[..], b"inf", b"-inf"] {
            assert_eq!(value(Kind::Float, text), "null");
        }
        for text in ["007", "1.", ".5", "+1", "1e", "", "-", "0x1", "1 "] {
            assert_eq!(value(Kind::Int, text.as_bytes()), format!("\"{text}\""));
        }
        for text in ["0", "-0", "10", "1.25", "1e9", "1E-9", "2.5e+3"] {
            assert_eq!(value(Kind::Float, text.as_bytes()), text);
        }
        assert_eq!(value(Kind::Bool, b"1"), "\"1\"");
    }

    #[test]
    fn any_bytes_make_a_valid_string() {
        let all: Vec<u8> = (0..=255).collect();
        let text = value(Kind::Bytes, &all);
        let read: String = serde_json::from_str(&text).unwrap();
        assert_eq!(read, String::from_utf8_lossy(&all));
        assert_eq!(value(Kind::Text, "a\"\\\n\t\u{1}\u{e9}".as_bytes()), "\"a\\\"\\\\\\n\\t\\u0001\u{e9}\"");
    }

    #[test]
    fn tsv_tells_null_from_text_and_escapes_what_would_end_a_cell() {
        let cells: &[(Kind, Option<&[u8]>)] =
            &[(Kind::Text, Some(b"a\tb\nc\rd\\N")), (Kind::Text, None), (Kind::Text, Some(b""))];
        assert_eq!(written(RowFormat::Tsv, cells), "a\\tb\\nc\\rd\\\\N\t\\N\t\n");
    }

    #[test]
    fn an_object_is_not_made_of_a_row_with_a_wrong_number_of_cells() {
        let mut text = RowText::new(&[], false, false);
        text.format = RowFormat::JsonLines;
        let refused = text.write([Some(&b"a"[..])].into_iter(), &mut Vec::new()).unwrap_err();
        assert_eq!(refused.to_string(), "the task wrote a row of 1 cells, and has 0 columns");
    }
}
