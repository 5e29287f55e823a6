//! A growing file of rows, and how it is completed. It knows files, and no records: how many of its bytes
//! count is said by the ledger.
//!
//! `NAME.part` holds the rows. A writer keeps it locked as long as it lives. When no more rows come, the part
//! is cut to what counts and renamed to `NAME`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use xxhash_rust::xxh3::Xxh3;

/// The end of the name of a file that is not complete.
const PART: &str = ".part";

/// Bytes that are read at once to see whether a part is as its writer left it.
const CHECK_BYTES: usize = 256 * 1024;

/// A file while it is written.
pub(super) struct PartFile {
    /// Its final name.
    path: PathBuf,
    file: Flock<File>,
    /// Bytes that stay, and their xxh3.
    bytes: u64,
    hash: Box<Xxh3>,
    /// The same with the rows that were written last.
    written: (u64, Box<Xxh3>),
}

impl std::fmt::Debug for PartFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartFile")
            .field("path", &self.path)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl PartFile {
    /// Begins a file that will be called `STEM.csv`, or, if that exists, `STEM-2.csv` and so on. It starts
    /// with `header`.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn create(directory: &Path, stem: &str, header: &[u8]) -> io::Result<Self> {
        for number in 1..=u32::MAX {
            let path = directory.join(numbered(stem, number));
            if path.exists() {
                continue;
            }
            if let Some(part) = Self::try_create(path, header)? {
                return Ok(part);
            }
        }
        Err(io::Error::other("every file name is in use"))
    }

    /// `None` if another writer has that name.
    fn try_create(path: PathBuf, header: &[u8]) -> io::Result<Option<Self>> {
        let part = part_of(&path);
        let file = match OpenOptions::new().read(true).write(true).create_new(true).open(&part) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error),
        };
        // Another slave that looks for parts without a writer may have found it before it was locked.
        let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return Ok(None) };
        if !is_at(&file, &part)? {
            return Ok(None);
        }
        let (hash, written) = (Box::new(Xxh3::new()), (0, Box::new(Xxh3::new())));
        let mut part = Self { path, file, bytes: 0, hash, written };
        part.write(header)?;
        part.keep();
        Ok(Some(part))
    }

    /// The name of the file while it is not complete.
    pub(super) fn name(&self) -> String {
        let name = part_of(&self.path);
        name.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Writes rows after those that stay, in the place of any others. Returns how many bytes there are then,
    /// and their xxh3.
    ///
    /// # Errors
    /// Those of the system, a full disk among them; and if another program has cut the file short.
    pub(super) fn write(&mut self, rows: &[u8]) -> io::Result<(u64, u64)> {
        if self.file.metadata()?.len() < self.bytes {
            let message = format!("{} was cut short by another program", part_of(&self.path).display());
            return Err(io::Error::other(message));
        }
        self.file.write_all_at(rows, self.bytes)?;
        let mut hash = self.hash.clone();
        hash.update(rows);
        self.written = (self.bytes + rows.len() as u64, hash);
        Ok((self.written.0, self.written.1.digest()))
    }

    /// Lets the rows stay that were written last.
    pub(super) fn keep(&mut self) {
        self.bytes = self.written.0;
        self.hash.clone_from(&self.written.1);
    }

    /// Completes the file: cuts it to the bytes that count, and gives it its final name once it is on the
    /// disk. A file in which nothing counts is removed (`None`).
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn seal(self, bytes: u64) -> io::Result<Option<PathBuf>> {
        let part = part_of(&self.path);
        if bytes == 0 {
            return fs::remove_file(part).map(|()| None);
        }
        self.file.set_len(bytes)?;
        finish(&self.file, &part, &self.path)?;
        Ok(Some(self.path))
    }
}

/// A part whose writer was killed.
#[derive(Debug)]
pub(super) struct Orphan {
    path: PathBuf,
    file: Flock<File>,
}

/// The parts in a directory whose writers were killed. As long as one of them is here, no other slave has it.
///
/// # Errors
/// Those of the system.
pub(super) fn orphans(directory: &Path) -> io::Result<Vec<Orphan>> {
    let mut orphans = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.to_str().is_some_and(|name| name.ends_with(".csv.part")) {
            orphans.extend(orphan(path)?);
        }
    }
    Ok(orphans)
}

/// `None` if its writer is alive.
fn orphan(path: PathBuf) -> io::Result<Option<Orphan>> {
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        // Its writer has just completed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return Ok(None) };
    Ok(is_at(&file, &path)?.then_some(Orphan { path, file }))
}

impl Orphan {
    /// The name of the file.
    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Whether its first bytes are those that its writer has left.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn begins_with(&self, bytes: u64, hash: u64) -> io::Result<bool> {
        let mut there = Xxh3::new();
        let mut rest = (&*self.file).take(bytes);
        let mut buffer = vec![0; CHECK_BYTES];
        let mut read = 0;
        loop {
            match rest.read(&mut buffer)? {
                0 => return Ok(read == bytes && there.digest() == hash),
                more => {
                    there.update(&buffer[..more]);
                    read += more as u64;
                }
            }
        }
    }

    /// Gives it a final name, after cutting it to so many bytes.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn complete(self, bytes: Option<u64>) -> io::Result<PathBuf> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let stem = self.name().strip_suffix(".csv.part").unwrap_or_default();
        let mut paths = (1..=u32::MAX).map(|number| directory.join(numbered(stem, number)));
        let path = paths.find(|path| !path.exists());
        let path = path.ok_or_else(|| io::Error::other("every file name is in use"))?;
        if let Some(bytes) = bytes {
            self.file.set_len(bytes)?;
        }
        finish(&self.file, &self.path, &path)?;
        Ok(path)
    }

    /// Removes it.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

fn numbered(stem: &str, number: u32) -> String {
    if number == 1 { format!("{stem}.csv") } else { format!("{stem}-{number}.csv") }
}

/// Gives a part its final name, once it is on the disk.
fn finish(file: &File, part: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(part, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Whether a path still leads to this file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PART);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_gets_its_final_name_when_it_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let mut part = PartFile::create(directory.path(), "rows", b"h\n").unwrap();
        part.write(b"1\n").unwrap();
        part.keep();
        assert_eq!(names(directory.path()), [part.name()]);
        let path = part.seal(4).unwrap().unwrap();
        assert_eq!(names(directory.path()), ["rows.csv"]);
        assert_eq!(fs::read(path).unwrap(), b"h\n1\n");
        let second = PartFile::create(directory.path(), "rows", b"h\n").unwrap();
        assert_eq!(second.seal(2).unwrap(), Some(directory.path().join("rows-2.csv")));
        let third = PartFile::create(directory.path(), "rows", b"h\n").unwrap();
        assert_eq!(third.seal(0).unwrap(), None);
        assert_eq!(names(directory.path()), ["rows-2.csv", "rows.csv"]);
    }

    #[test]
    fn rows_that_are_not_kept_make_way_for_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut part = PartFile::create(directory.path(), "rows", b"h\n").unwrap();
        part.write(b"of another slave\n").unwrap();
        let (bytes, hash) = part.write(b"1\n").unwrap();
        part.keep();
        assert!(orphans(directory.path()).unwrap().is_empty(), "its writer lives");
        drop(part);
        let orphan = orphans(directory.path()).unwrap().pop().unwrap();
        assert!(orphan.begins_with(bytes, hash).unwrap());
        let path = orphan.complete(Some(bytes)).unwrap();
        assert_eq!(fs::read(path).unwrap(), b"h\n1\n");
        assert_eq!(names(directory.path()), ["rows.csv"]);
    }

    #[test]
    fn a_part_that_was_edited_or_cut_short_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let mut part = PartFile::create(directory.path(), "rows", b"h\n").unwrap();
        let (bytes, hash) = part.write(b"123\n").unwrap();
        part.keep();
        part.file.write_all_at(b"X", 3).unwrap();
        part.file.set_len(3).unwrap();
        assert!(part.write(b"4\n").unwrap_err().to_string().contains("cut short"));
        part.file.set_len(6).unwrap();
        drop(part);
        let orphan = orphans(directory.path()).unwrap().pop().unwrap();
        assert!(!orphan.begins_with(bytes, hash).unwrap());
    }

    #[test]
    fn a_full_disk_costs_nothing_that_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let mut part = PartFile::create(directory.path(), "rows", b"h\n").unwrap();
        part.file = Flock::lock(
            OpenOptions::new().write(true).open("/dev/full").unwrap(),
            FlockArg::LockExclusiveNonblock,
        )
        .unwrap();
        part.bytes = 0;
        assert_eq!(part.write(b"1\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(part.bytes, 0);
    }
}
