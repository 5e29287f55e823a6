//! The bytes of a row's cells, in buffers that are used again for the next row.

use std::fmt::Display;
use std::io::{self, Write};

/// One row.
#[derive(Debug, Default)]
pub(super) struct RowBuffer {
    /// The bytes of all cells, without anything between them.
    pub(super) bytes: Vec<u8>,
    /// Where each cell ends in `bytes`; `None` for NULL.
    pub(super) ends: Vec<Option<usize>>,
}

impl RowBuffer {
    /// Forgets the row, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds a cell.
    #[inline]
    pub(super) fn cell(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(Some(self.bytes.len()));
    }

    /// Adds a cell that is written as `Display` does.
    ///
    /// # Errors
    /// If the value's `Display` fails.
    pub(super) fn displayed(&mut self, value: impl Display) -> io::Result<()> {
        write!(self.bytes, "{value}")?;
        self.ends.push(Some(self.bytes.len()));
        Ok(())
    }

    /// Adds a NULL.
    pub(super) fn null(&mut self) {
        self.ends.push(None);
    }
}
