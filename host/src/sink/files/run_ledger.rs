//! The ledger of a run in a directory of files: a file to which all slaves that write there append. What its
//! entries mean is the business of `ledger_state`.
//!
//! No slave waits for another one: an entry is appended with one call, which the file system keeps whole, and
//! then the slave reads what stands before it. So a slave that is stopped at any moment holds no one up. Only
//! where a file system is not known to keep appends apart (a network's, for instance), a lock is held
//! meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::statfs::{self, fstatfs};

use super::ledger_entry::{self, LedgerEntry};
use super::ledger_state::LedgerState;
use crate::ids::RunId;
use crate::sink::pages::KEEP_MARKS_DAYS;

/// The directory of the ledgers, beside the files.
const DIRECTORY: &str = ".simplegrid_ledger";

/// The file with the name of a directory's ledgers, and how many digits that has.
const NAME: &str = "name";
const NAME_DIGITS: usize = 16;

/// What a ledger is called while it is written anew.
const NEW: &str = ".new";

/// Bytes that are read at once.
const READ_BYTES_MAX: u64 = 256 * 1024;

/// How long another slave may keep a lock before the user is told. Holding it takes microseconds.
const LOCK_MAX: Duration = Duration::from_secs(5);

/// How soon a lock that was taken is tried again: about as long as an append over a network takes.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// File systems of one machine that keep appends apart (`inode(7)`: `O_APPEND`).
const KEEP_APPENDS_APART: [statfs::FsType; 6] = [
    statfs::EXT4_SUPER_MAGIC,
    statfs::XFS_SUPER_MAGIC,
    statfs::BTRFS_SUPER_MAGIC,
    statfs::TMPFS_MAGIC,
    statfs::OVERLAYFS_SUPER_MAGIC,
    statfs::F2FS_SUPER_MAGIC,
];

/// A run's ledger, and what it says.
#[derive(Debug)]
pub(super) struct RunLedger {
    path: PathBuf,
    file: File,
    /// Whether appends need a lock.
    locks: bool,
    /// Bytes of the file that are in `state`, or are no entries.
    read: u64,
    /// What was read after them.
    unread: Vec<u8>,
    pub state: LedgerState,
}

/// Why an entry was not appended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    /// Another slave keeps the lock.
    #[error("another slave has held the ledger {0} for some seconds; is it stopped?")]
    Locked(PathBuf),
    /// The system refuses it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl RunLedger {
    /// Opens the ledger of a run, makes it if it is not there, and reads it.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn open(directory: &Path, run: RunId) -> io::Result<Self> {
        make_directory(directory)?;
        Self::open_at(directory.join(DIRECTORY).join(run.to_string()), true)
    }

    fn open_at(path: PathBuf, create: bool) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(create).open(&path)?;
        let locks = !KEEP_APPENDS_APART.contains(&fstatfs(&file)?.filesystem_type());
        let (unread, state) = (Vec::new(), LedgerState::default());
        let mut ledger = Self { path, file, locks, read: 0, unread, state };
        ledger.catch_up(None)?;
        Ok(ledger)
    }

    /// Takes in what all slaves have appended since the last time. Returns whether the last commit of that
    /// part counts, if there was one.
    ///
    /// # Errors
    /// Those of the system; and if someone has cut the ledger short.
    pub(super) fn catch_up(&mut self, part: Option<u64>) -> io::Result<Option<bool>> {
        let length = self.file.metadata()?.len();
        let mut known = self.read + self.unread.len() as u64;
        if length < known {
            return Err(io::Error::other(format!("the ledger {} was cut short", self.path.display())));
        }
        let mut counts = None;
        while known < length {
            let (start, more) = (self.unread.len(), (length - known).min(READ_BYTES_MAX));
            self.unread.resize(start + more as usize, 0);
            let read = self.file.read_exact_at(&mut self.unread[start..], known);
            if read.is_err() {
                self.unread.truncate(start);
            }
            read?;
            known += more;
            counts = self.take_in(part).or(counts);
        }
        Ok(counts)
    }

    /// Takes in the entries among what was read.
    fn take_in(&mut self, part: Option<u64>) -> Option<bool> {
        let (mut taken, mut counts) = (0, None);
        while let Some((entry, end)) = ledger_entry::next(&self.unread[taken..]) {
            taken += end;
            let is_own = matches!(&entry, LedgerEntry::Commit { part: of, .. } if Some(*of) == part);
            let does_count = self.state.on_entry(entry);
            counts = if is_own { Some(does_count) } else { counts };
        }
        self.unread.drain(..taken);
        self.read += taken as u64;
        counts
    }

    /// Appends an entry, and takes in all up to it. Returns whether a commit counts.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub(super) fn append(&mut self, entry: &LedgerEntry) -> Result<bool, LedgerError> {
        let part = match entry {
            LedgerEntry::Commit { part, .. } => Some(*part),
            LedgerEntry::Part { .. } | LedgerEntry::Over => None,
        };
        let bytes =
            ledger_entry::encode(entry).ok_or_else(|| io::Error::other("too many records at once"))?;
        if !self.locks {
            return self.append_bytes(&bytes, part);
        }
        let lock = self.lock()?;
        let counts = self.append_bytes(&bytes, part);
        drop(lock);
        counts
    }

    fn append_bytes(&mut self, bytes: &[u8], part: Option<u64>) -> Result<bool, LedgerError> {
        // A second call for the rest could come after another slave's, and the entry would not be whole.
        if self.file.write(bytes)? < bytes.len() {
            return Err(io::Error::from(io::ErrorKind::StorageFull).into());
        }
        let counts = self.catch_up(part)?;
        if part.is_some() && counts.is_none() {
            let message = format!("the ledger {} was changed by another program", self.path.display());
            return Err(io::Error::other(message).into());
        }
        Ok(counts.unwrap_or(true))
    }

    fn lock(&self) -> Result<Flock<File>, LedgerError> {
        let give_up_at = Instant::now() + LOCK_MAX;
        let mut file = self.file.try_clone()?;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(lock),
                Err((_, error)) if error != nix::errno::Errno::EWOULDBLOCK => {
                    return Err(io::Error::from(error).into());
                }
                Err((file, _)) => file,
            };
            if Instant::now() >= give_up_at {
                return Err(LedgerError::Locked(self.path.clone()));
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }

    /// Notes that the run is over, and forgets its records: from now on none is added. Slaves that have the
    /// old file open read there that it is over.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub(super) fn close(mut self, is_needed: impl Fn(&str) -> bool) -> Result<(), LedgerError> {
        self.append(&LedgerEntry::Over)?;
        let remains = self.state.remains(is_needed);
        let bytes: Vec<_> = remains.iter().filter_map(ledger_entry::encode).flatten().collect();
        let mut new = self.path.clone().into_os_string();
        // Two slaves may do this at the same time.
        new.push(format!("{NEW}{}", std::process::id()));
        let written = fs::write(&new, &bytes).and_then(|()| fs::rename(&new, &self.path));
        if written.is_err() {
            // If it is not there, this fails, which does no harm.
            let _ = fs::remove_file(&new);
        }
        Ok(written?)
    }
}

/// Makes the directory of the ledgers.
///
/// # Errors
/// Those of the system.
pub(super) fn make_directory(directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory.join(DIRECTORY)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The random name of a directory's ledgers: two slaves whose directories have the same one share the
/// directory, however they call it.
///
/// # Errors
/// Those of the system.
pub(super) fn name_of(directory: &Path) -> io::Result<String> {
    let path = directory.join(DIRECTORY).join(NAME);
    let random = &RunId::random()?.to_string()[..NAME_DIGITS];
    let new = directory.join(DIRECTORY).join(format!("{random}{NEW}"));
    // The first slave's name appears whole, or not at all.
    fs::write(&new, random)?;
    let linked = fs::hard_link(&new, &path);
    fs::remove_file(&new)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::read_to_string(&path),
    }
}

/// The ledgers of runs whose name begins like that: one, as good as always.
///
/// # Errors
/// Those of the system.
pub(super) fn of_runs(directory: &Path, name: &str) -> io::Result<Vec<RunLedger>> {
    let is_meant = |path: &Path| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|there| {
            there.starts_with(name) && there.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let mut ledgers = Vec::new();
    for path in paths(directory)? {
        if is_meant(&path) {
            ledgers.push(RunLedger::open_at(path, false)?);
        }
    }
    Ok(ledgers)
}

/// Removes the ledgers of runs that have been over for so long that no slave will come back to them.
///
/// # Errors
/// Those of the system.
pub(super) fn forget_old(directory: &Path) -> io::Result<()> {
    const DAY_SECONDS: u64 = 24 * 60 * 60;
    let keep = Duration::from_secs(u64::from(KEEP_MARKS_DAYS) * DAY_SECONDS);
    for path in paths(directory)? {
        let changed = fs::metadata(&path).and_then(|there| there.modified());
        // One that is gone was removed by another slave.
        let Ok(age) = changed.map(|changed| SystemTime::now().duration_since(changed).unwrap_or_default())
        else {
            continue;
        };
        let is_over = || RunLedger::open_at(path.clone(), false).is_ok_and(|ledger| ledger.state.is_over);
        if age > keep
            && is_over()
            && let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
    }
    Ok(())
}

fn paths(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory.join(DIRECTORY)) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(directory: &Path, run: u8) -> RunLedger {
        RunLedger::open(directory, RunId([run; 16])).unwrap()
    }

    #[test]
    fn marks_of_runs_that_are_long_over_are_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let name = name_of(ledger(directory.path(), 1).path.parent().unwrap().parent().unwrap()).unwrap();
        ledger(directory.path(), 1).close(|_| false).unwrap();
        ledger(directory.path(), 2).close(|_| false).unwrap();
        ledger(directory.path(), 3);
        let old = SystemTime::now() - Duration::from_secs(31 * 24 * 60 * 60);
        for run in [1, 3] {
            ledger(directory.path(), run).file.set_modified(old).unwrap();
        }
        forget_old(directory.path()).unwrap();
        let is_there = |run: u8| of_runs(directory.path(), &RunId([run; 16]).to_string()).unwrap().len();
        assert_eq!([1, 2, 3].map(is_there), [0, 1, 1]);
        assert_eq!(name_of(directory.path()).unwrap(), name);
    }

    #[test]
    fn where_appends_need_a_lock_a_slave_waits_for_the_one_that_holds_it() {
        let directory = tempfile::tempdir().unwrap();
        let (mut one, mut other) = (ledger(directory.path(), 1), ledger(directory.path(), 1));
        (one.locks, other.locks) = (true, true);
        let lock = one.lock().unwrap();
        let entry = LedgerEntry::Part { part: 7, name: "a".to_owned() };
        let appending = std::thread::spawn(move || other.append(&entry).unwrap());
        assert_eq!(one.catch_up(None).unwrap(), None);
        assert!(one.state.part(7).is_none(), "it waits");
        drop(lock);
        assert!(appending.join().unwrap());
        one.append(&LedgerEntry::Over).unwrap();
        assert!(one.state.part(7).is_some() && one.state.is_over, "and it has let go");
    }
}
