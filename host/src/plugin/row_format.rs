//! The formats in which a run writes the rows of its task, and the line with which an output begins. Pure.

use serde::{Deserialize, Serialize};

/// How a row becomes a line of the output. The worker writes it; the master passes lines on as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RowFormat {
    /// CSV (RFC 4180).
    #[default]
    Csv,
    /// Cells with tabs between them, and with PostgreSQL's escapes.
    Tsv,
    /// One JSON object for each row.
    JsonLines,
}

impl RowFormat {
    /// The line that names the columns; `None` where every row does so itself.
    pub(crate) fn header_line<'a>(self, names: impl Iterator<Item = &'a str>) -> Option<String> {
        let separator = match self {
            Self::Csv => b',',
            Self::Tsv => b'\t',
            Self::JsonLines => return None,
        };
        let mut line = Vec::new();
        for (index, name) in names.enumerate() {
            if index > 0 {
                line.push(separator);
            }
            match self {
                Self::Tsv => escape_tsv(name.as_bytes(), &mut line),
                Self::Csv | Self::JsonLines => write_csv(name.as_bytes(), &mut line),
            }
        }
        line.push(b'\n');
        Some(String::from_utf8(line).expect("escapes are ASCII, and the names are UTF-8"))
    }
}

/// Appends the text of a cell of CSV, in quotes if it could be mistaken without.
pub(crate) fn write_csv(text: &[u8], out: &mut Vec<u8>) {
    if text.iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
        quote_csv(text, out);
    } else {
        out.extend_from_slice(text);
    }
}

/// The same, always in quotes.
pub(crate) fn quote_csv(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Appends the text of a cell of TSV. Nothing of it can be taken for the end of the cell, or for NULL.
pub(crate) fn escape_tsv(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            other => out.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_the_separator_of_its_rows() {
        let header = |format: RowFormat| format.header_line(["a", "b\tc"].into_iter());
        assert_eq!(header(RowFormat::Csv).as_deref(), Some("a,b\tc\n"));
        assert_eq!(header(RowFormat::Tsv).as_deref(), Some("a\tb\\tc\n"));
        assert_eq!(header(RowFormat::JsonLines), None);
    }

    #[test]
    fn a_name_with_a_comma_is_one_cell_of_a_header() {
        let header = RowFormat::Csv.header_line(["a,b", "c \"d\""].into_iter());
        assert_eq!(header.as_deref(), Some("\"a,b\",\"c \"\"d\"\"\"\n"));
    }
}
