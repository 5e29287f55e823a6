//! Why a journal cannot be used.

use std::path::PathBuf;
use std::{fmt, io};

/// Something in which a run differs from the one that its journal was begun for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    /// It is something that has a value.
    Of {
        /// What differs.
        what: String,
        /// What it was.
        earlier: String,
        /// What it is.
        now: String,
    },
    /// The task has other columns: a sentence about the first of them.
    OfColumns(String),
}

impl Difference {
    /// Something has another value.
    pub(super) fn of(what: &str, earlier: String, now: String) -> Self {
        Self::Of { what: what.to_owned(), earlier, now }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of { what, earlier, now } => write!(f, "{what} was {earlier} and is now {now}"),
            Self::OfColumns(columns) => write!(f, "its task has other columns: {columns}"),
        }
    }
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The system refuses to open it.
    #[error("cannot open the journal {}", path.display())]
    Open {
        /// The journal.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("cannot read the journal {}", path.display())]
    Read {
        /// The journal.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another run is using it.
    #[error("the journal {} is in use by another run", path.display())]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// It is some other file.
    #[error("{} is not a SimpleGrid journal; it was left unchanged", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// Written by another version of the program.
    #[error(
        "the journal {} has version {version}, and this program knows version {known}: continue with the program \
         that wrote it, or delete the journal and the output to start over", path.display()
    )]
    OtherVersion {
        /// The journal.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// Ours.
        known: u32,
    },
    /// Its header is damaged, so nothing in it can be relied on.
    #[error(
        "the header of the journal {} is damaged, so it does not say which run it belongs to: delete the journal \
         and the output to start over", path.display()
    )]
    HeaderDamaged {
        /// The journal.
        path: PathBuf,
    },
    /// It ends before its header does, so it does not say what its run has done.
    #[error(
        "the journal {} has only {bytes} bytes and ends within its header: it was cut short, so it does not say \
         what its run has done; restore the whole file, or delete the journal and the output to start over (rows \
         that are in a sink by now stay there)", path.display()
    )]
    CutShort {
        /// The journal.
        path: PathBuf,
        /// How many bytes are left of it.
        bytes: u64,
    },
    /// It belongs to another run.
    #[error(
        "the journal {} belongs to another run: {difference}; run the same command with the same input, or \
         delete the journal and the output to start over", path.display()
    )]
    OtherRun {
        /// The journal.
        path: PathBuf,
        /// What differs.
        difference: Difference,
    },
    /// A file has lost bytes that the journal counts on.
    #[error(
        "{} has {bytes} bytes, but the journal {} says that it had {bytes_known}: it was changed since then, so the \
         run cannot go on; delete the journal and the output to start over", path.display(), journal.display()
    )]
    FileShorter {
        /// The file.
        path: PathBuf,
        /// The journal.
        journal: PathBuf,
        /// How many bytes it has.
        bytes: u64,
        /// How many it had.
        bytes_known: u64,
    },
    /// A file does not hold what the journal counts on.
    #[error(
        "{} was changed: its first {bytes_known} bytes no longer end as the journal {} says, so the run cannot go \
         on; put the file back as it was, or delete the journal and the output to start over",
        path.display(), journal.display()
    )]
    FileChanged {
        /// The file.
        path: PathBuf,
        /// The journal.
        journal: PathBuf,
        /// How many of its bytes count.
        bytes_known: u64,
    },
    /// A file cannot be compared with what the journal says of it.
    #[error(
        "cannot read {} to compare it with what the journal {} says: make the file readable, and run the same \
         command again", path.display(), journal.display()
    )]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// The journal.
        journal: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl JournalError {
    /// Whether the user named the wrong journal, or named it for the wrong run. Otherwise the journal is
    /// right, but the run cannot go on.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Open { .. }
            | Self::NotAJournal { .. }
            | Self::OtherVersion { .. }
            | Self::HeaderDamaged { .. }
            | Self::CutShort { .. }
            | Self::OtherRun { .. } => true,
            Self::Read { .. }
            | Self::InUse { .. }
            | Self::FileShorter { .. }
            | Self::FileChanged { .. }
            | Self::ReadFile { .. } => false,
        }
    }
}
