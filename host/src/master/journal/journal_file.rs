//! The journal as a file: locked, read up to its last whole entry, and appended to.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::entry::{self, Checkpoint, Contents, Damage, Header, VERSION};
use super::error::JournalError;

/// A journal that belongs to this process until it ends.
#[derive(Debug)]
pub struct JournalFile {
    path: PathBuf,
    file: Flock<File>,
    /// Bytes that are whole entries.
    intact_bytes: u64,
    /// How many entries that is, the header included.
    entries: u64,
}

impl JournalFile {
    /// Opens a journal, or makes one, and reads it. Nothing is changed in it yet.
    ///
    /// # Errors
    /// If it is in use, no journal, damaged at its beginning, or cannot be read and written.
    pub fn open(path: &Path) -> Result<(Self, Contents), JournalError> {
        let failed = |source| JournalError::Open { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(failed)?;
        // Closed with the process, however that ends. Workers do not inherit it.
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
            Errno::EWOULDBLOCK => JournalError::InUse { path: path.to_owned() },
            error => failed(error.into()),
        })?;
        let contents = entry::read(BufReader::new(&*file)).map_err(|damage| of_damage(damage, path))?;
        let Contents { intact_bytes, entries, .. } = contents;
        Ok((Self { path: path.to_owned(), file, intact_bytes, entries }, contents))
    }

    /// The file's name, as the user gave it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Cuts off what is not whole, and writes the header if there is none.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn begin(&mut self, header: &Header) -> io::Result<()> {
        self.file.set_len(self.intact_bytes)?;
        self.file.seek(SeekFrom::Start(self.intact_bytes))?;
        if self.entries == 0 {
            self.append_bytes(&entry::encode_header(header)?)?;
        }
        self.file.sync_all()
    }

    /// Appends a checkpoint; it is on the disk when this returns.
    ///
    /// # Errors
    /// If the file cannot be written. What is in it can still be used.
    pub fn append(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
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
        Damage::Header => JournalError::HeaderDamaged { path },
        Damage::Io(source) => JournalError::Read { path, source },
    }
}
