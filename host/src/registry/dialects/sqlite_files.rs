//! The files of a SQLite database: the database itself, its journal, and the index of the journal that all
//! who have it open share. It owns the question whether they are still the ones that were opened, and knows
//! no SQL.
//!
//! SQLite finds the two by their names. So a journal that is left over when its database is removed or
//! replaced would be taken for that of the new one, and nothing could be read for as long as anyone has the
//! old files open.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What SQLite puts behind the name of a database for its journal and its index.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// The files that a connection has open.
#[derive(Debug)]
pub(super) struct SqliteFiles {
    path: PathBuf,
    database: FileId,
    beside: [Option<FileId>; 2],
}

/// Which file a path led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl SqliteFiles {
    /// The files that are there now; nothing if there is no database, or an empty file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let beside = BESIDE.map(|suffix| FileId::of(&beside(path, suffix)));
        Some(Self { path: path.to_owned(), database: FileId::of_database(path)?, beside })
    }

    /// Whether the names still lead to the files that are open: what is written to others is seen by no one.
    pub(super) fn are_in_place(&self) -> bool {
        let mut pairs = BESIDE.iter().zip(self.beside);
        FileId::of_database(&self.path) == Some(self.database)
            && pairs.all(|(suffix, id)| id.is_none() || FileId::of(&beside(&self.path, suffix)) == id)
    }

    /// Removes the journal and its index, if they are still the ones that are open: for files that are no
    /// longer all in place, so that those who open the database find none that do not belong to it.
    pub(super) fn remove_what_is_left(&self) {
        for (suffix, id) in BESIDE.iter().zip(self.beside) {
            let name = beside(&self.path, suffix);
            if id.is_some() && FileId::of(&name) == id {
                log(&name, fs::remove_file(&name));
            }
        }
    }
}

/// Removes the journal and the index of a database that is not there: the program that creates it anew has no
/// use for them.
pub(super) fn remove_orphans(path: &Path) {
    for name in BESIDE.map(|suffix| beside(path, suffix)) {
        if name.exists() && !path.exists() {
            log(&name, fs::remove_file(&name));
        }
    }
}

/// If it cannot be removed, the next operation fails, and says why.
fn log(name: &Path, removed: io::Result<()>) {
    match removed {
        Ok(()) => {
            tracing::debug!("{} belonged to a registry that is gone; it has been removed", name.display())
        }
        Err(error) => tracing::debug!("{} cannot be removed: {error}", name.display()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

impl FileId {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { device: metadata.dev(), inode: metadata.ino() })
    }

    /// A database is never empty while it is open: someone has emptied such a file.
    fn of_database(path: &Path) -> Option<Self> {
        let is_empty = fs::metadata(path).ok()?.len() == 0;
        if is_empty { None } else { Self::of(path) }
    }
}
