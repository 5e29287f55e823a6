//! Writes checkpoints, and makes sure before each that the files hold what it claims. The thread that writes
//! rows does this, because it can wait for disks.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoint;
use super::entry::Header;
use super::journal_file::JournalFile;
use super::tail::Tail;
use crate::master::output::write_error::WriteError;

/// The files of a run with a journal.
#[derive(Debug)]
pub(crate) struct JournalPen {
    journal: JournalFile,
    output: NamedFile,
    /// How the output ends, with the rows that are still on their way to it.
    tail: Tail,
    failed: Option<NamedFile>,
}

/// A file, and what to call it.
#[derive(Debug)]
pub(crate) struct NamedFile {
    /// The name that the user gave it.
    pub path: PathBuf,
    /// The file.
    pub file: File,
}

impl JournalPen {
    /// For these files. `output` is the one that rows are written to, at the same place; it counts as far as
    /// `tail` says.
    pub(crate) fn new(
        journal: JournalFile,
        output: NamedFile,
        tail: Tail,
        failed: Option<NamedFile>,
    ) -> Self {
        Self { journal, output, tail, failed }
    }

    /// Begins to write: the output is cut to what counts of it, and the journal has its header.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn begin(&mut self, header: &Header) -> Result<(), WriteError> {
        let output_bytes = self.tail.bytes();
        self.output.attempt(|file| {
            file.set_len(output_bytes)?;
            file.seek(SeekFrom::Start(output_bytes)).map(drop)
        })?;
        let Self { journal, output, failed, .. } = self;
        journal.begin(header).map_err(|source| WriteError::of_file(journal.path(), source))?;
        // A new file is not in its directory for certain before that is on the disk, too.
        let failed = failed.as_ref().map(|failed| failed.path.as_path());
        [Some(journal.path()), Some(output.path.as_path()), failed]
            .into_iter()
            .flatten()
            .try_for_each(|path| sync_directory_of(path).map_err(|source| WriteError::of_file(path, source)))
    }

    /// Rows are written to the output, or will be before the next checkpoint.
    pub(crate) fn on_rows(&mut self, rows: &[u8]) {
        self.tail.push(rows);
    }

    /// Writes a checkpoint. All rows that it counts must have been written, and all failed records; how the
    /// output stands is filled in.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), WriteError> {
        self.output.attempt(|file| file.sync_data())?;
        if let Some(failed) = &mut self.failed {
            failed.attempt(|file| file.sync_data())?;
        }
        let checkpoint = checkpoint.with_output(self.tail.mark());
        self.journal.append(&checkpoint).map_err(|source| WriteError::of_file(self.journal.path(), source))
    }
}

impl NamedFile {
    fn attempt(&mut self, change: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), WriteError> {
        change(&mut self.file).map_err(|source| WriteError::of_file(&self.path, source))
    }
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
