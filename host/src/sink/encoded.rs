//! Rows in the form in which a server takes them, with the ends of rows and records. Pure; each server's own
//! file defines the form.

use std::ops::Range;

use bytes::Bytes;

use super::group::Group;
use super::narrow::NarrowColumns;
use super::rows::{Cell, each_row};
use super::shape::Shape;
use crate::plugin::Column;

/// The form in which a server takes a row.
pub(crate) trait RowForm {
    /// Appends a row.
    ///
    /// # Errors
    /// What is wrong with a cell, if the server cannot take it.
    fn push_row(&self, cells: &[Cell<'_>], columns: &[Column], out: &mut Vec<u8>) -> Result<(), String>;
}

/// The rows of some entries of a group.
#[derive(Debug)]
pub(crate) struct Encoded {
    bytes: Bytes,
    /// Where each row ends, in bytes.
    ends: Vec<usize>,
    /// Each entry's place in the group, and which rows are its own.
    entries: Vec<(usize, Range<usize>)>,
    /// The places of entries that cannot be encoded, and why.
    pub refused: Vec<(usize, String)>,
    /// The places of entries with a text that was shortened, each with the place of its narrow column.
    pub shortened: Vec<(usize, usize)>,
}

impl Encoded {
    /// Encodes the rows of these entries.
    pub(crate) fn new(
        group: &Group,
        indexes: &[usize],
        shape: &Shape,
        narrow: &NarrowColumns,
        form: &impl RowForm,
    ) -> Self {
        let mut shortened = Vec::new();
        let (mut bytes, mut ends) = (Vec::with_capacity(group.bytes + group.bytes / 8), Vec::new());
        let (mut entries, mut refused) = (Vec::with_capacity(indexes.len()), Vec::new());
        for index in indexes {
            let (first_byte, first_row, first_shortened) = (bytes.len(), ends.len(), shortened.len());
            let mut encode = |rows: &Bytes| {
                each_row(rows, shape.raw, &mut Vec::new(), |cells| {
                    if let Some(message) = shape.mismatch(cells.len()) {
                        return Err(message);
                    }
                    match narrow.fit(cells) {
                        None => form.push_row(cells, &shape.columns, &mut bytes)?,
                        Some((cells, places)) => {
                            form.push_row(&cells, &shape.columns, &mut bytes)?;
                            shortened.extend(places.into_iter().map(|place| (*index, place)));
                        }
                    }
                    ends.push(bytes.len());
                    Ok(())
                })
            };
            let encoded = group.entries[*index].rows.iter().try_for_each(&mut encode);
            match encoded {
                Ok(()) => entries.push((*index, first_row..ends.len())),
                Err(message) => {
                    bytes.truncate(first_byte);
                    ends.truncate(first_row);
                    shortened.truncate(first_shortened);
                    refused.push((*index, message));
                }
            }
        }
        Self { bytes: bytes.into(), ends, entries, refused, shortened }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The place of an entry in its group.
    pub(crate) fn index(&self, entry: usize) -> usize {
        self.entries[entry].0
    }

    /// The rows of consecutive entries, as bytes.
    pub(crate) fn bytes_of(&self, entries: Range<usize>) -> Bytes {
        self.bytes_of_rows(self.rows_of(entries))
    }

    /// The same in pieces of at most `bytes_max` bytes each, unless a single row is longer.
    pub(crate) fn pieces_of(&self, entries: Range<usize>, bytes_max: usize) -> Vec<Bytes> {
        let rows = self.rows_of(entries);
        let mut pieces = Vec::new();
        let mut first = rows.start;
        for row in rows.clone() {
            if row > first && self.ends[row] - self.start(first) > bytes_max {
                pieces.push(self.bytes_of_rows(first..row));
                first = row;
            }
        }
        if first < rows.end {
            pieces.push(self.bytes_of_rows(first..rows.end));
        }
        pieces
    }

    fn rows_of(&self, entries: Range<usize>) -> Range<usize> {
        match (self.entries[entries.clone()].first(), self.entries[entries].last()) {
            (Some((_, first)), Some((_, last))) => first.start..last.end,
            _ => 0..0,
        }
    }

    fn bytes_of_rows(&self, rows: Range<usize>) -> Bytes {
        if rows.is_empty() {
            return Bytes::new();
        }
        self.bytes.slice(self.start(rows.start)..self.ends[rows.end - 1])
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

/// Bytes in hexadecimal.
pub(crate) fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Kind;
    use crate::sink::group::{EntryTask, GroupEntry};

    /// Cells between bars; one that is `bad` cannot be written.
    struct Bars;

    impl RowForm for Bars {
        fn push_row(&self, cells: &[Cell<'_>], _: &[Column], out: &mut Vec<u8>) -> Result<(), String> {
            for cell in cells {
                out.push(b'|');
                let text = cell.as_deref().unwrap_or(b"-");
                if text == b"bad" {
                    return Err("it is bad".to_owned());
                }
                out.extend_from_slice(text);
            }
            Ok(())
        }
    }

    fn encoded(rows: &[&str]) -> Encoded {
        let mut group = Group::default();
        for rows in rows {
            let rows = [Bytes::new(), Bytes::copy_from_slice(rows.as_bytes())];
            group.push(GroupEntry { seq: 0, task: EntryTask::Commit, rows });
        }
        let shape = Shape {
            columns: vec![Column { name: "a".into(), kind: Kind::Text, nullable: true }],
            raw: false,
        };
        let indexes: Vec<_> = (0..rows.len()).collect();
        Encoded::new(&group, &indexes, &shape, &NarrowColumns::default(), &Bars)
    }

    #[test]
    fn rows_are_found_by_their_entries() {
        let encoded = encoded(&["1\n2\n", "x\nbad\n", "3\n", "1,2\n", "", "4\n"]);
        let says = |index: usize, text: &str| (index, text.to_owned());
        let refused =
            [says(1, "it is bad"), says(3, "one of its rows has the wrong number of cells: 2 instead of 1")];
        assert_eq!(encoded.refused, refused);
        let indexes: Vec<_> = (0..encoded.len()).map(|entry| encoded.index(entry)).collect();
        assert_eq!(indexes, [0, 2, 4, 5]);
        assert_eq!(encoded.bytes_of(0..4), "|1|2|3|4");
        assert_eq!(encoded.bytes_of(1..2), "|3");
        assert_eq!(encoded.bytes_of(2..3), "");
        assert_eq!(encoded.bytes_of(2..4), "|4");
        assert_eq!(encoded.pieces_of(0..4, 5), ["|1|2", "|3|4"]);
        assert_eq!(encoded.pieces_of(0..2, 1), ["|1", "|2", "|3"]);
        assert!(encoded.pieces_of(2..3, 9).is_empty());
    }
}
