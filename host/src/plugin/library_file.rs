//! A library as it was when it was opened. Whatever is put in its place later, this file is what is loaded:
//! all workers of a slave, also those that are started again, are of one build.
//!
//! A file that is open stays as it is when another is renamed over it, or its name is removed. The one thing
//! that changes it is a program that writes into it; that is noticed, as far as a file can tell.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::elf;
use super::load_error::LoadError;
use crate::build::{Digest, DigestBuilder};

/// Bytes that are read at once to compare a file: little memory, and few calls.
const PIECE_BYTES: usize = 64 * 1024;

/// What tells a library from others. It travels to workers, beside the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryId {
    /// Where it was found: what messages call it.
    pub path: PathBuf,
    /// The digest of its bytes.
    pub sha256: Digest,
    stamp: FileStamp,
    /// It finds other libraries beside itself (`$ORIGIN`), so the dynamic linker must see its real path.
    needs_its_path: bool,
}

/// What is cheap to compare: as long as it is the same, so are the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

/// A library that is open.
#[derive(Debug, Clone)]
pub(crate) struct LibraryFile {
    id: LibraryId,
    file: Arc<File>,
}

impl LibraryFile {
    /// Opens a plugin and reads it, but loads nothing.
    ///
    /// # Errors
    /// If it cannot be read, or is not a complete library for this machine with one of a plugin's doors.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        Self::open_if(path, elf::check_door)
    }

    fn open_if(path: &Path, check: fn(&Path, &[u8]) -> Result<(), LoadError>) -> Result<Self, LoadError> {
        let unreadable = |cause| LoadError::Unreadable { path: path.to_owned(), cause };
        let file = open_file(path)?;
        let stamp = FileStamp::of(&file).map_err(unreadable)?;
        let mut head = Vec::new();
        (&file).take(elf::HEAD_BYTES).read_to_end(&mut head).map_err(unreadable)?;
        elf::check_head(path, &head)?;
        let mut bytes = head;
        (&file).read_to_end(&mut bytes).map_err(unreadable)?;
        elf::check(path, &bytes)?;
        check(path, &bytes)?;
        let needs_its_path = elf::needs_its_directory(&bytes);
        let id = LibraryId { path: path.to_owned(), sha256: Digest::of(&bytes), stamp, needs_its_path };
        Ok(Self { id, file: Arc::new(file) })
    }

    /// A library that another process has opened, and passed on together with what tells it from others.
    pub(crate) fn passed(id: LibraryId, file: File) -> Self {
        Self { id, file: Arc::new(file) }
    }

    /// One that no worker of a simulation loads.
    ///
    /// # Errors
    /// Those of the system.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn simulated() -> std::io::Result<Self> {
        let file = File::open("/dev/null")?;
        let (path, sha256) = (PathBuf::from("simulated.so"), Digest::default());
        let id = LibraryId { path, sha256, stamp: FileStamp::of(&file)?, needs_its_path: false };
        Ok(Self::passed(id, file))
    }

    /// What tells it from others.
    pub(crate) fn id(&self) -> &LibraryId {
        &self.id
    }

    /// Where it was found.
    pub(crate) fn path(&self) -> &Path {
        &self.id.path
    }

    /// The file, to be passed on.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The path by which the dynamic linker gets this very file, for as long as this lives.
    ///
    /// # Errors
    /// If the file is no longer what it was when it was opened.
    pub(super) fn place(&self) -> Result<PathBuf, LoadError> {
        if self.id.needs_its_path {
            self.check_named()?;
            // A name without a slash would be looked up in the linker's directories instead.
            let path = self.path();
            return path
                .canonicalize()
                .map_err(|cause| LoadError::Unreadable { path: path.to_owned(), cause });
        }
        if !self.id.is(&self.file).map_err(|source| self.unreadable(source))? {
            return Err(LoadError::Overwritten { path: self.path().to_owned() });
        }
        Ok(PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd())))
    }

    /// Keeps the file open for as long as the process lives. The linker knows a library by the path that it
    /// was given, so no other file may ever have the same descriptor.
    pub(super) fn stay_open(&self) {
        std::mem::forget(Arc::clone(&self.file));
    }

    /// Checks, where the linker was given a name, that the name still leads to the file that was meant.
    ///
    /// # Errors
    /// If another file was put there.
    pub(super) fn check_loaded(&self) -> Result<(), LoadError> {
        if self.id.needs_its_path { self.check_named() } else { Ok(()) }
    }

    /// Text of the linker, with the name that the user knows in the place of ours.
    pub(super) fn in_words(&self, text: &str, place: &Path) -> String {
        let name = self.path().display().to_string();
        text.replace(OsStr::to_string_lossy(place.as_os_str()).as_ref(), &name)
    }

    fn check_named(&self) -> Result<(), LoadError> {
        let named = open_file(self.path())?;
        if self.id.is(&named).map_err(|source| self.unreadable(source))? {
            return Ok(());
        }
        Err(LoadError::Replaced { path: self.path().to_owned() })
    }

    fn unreadable(&self, cause: std::io::Error) -> LoadError {
        LoadError::Unreadable { path: self.path().to_owned(), cause }
    }
}

impl LibraryId {
    /// Whether a file has the bytes of this library. They are only read if its stamp is another.
    fn is(&self, file: &File) -> std::io::Result<bool> {
        let stamp = FileStamp::of(file)?;
        if stamp == self.stamp {
            return Ok(true);
        }
        if stamp.bytes != self.stamp.bytes {
            return Ok(false);
        }
        Ok(digest_of(file)? == self.sha256)
    }
}

/// The digest of a file, read piece by piece: a worker may have little memory. The pieces are read at their
/// places, because a file that was passed on shares its position with all who have it.
fn digest_of(file: &File) -> std::io::Result<Digest> {
    let (mut piece, mut at, mut digest) = (vec![0; PIECE_BYTES], 0, DigestBuilder::default());
    loop {
        match file.read_at(&mut piece, at)? {
            0 => return Ok(digest.digest()),
            bytes => {
                digest.add(&piece[..bytes]);
                at += bytes as u64;
            }
        }
    }
}

impl FileStamp {
    fn of(file: &File) -> std::io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        })
    }
}

/// Opens a regular file. What is none is not waited for.
fn open_file(path: &Path) -> Result<File, LoadError> {
    let unreadable = |cause: std::io::Error| match cause.kind() {
        ErrorKind::NotFound => LoadError::Missing { path: path.to_owned() },
        ErrorKind::IsADirectory => LoadError::Directory { path: path.to_owned() },
        _ => LoadError::Unreadable { path: path.to_owned(), cause },
    };
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options.open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if found.is_dir() {
        return Err(LoadError::Directory { path: path.to_owned() });
    }
    if !found.is_file() {
        return Err(LoadError::NotALibrary { path: path.to_owned(), what: "not a regular file" });
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A copy of a real library of this machine.
    fn library() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("libtest.so");
        fs::write(&path, elf::test_library()).unwrap();
        (directory, path)
    }

    /// Opens a library that need not be a plugin.
    fn any_library(path: &Path) -> LibraryFile {
        LibraryFile::open_if(path, |_, _| Ok(())).unwrap()
    }

    /// Renames a file with other bytes over another.
    fn replace(path: &Path) {
        let new = path.with_extension("new");
        fs::write(&new, "something else").unwrap();
        fs::rename(new, path).unwrap();
    }

    #[test]
    fn a_file_that_is_open_stays_the_library_whatever_becomes_of_its_name() {
        let (_directory, path) = library();
        let library = any_library(&path);
        let place = library.place().unwrap();
        assert!(fs::read(&place).unwrap() == elf::test_library());
        replace(&path);
        assert!(fs::read(library.place().unwrap()).unwrap() == elf::test_library());
        fs::remove_file(&path).unwrap();
        assert!(fs::read(library.place().unwrap()).unwrap() == elf::test_library());
    }

    #[test]
    fn a_file_that_was_written_into_is_noticed() {
        let (_directory, path) = library();
        let library = any_library(&path);
        fs::write(&path, elf::test_library()).unwrap();
        library.place().expect("the same bytes are the same build");
        let mut other = elf::test_library();
        *other.last_mut().unwrap() ^= 1;
        fs::write(&path, other).unwrap();
        let error = library.place().unwrap_err().to_string();
        assert!(error.contains("was overwritten since the start"), "{error}");
        fs::write(&path, "short").unwrap();
        assert!(matches!(library.place(), Err(LoadError::Overwritten { .. })));
    }

    #[test]
    fn a_library_that_needs_its_path_is_checked_there() {
        let (_directory, path) = library();
        let mut library = any_library(&path);
        library.id.needs_its_path = true;
        assert_eq!(library.place().unwrap(), path.canonicalize().unwrap());
        replace(&path);
        let error = library.place().unwrap_err().to_string();
        assert!(error.contains("was replaced since the start"), "{error}");
        assert!(library.check_loaded().is_err());
        fs::remove_file(&path).unwrap();
        assert!(matches!(library.place(), Err(LoadError::Missing { .. })));
    }

    #[test]
    fn the_digest_is_that_of_the_whole_file() {
        let (_directory, path) = library();
        let library = any_library(&path);
        assert_eq!(library.id().sha256, Digest::of(&elf::test_library()));
    }

    #[test]
    fn what_is_no_regular_file_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo.so");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = LibraryFile::open(&fifo).unwrap_err().to_string();
        assert!(error.ends_with("is not a shared library: it is not a regular file"), "{error}");
        assert!(matches!(LibraryFile::open(directory.path()), Err(LoadError::Directory { .. })));
        assert!(matches!(LibraryFile::open(&directory.path().join("no")), Err(LoadError::Missing { .. })));
    }
}
