//! Each line that a command writes is a row.

use simplegrid_child_process::{Lines, Listener, Step};
use simplegrid_plugin_api::{Error, Line, Output, Result};

/// Bytes of one line. Without a limit, a command that writes no line break would fill the memory.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 20;

/// Makes rows of lines as they come.
pub(crate) struct Rows<'a, 'o> {
    lines: Lines,
    output: &'a mut Output<'o, Line>,
}

impl<'a, 'o> Rows<'a, 'o> {
    /// Rows for this output.
    pub(crate) fn to(output: &'a mut Output<'o, Line>) -> Self {
        Self { lines: Lines::default(), output }
    }

    /// The command has ended: its last line needs no line break.
    ///
    /// # Errors
    /// If the row is refused.
    pub(crate) fn finish(&mut self) -> Result {
        self.lines.finish(|line| self.output.line(line))
    }
}

impl Listener for Rows<'_, '_> {
    fn hear(&mut self, bytes: &[u8]) -> Result<Step> {
        self.lines.push(bytes, |line| self.output.line(line))?;
        if self.lines.begun_bytes() > LINE_BYTES_MAX {
            return Err(line_too_long());
        }
        Ok(Step::Whole)
    }

    fn stopping(&self) -> bool {
        self.output.stopping()
    }
}

/// What it means that a command writes an endless line.
#[cold]
pub(crate) fn line_too_long() -> Error {
    Error::reject(format_args!("the command has written a line of more than {} MiB", LINE_BYTES_MAX >> 20))
}
