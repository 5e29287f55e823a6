//! A file with one line for each execution: the record and the worker's process, with a tab between. The
//! n-th line of a record is its n-th execution.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process;

/// The file.
#[derive(Debug)]
pub(crate) struct SideLog(PathBuf);

impl SideLog {
    /// Writes to that file from now on.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Notes an execution that is about to begin. Returns how many of this record there were before, if it
    /// `counts` (only those records pay for reading the file).
    pub(crate) fn note(&self, record: &[u8], counts: bool) -> io::Result<usize> {
        let mut line = record.to_vec();
        line.extend_from_slice(format!("\t{}\n", process::id()).as_bytes());
        let earlier = if counts { self.count(record)? } else { 0 };
        // One write at the end of the file: the lines of several workers do not mix.
        OpenOptions::new().create(true).append(true).open(&self.0)?.write_all(&line)?;
        Ok(earlier)
    }

    fn count(&self, record: &[u8]) -> io::Result<usize> {
        let text = match fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            text => text?,
        };
        let of_record = |line: &&[u8]| line.strip_prefix(record).is_some_and(|rest| rest.starts_with(b"\t"));
        Ok(text.split(|byte| *byte == b'\n').filter(of_record).count())
    }
}
