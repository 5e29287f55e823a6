//! A growing file of rows. The number of bytes that count stands in a file beside it, so that another slave
//! can complete it if its writer is killed. It knows files, and no records.
//!
//! `NAME.part` holds the rows, and `NAME.part.length` says how many of its bytes count. A writer keeps the
//! part locked as long as it lives. When no more rows come, the part is renamed to `NAME`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

const PART: &str = ".part";
const LENGTH: &str = ".length";

/// Digits of a length: always the same number, so that one write replaces all of them. Every length fits.
const LENGTH_DIGITS: usize = 20;

/// A file while it is written.
#[derive(Debug)]
pub(super) struct PartFile {
    /// Its final name.
    path: PathBuf,
    file: Flock<File>,
    length: File,
    /// Bytes that count.
    bytes: u64,
}

impl PartFile {
    /// Begins a file that will be called `STEM.csv`, or, if that exists, `STEM-2.csv` and so on. It starts
    /// with `header`.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn create(directory: &Path, stem: &str, header: &[u8]) -> io::Result<Self> {
        for number in 1..=u32::MAX {
            let name = if number == 1 { format!("{stem}.csv") } else { format!("{stem}-{number}.csv") };
            let path = directory.join(name);
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
        let part = with_suffix(&path, PART);
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
        let length = File::create(with_suffix(&part, LENGTH))?;
        let mut part = Self { path, file, length, bytes: 0 };
        part.append(header)?;
        Ok(Some(part))
    }

    /// Appends bytes, all or none: those of an append that failed do not count.
    ///
    /// # Errors
    /// Those of the system, a full disk among them.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.bytes)?;
        let length = self.bytes + bytes.len() as u64;
        self.length.write_all_at(format!("{length:0LENGTH_DIGITS$}").as_bytes(), 0)?;
        self.bytes = length;
        Ok(())
    }

    /// Completes the file: cuts it to the bytes that count, and gives it its final name once it is on the
    /// disk.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn seal(self) -> io::Result<PathBuf> {
        seal(&self.file, self.bytes, &self.path)?;
        Ok(self.path)
    }
}

/// Completes the files whose writers were killed, and returns their names.
///
/// # Errors
/// Those of the system.
pub(super) fn seal_orphans(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut sealed = Vec::new();
    for entry in fs::read_dir(directory)? {
        let part = entry?.path();
        let Some(path) = part.to_str().and_then(|name| name.strip_suffix(".csv.part")) else { continue };
        sealed.extend(seal_orphan(&part, path)?);
    }
    Ok(sealed)
}

/// `None` if its writer is alive, or if nothing in it counts.
fn seal_orphan(part: &Path, stem: &str) -> io::Result<Option<PathBuf>> {
    let file = match OpenOptions::new().read(true).write(true).open(part) {
        Ok(file) => file,
        // Its writer has just completed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return Ok(None) };
    if !is_at(&file, part)? {
        return Ok(None);
    }
    let there = file.metadata()?.len();
    let said = fs::read_to_string(with_suffix(part, LENGTH)).unwrap_or_default();
    // A writer that was killed before it noted a length has acknowledged nothing.
    let bytes = said.parse::<u64>().unwrap_or(0).min(there);
    let mut path = PathBuf::from(format!("{stem}.csv"));
    let mut number = 2;
    while path.exists() {
        path = PathBuf::from(format!("{stem}-{number}.csv"));
        number += 1;
    }
    if bytes == 0 {
        fs::remove_file(with_suffix(part, LENGTH)).or_else(not_found_is_fine)?;
        fs::remove_file(part)?;
        return Ok(None);
    }
    file.set_len(bytes)?;
    file.sync_all()?;
    finish(part, &path)?;
    Ok(Some(path))
}

fn seal(file: &File, bytes: u64, path: &Path) -> io::Result<()> {
    file.set_len(bytes)?;
    file.sync_all()?;
    finish(&with_suffix(path, PART), path)
}

/// Gives a part its final name. Its length is removed last: a part without one would count as empty.
fn finish(part: &Path, path: &Path) -> io::Result<()> {
    fs::rename(part, path)?;
    fs::remove_file(with_suffix(part, LENGTH)).or_else(not_found_is_fine)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn not_found_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
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

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
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
        part.append(b"1\n").unwrap();
        assert_eq!(names(directory.path()), ["rows.csv.part", "rows.csv.part.length"]);
        let path = part.seal().unwrap();
        assert_eq!(names(directory.path()), ["rows.csv"]);
        assert_eq!(fs::read(path).unwrap(), b"h\n1\n");
        let second = PartFile::create(directory.path(), "rows", b"h\n").unwrap();
        assert_eq!(second.seal().unwrap(), directory.path().join("rows-2.csv"));
    }

    #[test]
    fn what_a_killed_writer_left_is_cut_to_what_counts() {
        let directory = tempfile::tempdir().unwrap();
        let mut part = PartFile::create(directory.path(), "rows", b"h\n").unwrap();
        part.append(b"1\n").unwrap();
        assert!(seal_orphans(directory.path()).unwrap().is_empty(), "its writer lives");
        // As if it had been killed between two writes.
        part.file.write_all_at(b"2\nhalf a ro", 4).unwrap();
        drop(part);
        let sealed = seal_orphans(directory.path()).unwrap();
        assert_eq!(sealed, [directory.path().join("rows.csv")]);
        assert_eq!(fs::read(&sealed[0]).unwrap(), b"h\n1\n");
        assert_eq!(names(directory.path()), ["rows.csv"]);
    }

    #[test]
    fn a_part_in_which_nothing_counts_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("rows.csv.part"), b"h").unwrap();
        assert!(seal_orphans(directory.path()).unwrap().is_empty());
        assert!(names(directory.path()).is_empty());
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
        assert_eq!(part.append(b"1\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(part.bytes, 2);
    }
}
