//! Records that failed: one JSON line each into `--failed FILE`, or the first few to standard error.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use serde::Serialize;

use super::failure::FailedRecord;
use crate::record::Format;

/// Failures that are shown when there is no file for them.
const SHOWN_MAX: u64 = 10;

/// Bytes of a record that are shown.
const SHOWN_BYTES_MAX: usize = 200;

/// One line of the file. `docs/failed-records.md` describes it.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    record: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    reason: &'static str,
    message: &'a str,
    attempts: u32,
    node: Option<&'a str>,
    slot: Option<u16>,
}

/// The failed records could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the failed records to {path}: {source}")]
pub struct FailedFileError {
    path: PathBuf,
    source: io::Error,
}

/// Where failed records go.
#[derive(Debug)]
pub struct FailedWriter {
    file: Option<(PathBuf, BufWriter<File>)>,
    format: Format,
    shown: u64,
}

impl FailedWriter {
    /// Writes to a file, or shows the first few.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn new(path: Option<&Path>, format: Format) -> Result<Self, FailedFileError> {
        let open = |path: &Path| match File::create(path) {
            Ok(file) => Ok((path.to_owned(), BufWriter::new(file))),
            Err(source) => Err(FailedFileError { path: path.to_owned(), source }),
        };
        Ok(Self { file: path.map(open).transpose()?, format, shown: 0 })
    }

    /// Reports one record.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&mut self, failed: &FailedRecord) -> Result<(), FailedFileError> {
        let content = self.format.content(&failed.record);
        let Some((path, file)) = &mut self.file else {
            self.show(failed);
            return Ok(());
        };
        let (record, encoding) = match std::str::from_utf8(content) {
            Ok(text) => (text.to_owned(), None),
            Err(_) => (base64::engine::general_purpose::STANDARD.encode(content), Some("base64")),
        };
        let (node, slot) = match &failed.place {
            Some(place) => (Some(place.node.as_str()), Some(place.slot.0)),
            None => (None, None),
        };
        let line = Line {
            seq: failed.seq.0,
            record,
            encoding,
            reason: failed.reason.word(),
            message: &failed.message,
            attempts: failed.attempts,
            node,
            slot,
        };
        let written = serde_json::to_writer(&mut *file, &line).map_err(io::Error::from);
        let written = written.and_then(|()| file.write_all(b"\n"));
        written.map_err(|source| FailedFileError { path: path.clone(), source })
    }

    /// Makes sure that all is in the file, and says how many were not shown.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(&mut self) -> Result<(), FailedFileError> {
        if self.shown > SHOWN_MAX {
            let more = self.shown - SHOWN_MAX;
            eprintln!("simplegrid: {more} more records failed; --failed FILE keeps all of them");
        }
        match &mut self.file {
            Some((path, file)) => {
                file.flush().map_err(|source| FailedFileError { path: path.clone(), source })
            }
            None => Ok(()),
        }
    }

    fn show(&mut self, failed: &FailedRecord) {
        self.shown += 1;
        if self.shown > SHOWN_MAX {
            return;
        }
        let content = self.format.content(&failed.record);
        let shown = String::from_utf8_lossy(&content[..content.len().min(SHOWN_BYTES_MAX)]);
        let more = if content.len() > SHOWN_BYTES_MAX { "…" } else { "" };
        let times =
            if failed.attempts > 1 { format!(" ({} attempts)", failed.attempts) } else { String::new() };
        let (number, word, message) = (failed.seq.0 + 1, failed.reason.word(), &failed.message);
        eprintln!("simplegrid: record {number} failed, {word}: {message}{times}: {shown:?}{more}");
    }
}
