//! Records that failed: one JSON line each into `--failed FILE`, or the first few to standard error or the
//! log.

use std::sync::mpsc::Receiver;

use base64::Engine;
use serde::Serialize;

use super::failed_file::FailedFile;
use super::journal::{FileMark, Tail};
use super::output_target::OutputTarget;
use super::write_error::WriteError;
use super::writer_thread::ThreadEnd;
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

/// Where failed records go.
#[derive(Debug)]
pub(crate) struct FailedWriter {
    place: FailuresPlace,
    format: Format,
}

/// The place where they go.
#[derive(Debug)]
enum FailuresPlace {
    /// The first few to standard error, like everything else that a run has to say; with how many there were.
    Stderr(u64),
    /// The first few to the log, because the run is a part of something larger.
    Log(u64),
    /// All of them to a file.
    File(FailedFile),
}

impl FailedWriter {
    /// Shows the first few.
    pub(crate) fn to_stderr(format: Format) -> Self {
        Self { place: FailuresPlace::Stderr(0), format }
    }

    /// Shows the first few in the log.
    pub(crate) fn to_log(format: Format) -> Self {
        Self { place: FailuresPlace::Log(0), format }
    }

    /// Writes them to a file, on a thread of its own.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn to_file(target: OutputTarget, format: Format) -> Result<(Self, ThreadEnd), WriteError> {
        let (file, end) = FailedFile::start(target)?;
        Ok((Self { place: FailuresPlace::File(file), format }, end))
    }

    /// Whether there is room for more.
    pub(crate) fn has_room(&self) -> bool {
        self.file().is_none_or(FailedFile::has_room)
    }

    /// Waits until something has been written, so that there can be room again.
    pub(crate) async fn room(&self) {
        match self.file() {
            Some(file) => file.room().await,
            None => std::future::pending().await,
        }
    }

    /// Records that were not written yet.
    pub(crate) fn unwritten(&self) -> u64 {
        self.file().map_or(0, FailedFile::unwritten)
    }

    /// Cuts the file to what counts of it, and goes on there.
    pub(crate) fn go_on_from(&mut self, tail: Tail) {
        if let FailuresPlace::File(file) = &mut self.place {
            file.go_on_from(tail);
        }
    }

    /// How the file stands, once everything before is written; `None` if there is no file.
    pub(crate) fn mark(&mut self) -> Option<Receiver<FileMark>> {
        match &mut self.place {
            FailuresPlace::File(file) => Some(file.mark()),
            FailuresPlace::Stderr(_) | FailuresPlace::Log(_) => None,
        }
    }

    /// Reports one record. It is on its way after [`hand_over`](Self::hand_over).
    pub(crate) fn write(&mut self, failed: &FailedRecord) {
        let format = self.format;
        match &mut self.place {
            FailuresPlace::Stderr(shown) => {
                show(failed, format, shown, stderr::say);
            }
            FailuresPlace::Log(shown) => show(failed, format, shown, |line| tracing::warn!("{line}")),
            FailuresPlace::File(file) => file.write(|line| encode(failed, format, line)),
        }
    }

    /// Hands over what an event has brought.
    pub(crate) fn hand_over(&mut self) {
        if let FailuresPlace::File(file) = &mut self.place {
            file.hand_over();
        }
    }

    /// Says how many failures were not shown.
    pub(crate) fn say_the_rest(&self) {
        match &self.place {
            FailuresPlace::Stderr(shown) if *shown > SHOWN_MAX => {
                let more = shown - SHOWN_MAX;
                stderr::say(format_args!("{more} more records failed; --failed FILE keeps all of them"));
            }
            FailuresPlace::Log(shown) if *shown > SHOWN_MAX => {
                tracing::warn!("… and {} more records failed", shown - SHOWN_MAX);
            }
            _ => {}
        }
    }

    /// Nothing more is handed over.
    pub(crate) fn close(&mut self) {
        if let FailuresPlace::File(file) = &mut self.place {
            file.close();
        }
    }

    /// Waits until everything is in the file. May be cancelled, and called again.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) async fn finish(&mut self, end: Option<&mut ThreadEnd>) -> Result<(), WriteError> {
        match (&mut self.place, end) {
            (FailuresPlace::File(file), Some(end)) => file.finish(end).await,
            _ => Ok(()),
        }
    }

    fn file(&self) -> Option<&FailedFile> {
        match &self.place {
            FailuresPlace::File(file) => Some(file),
            FailuresPlace::Stderr(_) | FailuresPlace::Log(_) => None,
        }
    }
}

/// Puts a record's line, without its end, behind what is there.
fn encode(failed: &FailedRecord, format: Format, out: &mut Vec<u8>) {
    let content = format.content(&failed.record);
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
    serde_json::to_writer(out, &line).expect("texts and numbers can be written to memory as JSON");
}

/// Shows a record, if it is one of the first.
fn show(failed: &FailedRecord, format: Format, shown: &mut u64, say: impl FnOnce(String)) {
    *shown += 1;
    if *shown > SHOWN_MAX {
        return;
    }
    let content = format.content(&failed.record);
    let text = String::from_utf8_lossy(&content[..content.len().min(SHOWN_BYTES_MAX)]);
    let more = if content.len() > SHOWN_BYTES_MAX { "…" } else { "" };
    let times = if failed.attempts > 1 { format!(" ({} attempts)", failed.attempts) } else { String::new() };
    let (number, word, message) = (failed.seq.0 + 1, failed.reason.word(), &failed.message);
    say(format!("record {number} failed, {word}: {message}{times}: {text:?}{more}"));
}
