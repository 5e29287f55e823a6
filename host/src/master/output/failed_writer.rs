//! Records that failed: one JSON line each into `--failed FILE`, or the first few to standard error or the
//! log.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use serde::Serialize;

use super::journal::{FileMark, Tail};
use crate::master::decisions::FailedRecord;
use crate::record::Format;
use crate::stderr;

/// Failures that are shown when there is no file for them: enough to see what goes wrong.
const SHOWN_MAX: u64 = 10;

/// Bytes of a record that are shown: a few lines of a terminal.
const SHOWN_BYTES_MAX: usize = 200;

/// One line of the file. `docs/failed-records.md` describes it.
#[derive(Serialize)]
struct FailedRecordLine<'a> {
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
#[error("cannot write the failed records to {path}: {cause}")]
pub(crate) struct FailedFileError {
    path: PathBuf,
    cause: io::Error,
}

/// Where failed records go.
#[derive(Debug)]
pub(crate) struct FailedWriter {
    file: Option<FailedFile>,
    format: Format,
    shown: u64,
    shown_in: ShownIn,
}

/// Where failures are shown if there is no file for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShownIn {
    /// Standard error, like everything else that a run has to say.
    Stderr,
    /// The log, because the run is a part of something larger.
    Log,
}

#[derive(Debug)]
struct FailedFile {
    path: PathBuf,
    out: BufWriter<File>,
    /// How it ends, with what waits in the buffer.
    tail: Tail,
    /// One line.
    line: Vec<u8>,
}

impl FailedWriter {
    /// Writes to a file, or shows the first few.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub(crate) fn new(path: Option<&Path>, format: Format) -> Result<Self, FailedFileError> {
        Self::open(path, format, OpenOptions::new().write(true).create(true).truncate(true))
    }

    /// Shows the first few in the log.
    pub(crate) fn to_log(format: Format) -> Self {
        Self { file: None, format, shown: 0, shown_in: ShownIn::Log }
    }

    /// Like `new`, but the file stays as it is until [`go_on_from`](Self::go_on_from) says where to write.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(crate) fn with_journal(path: Option<&Path>, format: Format) -> Result<Self, FailedFileError> {
        Self::open(path, format, OpenOptions::new().write(true).create(true).truncate(false))
    }

    fn open(path: Option<&Path>, format: Format, options: &OpenOptions) -> Result<Self, FailedFileError> {
        let open = |path: &Path| match options.open(path) {
            Ok(file) => Ok(FailedFile {
                path: path.to_owned(),
                out: BufWriter::new(file),
                tail: Tail::default(),
                line: Vec::new(),
            }),
            Err(cause) => Err(FailedFileError { path: path.to_owned(), cause }),
        };
        Ok(Self { file: path.map(open).transpose()?, format, shown: 0, shown_in: ShownIn::Stderr })
    }

    /// The file and its path, for the thread that waits until it is on the disk.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub(crate) fn share(&self) -> Result<Option<(PathBuf, File)>, FailedFileError> {
        let Some(FailedFile { path, out, .. }) = &self.file else { return Ok(None) };
        match out.get_ref().try_clone() {
            Ok(file) => Ok(Some((path.clone(), file))),
            Err(cause) => Err(FailedFileError { path: path.clone(), cause }),
        }
    }

    /// Cuts the file to what counts of it, and goes on there.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn go_on_from(&mut self, tail: Tail) -> Result<(), FailedFileError> {
        self.attempt(|file| {
            let bytes = tail.bytes();
            file.tail = tail;
            file.out.get_ref().set_len(bytes)?;
            file.out.seek(SeekFrom::Start(bytes)).map(drop)
        })
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn flush(&mut self) -> Result<(), FailedFileError> {
        self.attempt(|file| file.out.flush())
    }

    /// How the file stands, once it was [flushed](Self::flush).
    pub(crate) fn mark(&self) -> FileMark {
        self.file.as_ref().map_or_else(FileMark::default, |file| file.tail.mark())
    }

    /// Reports one record.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write(&mut self, failed: &FailedRecord) -> Result<(), FailedFileError> {
        if self.file.is_none() {
            self.show(failed);
            return Ok(());
        }
        let content = self.format.content(&failed.record);
        let (record, encoding) = match std::str::from_utf8(content) {
            Ok(text) => (text.to_owned(), None),
            Err(_) => (base64::engine::general_purpose::STANDARD.encode(content), Some("base64")),
        };
        let (node, slot) = match &failed.place {
            Some(place) => (Some(place.node.as_str()), Some(place.slot.0)),
            None => (None, None),
        };
        let line = FailedRecordLine {
            seq: failed.seq.0,
            record,
            encoding,
            reason: failed.reason.word(),
            message: &failed.message,
            attempts: failed.attempts,
            node,
            slot,
        };
        self.attempt(|file| {
            file.line.clear();
            serde_json::to_writer(&mut file.line, &line)?;
            file.line.push(b'\n');
            file.tail.push(&file.line);
            file.out.write_all(&file.line)
        })
    }

    /// Makes sure that everything is in the file, and says how many failures were not shown.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn finish(&mut self) -> Result<(), FailedFileError> {
        if self.shown > SHOWN_MAX {
            let more = self.shown - SHOWN_MAX;
            match self.shown_in {
                ShownIn::Stderr => {
                    stderr::say(format_args!("{more} more records failed; --failed FILE keeps all of them"));
                }
                ShownIn::Log => tracing::warn!("… and {more} more records failed"),
            }
        }
        self.attempt(|file| file.out.flush())
    }

    fn attempt(
        &mut self,
        change: impl FnOnce(&mut FailedFile) -> io::Result<()>,
    ) -> Result<(), FailedFileError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        change(file).map_err(|cause| FailedFileError { path: file.path.clone(), cause })
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
        let line = format!("record {number} failed, {word}: {message}{times}: {shown:?}{more}");
        match self.shown_in {
            ShownIn::Stderr => stderr::say(line),
            ShownIn::Log => tracing::warn!("{line}"),
        }
    }
}
