//! Why a journal cannot be used.

use std::path::PathBuf;
use std::{fmt, io};

/// Something in which a run is not the one that its journal was begun for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// What differs.
    pub what: String,
    /// What it was.
    pub earlier: String,
    /// What it is.
    pub now: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, earlier, now } = self;
        write!(f, "{what} was {earlier}, and is {now} now")
    }
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The system refuses it.
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
    /// A run with it is going on.
    #[error("the journal {} is in use: another run with it is going on", path.display())]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// It is some other file.
    #[error("{} is not a journal of SimpleGrid; nothing was changed in it", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// Written by another version of the program.
    #[error(
        "the journal {} has the version {version}, and this program knows {known}: go on with the program that \
         wrote it, or delete it and the output to start anew", path.display()
    )]
    OtherVersion {
        /// The journal.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// Ours.
        known: u32,
    },
    /// Nothing in it can be relied on.
    #[error(
        "the header of the journal {} is damaged, so nobody knows which run it belongs to: delete it and the \
         output to start anew", path.display()
    )]
    HeaderDamaged {
        /// The journal.
        path: PathBuf,
    },
    /// It belongs to another run.
    #[error(
        "the journal {} belongs to another run: {difference}; run the same command with the same input, or \
         delete the journal and the output to start anew", path.display()
    )]
    OtherRun {
        /// The journal.
        path: PathBuf,
        /// What differs.
        difference: Difference,
    },
    /// A file has lost what the journal counts on.
    #[error(
        "{} has {bytes} bytes, but the journal {} says that it had {bytes_known} already: it was changed since, so \
         the run cannot go on; delete the journal and the output to start anew", path.display(), journal.display()
    )]
    FileShorter {
        /// The file.
        path: PathBuf,
        /// The journal.
        journal: PathBuf,
        /// What it has.
        bytes: u64,
        /// What it had.
        bytes_known: u64,
    },
}

impl JournalError {
    /// Whether the user named the wrong journal, or named it for the wrong run. Otherwise the run is right,
    /// and cannot go on.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Open { .. }
            | Self::NotAJournal { .. }
            | Self::OtherVersion { .. }
            | Self::HeaderDamaged { .. }
            | Self::OtherRun { .. } => true,
            Self::Read { .. } | Self::InUse { .. } | Self::FileShorter { .. } => false,
        }
    }
}
