//! `--summary-json FILE`: opened when the run begins and written when it ends, on a thread of its own.

use std::io::Write;

use super::output_target::{OutputStream, OutputTarget};
use super::summary::Summary;
use super::write_error::WriteError;
use super::writer_thread::{ThreadEnd, WriterThread, Writing, say_that_a_reader_is_missing};

/// The way to the file.
#[derive(Debug)]
pub(crate) struct SummaryFile {
    thread: WriterThread<String>,
    end: ThreadEnd,
}

impl SummaryFile {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn start(target: OutputTarget) -> Result<Self, WriteError> {
        let place = format!("the summary to {}", target.name);
        let writing = SummaryWriting { place: place.clone(), stream: target.stream };
        let started = WriterThread::start("summary", |_| Ok(writing));
        let (thread, end) = started.map_err(|cause| WriteError::Io { place, cause })?;
        Ok(Self { thread, end })
    }

    /// Writes the summary.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) async fn write(mut self, summary: &Summary) -> Result<(), WriteError> {
        let text = summary.to_json();
        let bytes = text.len();
        self.thread.hand_over(text, bytes, 0);
        self.thread.finish(&mut self.end).await
    }
}

/// The thread's side.
struct SummaryWriting {
    place: String,
    stream: OutputStream,
}

impl Writing<String> for SummaryWriting {
    fn open(&mut self) -> Result<(), WriteError> {
        let opened = self.stream.file(say_that_a_reader_is_missing).map(drop);
        opened.map_err(|source| self.error(source))
    }

    fn on_lot(&mut self, text: String) -> Result<(), WriteError> {
        self.stream.write_all(text.as_bytes()).map_err(|source| self.error(source))
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        Ok(())
    }
}

impl SummaryWriting {
    fn error(&self, cause: std::io::Error) -> WriteError {
        WriteError::Io { place: self.place.clone(), cause }
    }
}
