//! Rows in the text form of PostgreSQL's COPY (see COPY, «Text Format», in its manual). Pure.

use crate::plugin::{Column, Kind};
use crate::sink::encoded::{RowForm, push_hex};
use crate::sink::rows::{Cell, refusal, text_of};

/// The text form.
#[derive(Debug)]
pub(crate) struct CopyText;

impl RowForm for CopyText {
    fn push_row(&self, cells: &[Cell<'_>], columns: &[Column], out: &mut Vec<u8>) -> Result<(), String> {
        for (index, (cell, column)) in cells.iter().zip(columns).enumerate() {
            if index > 0 {
                out.push(b'\t');
            }
            match cell.as_deref() {
                None => out.extend_from_slice(b"\\N"),
                Some(bytes) if column.kind == Kind::Bytes => push_bytes(bytes, out),
                Some(text) => push_text(text, column, out)?,
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

/// In hexadecimal. The first backslash is COPY's own.
fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\\\x");
    push_hex(bytes, out);
}

fn push_text(text: &[u8], column: &Column, out: &mut Vec<u8>) -> Result<(), String> {
    for byte in text_of(text, column)?.bytes() {
        match byte {
            0 => return Err(refusal(column, "PostgreSQL cannot store a NUL in text")),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.push(byte),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn row(cells: &[Option<&[u8]>], kind: Kind) -> Result<String, String> {
        let columns: Vec<_> =
            cells.iter().map(|_| Column { name: "c".into(), kind, nullable: true }).collect();
        let cells: Vec<_> = cells.iter().map(|cell| cell.map(Cow::Borrowed)).collect();
        let mut out = Vec::new();
        CopyText.push_row(&cells, &columns, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_copy_would_misread_is_escaped() {
        assert_eq!(
            row(&[Some(b"a\tb\\.\r\n"), None, Some(b"")], Kind::Text).unwrap(),
            "a\\tb\\\\.\\r\\n\t\\N\t\n"
        );
        assert_eq!(row(&[Some(b"\\N")], Kind::Text).unwrap(), "\\\\N\n");
        assert_eq!(row(&[Some(b"\0\xff'")], Kind::Bytes).unwrap(), "\\\\x00ff27\n");
        assert_eq!(row(&[Some(b"\xff")], Kind::Text).unwrap_err(), "column `c`: its text is not valid UTF-8");
        assert_eq!(
            row(&[Some(b"a\0")], Kind::Text).unwrap_err(),
            "column `c`: PostgreSQL cannot store a NUL in text"
        );
    }
}
