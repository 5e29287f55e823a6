//! Files that a check reads and writes: in memory, and gone with the process.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// A file without a name, which a run can open by its path in `/proc`.
#[derive(Debug)]
pub(super) struct MemoryFile(File);

impl MemoryFile {
    /// A file with these bytes, so many times.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn with(bytes: &[u8], times: usize) -> io::Result<Self> {
        let mut file = File::from(memfd_create(c"simplegrid-check", MFdFlags::MFD_CLOEXEC)?);
        (0..times).try_for_each(|_| file.write_all(bytes))?;
        Ok(Self(file))
    }

    /// Where this process finds it.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// What is in it.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let (mut file, mut bytes) = (&self.0, Vec::new());
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
