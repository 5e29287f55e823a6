//! What can be wrong with a SQLite file, in words that say what to do. It translates SQLite's codes, and
//! knows no table.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ErrorCode;

/// Why a SQLite file could not be used as the registry.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// The file holds something else.
    #[error("{} is not a SQLite database; name another file, or move this one away", file.display())]
    NotADatabase {
        /// The file.
        file: PathBuf,
    },

    /// The file is damaged.
    #[error(
        "the registry {} is damaged; move it away and start again: running slaves enter themselves into the new one",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// SQLite's own words.
        source: rusqlite::Error,
    },

    /// This user can only read the file, its directory or its file system.
    #[error(
        "the registry {} cannot be written; let this user write the file and its directory, or name another file",
        file.display()
    )]
    ReadOnly {
        /// The file.
        file: PathBuf,
    },

    /// The directory of the file does not exist.
    #[error(
        "there is no directory {} for the registry {}; create it with `mkdir -p`, or name another file",
        directory.display(), file.display()
    )]
    NoDirectory {
        /// The directory.
        directory: PathBuf,
        /// The file.
        file: PathBuf,
    },

    /// The directory of the file does not exist and cannot be created.
    #[error("the directory {} for the registry cannot be created: {cause}", directory.display())]
    CannotCreateDirectory {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        cause: io::Error,
    },

    /// The path does not lead to a file.
    #[error("the registry {} is a directory; name a file in it", file.display())]
    IsADirectory {
        /// The path.
        file: PathBuf,
    },

    /// The file cannot be opened, for another reason.
    #[error(
        "the registry {} cannot be opened; check that this user can read and write the file and its directory",
        file.display()
    )]
    CannotOpen {
        /// The file.
        file: PathBuf,
        /// SQLite's own words.
        source: rusqlite::Error,
    },

    /// The file was deleted or replaced while it was opened.
    #[error("the registry {} vanished while it was opened; try again", file.display())]
    Vanished {
        /// The file.
        file: PathBuf,
    },

    /// Another program did not let go of the file in time.
    #[error(
        "the registry {} has been locked by another program for {} s; `fuser {}` shows which",
        file.display(), waited.as_secs_f64(), file.display()
    )]
    Locked {
        /// The file.
        file: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },

    /// There is no room on the disk.
    #[error("the disk that holds the registry {} is full; make room on it", file.display())]
    DiskFull {
        /// The file.
        file: PathBuf,
    },

    /// The disk failed.
    #[error("the registry {} cannot be read or written: the disk failed ({cause})", file.display())]
    Disk {
        /// The file.
        file: PathBuf,
        /// SQLite's own words.
        cause: rusqlite::Error,
    },

    /// Something else, in SQLite's own words.
    #[error("the registry {} failed: {cause}", file.display())]
    Other {
        /// The file.
        file: PathBuf,
        /// SQLite's own words.
        cause: rusqlite::Error,
    },
}

impl SqliteError {
    /// What `source` means for `file`.
    pub(super) fn new(file: &Path, waited: Duration, source: rusqlite::Error) -> Self {
        let file = file.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { file },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { file, source },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { file },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { file, waited },
            Some(ErrorCode::DiskFull) => Self::DiskFull { file },
            Some(ErrorCode::SystemIoFailure) => Self::Disk { file, cause: source },
            Some(ErrorCode::CannotOpen) => Self::cannot_open(file, source),
            _ => Self::Other { file, cause: source },
        }
    }

    /// Whether another program has the file to itself for a moment.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Locked { .. })
    }

    /// Whether it can come of a file that was replaced while others had it open: until they have noticed, the
    /// journal beside it belongs to another database.
    pub(crate) fn can_be_of_replacing(&self) -> bool {
        matches!(self, Self::Vanished { .. } | Self::Disk { .. } | Self::Damaged { .. })
    }

    /// SQLite does not say why it cannot open a file, so look for the reason.
    fn cannot_open(file: PathBuf, source: rusqlite::Error) -> Self {
        let directory = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        if file.is_dir() {
            Self::IsADirectory { file }
        } else if !directory.exists() {
            Self::NoDirectory { directory, file }
        } else {
            Self::CannotOpen { file, source }
        }
    }
}
