//! The journal as a file: locked, read up to its last whole entry, and appended to.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::checkpoint::Checkpoint;
use super::entry::{self, Contents, Damage, Header, VERSION};
use super::error::JournalError;
use crate::ids::RunId;

/// A journal that belongs to this process until it ends.
#[derive(Debug)]
pub(crate) struct JournalFile {
    path: PathBuf,
    file: Flock<File>,
    run: RunId,
    /// Bytes that are whole entries.
    intact_bytes: u64,
    /// How many entries that is, the header included.
    entries: u64,
}

impl JournalFile {
    /// Takes a file for a journal, open for reading and writing, and reads it. Nothing is changed in it yet,
    /// except that an empty one gets a name for its run. The name is on the disk before anything is run
    /// under it, because what has been put into a database under a name must be found again.
    ///
    /// # Errors
    /// If it is in use, not a journal, damaged or cut short at its beginning, or cannot be read and written.
    pub(crate) fn open(path: &Path, file: File) -> Result<(Self, Contents), JournalError> {
        let failed = |source| JournalError::Open { path: path.to_owned(), source };
        // The lock ends with the process, however that ends. Workers do not inherit it.
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
            Errno::EWOULDBLOCK => JournalError::InUse { path: path.to_owned() },
            error => failed(error.into()),
        })?;
        let contents = entry::read(BufReader::new(&*file)).map_err(|damage| of_damage(damage, path))?;
        let Contents { intact_bytes, entries, .. } = contents;
        let run = match contents.run {
            Some(run) => run,
            None => Self::name_run(&file).map_err(failed)?,
        };
        Ok((Self { path: path.to_owned(), file, run, intact_bytes, entries }, contents))
    }

    fn name_run(file: &File) -> io::Result<RunId> {
        let run = RunId::random()?;
        // Anything in it is zeros. So few bytes are written all at once or not at all, so a process that is
        // killed here leaves an empty file or a whole name.
        file.set_len(0)?;
        file.write_all_at(&entry::encode_name(run), 0)?;
        file.sync_all()?;
        Ok(run)
    }

    /// The run's name.
    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// The file's name, as the user gave it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Cuts off what is not whole, and writes the header if there is none.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn begin(&mut self, header: &Header) -> io::Result<()> {
        if self.entries == 0 {
            self.write_header(header)?;
        }
        self.file.set_len(self.intact_bytes)?;
        self.file.seek(SeekFrom::Start(self.intact_bytes))?;
        self.file.sync_all()
    }

    /// Writes the header behind the name, and claims it when it is on the disk. The claim overwrites the name
    /// with itself and is a few bytes within one sector, so it is there at once or not at all: at every
    /// moment, the journal is one whose run has not begun, or one with a whole header.
    fn write_header(&mut self, header: &Header) -> io::Result<()> {
        let (claim, header) = entry::encode_header(self.run, header)?;
        self.file.write_all_at(&header, claim.len() as u64)?;
        self.file.sync_all()?;
        self.file.write_all_at(&claim, 0)?;
        self.intact_bytes = (claim.len() + header.len()) as u64;
        self.entries = 1;
        Ok(())
    }

    /// Appends a checkpoint; it is on the disk when this returns.
    ///
    /// # Errors
    /// If the file cannot be written. What it holds can still be used.
    pub(crate) fn append(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        self.append_bytes(&entry::encode_entry(checkpoint, self.entries)?)?;
        self.file.sync_data()
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self.file).write_all(bytes)?;
        self.intact_bytes += bytes.len() as u64;
        self.entries += 1;
        Ok(())
    }
}

fn of_damage(damage: Damage, path: &Path) -> JournalError {
    let path = path.to_owned();
    match damage {
        Damage::NotAJournal => JournalError::NotAJournal { path },
        Damage::OtherVersion(version) => JournalError::OtherVersion { path, version, known: VERSION },
        Damage::CutShort(bytes) => JournalError::CutShort { path, bytes },
        Damage::Header => JournalError::HeaderDamaged { path },
        Damage::Io(source) => JournalError::Read { path, source },
    }
}
