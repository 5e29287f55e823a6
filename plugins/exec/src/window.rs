//! Records that a command reads together, each as a line.

use memchr::memchr;
use simplegrid_plugin_api::{Batch, Error, Line, Output, Record, Result};

/// The records, and what the command reads of them.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    records: Vec<Record<'a>>,
    input: Vec<u8>,
}

impl<'a> Window<'a> {
    /// The records of a batch. Those that are no single line fail, and the others go on without them.
    pub(crate) fn of(batch: Batch<'a>, output: &mut Output<'_, Line>) -> Self {
        let bytes = batch.lines().map(|line| line.len() + 1).sum();
        let mut window = Self { records: Vec::with_capacity(batch.len()), input: Vec::with_capacity(bytes) };
        for record in batch {
            match add(&mut window.input, record.line()) {
                Ok(()) => window.records.push(record),
                Err(error) => output.fail(record.hold(), error),
            }
        }
        window
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// What the command reads.
    pub(crate) fn input(&self) -> &[u8] {
        &self.input
    }

    /// Each record is done with the line at its place.
    pub(crate) fn finish<'b>(self, lines: impl Iterator<Item = &'b [u8]>, output: &mut Output<'_, Line>) {
        for (record, line) in self.records.into_iter().zip(lines) {
            match output.line(line) {
                Ok(()) => output.done(record.hold()),
                Err(error) => output.fail(record.hold(), error),
            }
        }
    }

    /// All records are done; the rows that were written belong to the first of them.
    pub(crate) fn finish_together(self, output: &mut Output<'_, Line>) {
        for record in self.records {
            output.done(record.hold());
        }
    }
}

/// What a command reads of one record.
///
/// # Errors
/// Rejects a record that is more than a line.
pub(crate) fn line_of(record: &[u8]) -> Result<Vec<u8>> {
    let mut line = Vec::with_capacity(record.len() + 1);
    add(&mut line, record)?;
    Ok(line)
}

fn add(input: &mut Vec<u8>, record: &[u8]) -> Result {
    if memchr(b'\n', record).is_some() {
        return Err(Error::reject(
            "the record has a line break in it, so the command would take it for two: use `mode=per-record`",
        ));
    }
    input.extend_from_slice(record);
    input.push(b'\n');
    Ok(())
}
