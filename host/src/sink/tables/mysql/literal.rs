//! Rows as literals of MySQL's SQL (see «String Literals» in its manual), for connections on which a
//! backslash escapes and text is UTF-8. Pure.

use crate::plugin::{Column, Kind};
use crate::sink::encoded::{RowForm, push_hex};
use crate::sink::rows::{Cell, text_of};

/// Rows in parentheses, each followed by a comma.
#[derive(Debug)]
pub(crate) struct Literals {
    /// Bytes of the longest row that the server accepts.
    pub row_bytes_max: usize,
}

impl RowForm for Literals {
    fn push_row(&self, cells: &[Cell<'_>], columns: &[Column], out: &mut Vec<u8>) -> Result<(), String> {
        let start = out.len();
        for (index, (cell, column)) in cells.iter().zip(columns).enumerate() {
            out.push(if index == 0 { b'(' } else { b',' });
            match (cell.as_deref(), column.kind) {
                (None, _) => out.extend_from_slice(b"NULL"),
                (Some(bytes), Kind::Bytes) => push_bytes(bytes, out),
                (Some(b"true"), Kind::Bool) => out.push(b'1'),
                (Some(b"false"), Kind::Bool) => out.push(b'0'),
                (Some(text), _) => push_text(text, column, out)?,
            }
        }
        out.extend_from_slice(b"),");
        let bytes = out.len() - start;
        if bytes > self.row_bytes_max {
            return Err(format!(
                "one of its rows takes {bytes} bytes, but the server accepts at most {} (max_allowed_packet)",
                self.row_bytes_max
            ));
        }
        Ok(())
    }
}

fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"x'");
    push_hex(bytes, out);
    out.push(b'\'');
}

fn push_text(text: &[u8], column: &Column, out: &mut Vec<u8>) -> Result<(), String> {
    let text = text_of(text, column)?;
    out.push(b'\'');
    for byte in text.bytes() {
        match byte {
            0 => out.extend_from_slice(b"\\0"),
            b'\'' => out.extend_from_slice(b"\\'"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x1a => out.extend_from_slice(b"\\Z"),
            byte => out.push(byte),
        }
    }
    out.push(b'\'');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn row(cells: &[(Option<&[u8]>, Kind)]) -> Result<String, String> {
        let columns: Vec<_> =
            cells.iter().map(|(_, kind)| Column { name: "c".into(), kind: *kind, nullable: true }).collect();
        let cells: Vec<_> = cells.iter().map(|(cell, _)| cell.map(Cow::Borrowed)).collect();
        let mut out = Vec::new();
        let form = Literals { row_bytes_max: 60 };
        form.push_row(&cells, &columns, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn no_text_can_end_its_literal() {
        let hostile: &[u8] = b"'; DROP TABLE x; -- \\' \" \0\n\r\x1a";
        let written = row(&[(Some(hostile), Kind::Text)]).unwrap();
        assert_eq!(written, "('\\'; DROP TABLE x; -- \\\\\\' \\\" \\0\\n\\r\\Z'),");
        assert_eq!(
            row(&[
                (None, Kind::Int),
                (Some(b"-7"), Kind::Int),
                (Some(b"true"), Kind::Bool),
                (Some(b"\0'"), Kind::Bytes)
            ])
            .unwrap(),
            "(NULL,'-7',1,x'0027'),"
        );
        assert_eq!(
            row(&[(Some(b"\xff"), Kind::Text)]).unwrap_err(),
            "column `c`: its text is not valid UTF-8"
        );
        assert!(row(&[(Some(&[b'x'; 60]), Kind::Text)]).unwrap_err().contains("max_allowed_packet"));
    }
}
