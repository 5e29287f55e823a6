//! What records are read from: files, standard input, pipes and terminals.
//!
//! It opens, waits and reads. It must not know what a record is.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::unpack::UnpackError;
use crate::file_identity::FileIdentity;
use crate::streams_at_start::{StandardStream, was_closed};

/// Bytes that we ask the kernel to hold for a pipe on our behalf: the most that Linux grants an ordinary
/// user.
const PIPE_BYTES: i32 = 1024 * 1024;

/// How many files stay open from the start. The others are opened again in their turn, so that a run over
/// thousands of files does not run out of descriptors.
const OPEN_FILES_MAX: usize = 128;

/// What an input is called in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InputName {
    /// The program's standard input.
    Stdin,
    /// A file as the user named it.
    File(PathBuf),
}

/// Why an input cannot be read. An error of opening comes before a run, one of reading ends it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Missing, forbidden, or a directory.
    #[error("open {input}")]
    Open {
        /// Which input.
        input: InputName,
        /// What the system said.
        source: io::Error,
    },
    /// Its records are of no use without partition keys, and those cannot be computed.
    #[error("compute partition keys: {why}")]
    NoKeys {
        /// Why not.
        why: String,
    },
    /// It was open, and then a read went wrong.
    #[error("read {input}")]
    Read {
        /// Which input.
        input: InputName,
        /// What the system said.
        source: io::Error,
    },
    /// It is compressed, and not as it should be.
    #[error("unpack {input}")]
    Unpack {
        /// Which input.
        input: InputName,
        /// What is wrong, and where.
        source: UnpackError,
    },
    /// Some of it was gone before it was read.
    #[error(
        "read {input} to its end: it became shorter while it was read; it had {bytes} bytes, and has {bytes_now} now"
    )]
    Shrunk {
        /// Which input.
        input: InputName,
        /// How many bytes it had when it was opened.
        bytes: u64,
        /// How many it has now.
        bytes_now: u64,
    },
}

/// What an input has to give at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Bytes, its end, or an error.
    Ready,
    /// Nothing yet.
    Nothing,
    /// The reader was told to stop.
    Stopped,
}

/// One input that exists and can be read.
#[derive(Debug)]
pub(crate) struct InputSource {
    name: InputName,
    /// `None` until its turn comes, for a file that was closed again.
    file: Option<File>,
    /// Bytes that are left of a regular file; `None` if that cannot be known.
    bytes_left: Option<u64>,
    is_regular: bool,
    stamp: Option<Stamp>,
    identity: Option<FileIdentity>,
    may_be_compressed: bool,
}

/// What shows whether a regular file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Its size when it was opened.
    pub bytes: u64,
    /// When it was changed last, in nanoseconds since 1970.
    pub modified_ns: i64,
}

impl InputSource {
    /// The input that `path` names; `-` is standard input.
    ///
    /// # Errors
    /// If it does not exist, cannot be opened, or is a directory.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        if path == Path::new("-") {
            return Self::stdin();
        }
        let name = InputName::File(path.to_owned());
        open_file(path)
            .and_then(|file| Self::new(name.clone(), file))
            .map_err(|source| name.open_error(source))
    }

    /// All inputs of a run, opened before it begins so that a missing one is reported before any work is
    /// done. No path at all means standard input.
    ///
    /// # Errors
    /// If any of them cannot be opened.
    pub(crate) fn open_all(paths: &[PathBuf]) -> Result<Vec<Self>, ReadError> {
        if paths.is_empty() {
            return Ok(vec![Self::stdin()?]);
        }
        let mut inputs = Vec::with_capacity(paths.len());
        for (index, path) in paths.iter().enumerate() {
            let mut input = Self::open(path)?;
            // Only a regular file can be opened twice: a pipe's writer would see us leave.
            if index >= OPEN_FILES_MAX && input.is_regular && input.name != InputName::Stdin {
                input.file = None;
            }
            inputs.push(input);
        }
        Ok(inputs)
    }

    /// The same, whose bytes are records also if they look compressed.
    pub(crate) fn never_compressed(self) -> Self {
        Self { may_be_compressed: false, ..self }
    }

    /// Whether its first bytes are to say how it is compressed.
    pub(super) fn may_be_compressed(&self) -> bool {
        self.may_be_compressed
    }

    /// The program's standard input, from where it stands.
    ///
    /// # Errors
    /// If it is closed or a directory.
    pub(crate) fn stdin() -> Result<Self, ReadError> {
        let name = InputName::Stdin;
        if was_closed(StandardStream::Input) {
            return Err(name.open_error(io::Error::other("it is closed")));
        }
        let opened = io::stdin().as_fd().try_clone_to_owned().and_then(|fd| Self::from_fd(name.clone(), fd));
        opened.map_err(|source| name.open_error(source))
    }

    /// An input that is open already.
    ///
    /// # Errors
    /// If the system cannot say what it is, or it is a directory.
    pub(crate) fn from_fd(name: InputName, fd: OwnedFd) -> io::Result<Self> {
        Self::new(name, File::from(fd))
    }

    fn new(name: InputName, mut file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(Errno::EISDIR.into());
        }
        if metadata.file_type().is_fifo() {
            // Refused if the user has many pipes already; then reads are smaller, and that is all.
            let _ = fcntl(&file, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        }
        let is_regular = metadata.is_file();
        let bytes_left = match is_regular {
            true => Some(metadata.len().saturating_sub(file.stream_position()?)),
            false => None,
        };
        let modified_ns =
            metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        let stamp = is_regular.then_some(Stamp { bytes: metadata.len(), modified_ns });
        let identity = FileIdentity::of(&metadata);
        Ok(Self { name, file: Some(file), bytes_left, is_regular, stamp, identity, may_be_compressed: true })
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &InputName {
        &self.name
    }

    /// Size and time of a regular file, as they were when it was opened.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// Which file it is, unless it is a device.
    pub(crate) fn identity(&self) -> Option<FileIdentity> {
        self.identity
    }

    /// Bytes that are left to read, if this is a regular file that has not grown since it was opened.
    pub(crate) fn bytes_left(&self) -> Option<u64> {
        self.bytes_left
    }

    /// Whether a read would return at once; with `may_wait`, waits until it would. The wait ends when the
    /// other end of the pipe `stop` is closed. A regular file is always ready.
    pub(super) fn poll(&self, stop: &impl AsFd, may_wait: bool) -> Result<Readiness, ReadError> {
        let Some(file) = self.file.as_ref().filter(|_| !self.is_regular) else { return Ok(Readiness::Ready) };
        let timeout = if may_wait { PollTimeout::NONE } else { PollTimeout::ZERO };
        let mut fds = [stop.as_fd(), file.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll_again(&mut fds, timeout).map_err(|source| self.name.read_error(source))?;
        Ok(match [has_event(&fds[0]), has_event(&fds[1])] {
            [true, _] => Readiness::Stopped,
            [false, true] => Readiness::Ready,
            [false, false] => Readiness::Nothing,
        })
    }

    /// Reads what fits in `room`: `Some(0)` at the end, `None` if there is nothing at the moment.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Result<Option<usize>, ReadError> {
        loop {
            match self.file().and_then(|file| file.read(room)) {
                Ok(0) => return self.check_end().map(|()| Some(0)),
                Ok(bytes) => {
                    self.bytes_left = self.bytes_left.and_then(|left| left.checked_sub(bytes as u64));
                    return Ok(Some(bytes));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(self.name.read_error(error)),
            }
        }
    }

    /// A regular file that ends early has lost bytes that the user meant to be read. One that has grown is
    /// read to its end. (Some files of the kernel say that they have more than they give, and go on
    /// saying so.)
    fn check_end(&mut self) -> Result<(), ReadError> {
        let Some(Stamp { bytes, .. }) = self.stamp.filter(|_| self.bytes_left.is_some_and(|left| left > 0))
        else {
            return Ok(());
        };
        let metadata = self.file().and_then(|file| file.metadata());
        let bytes_now = metadata.map_err(|source| self.name.read_error(source))?.len();
        if bytes_now >= bytes {
            return Ok(());
        }
        Err(ReadError::Shrunk { input: self.name.clone(), bytes, bytes_now })
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let InputName::File(path) = &self.name else { unreachable!("standard input stays open") };
            self.file = Some(open_file(path)?);
        }
        Ok(self.file.as_mut().expect("it was opened above"))
    }
}

/// Does not block: a named pipe without a writer is waited for later, where a stop is noticed.
fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}

fn poll_again(fds: &mut [PollFd<'_>], timeout: PollTimeout) -> io::Result<()> {
    loop {
        match poll(fds, timeout) {
            Err(Errno::EINTR) => {}
            result => return result.map(drop).map_err(io::Error::from),
        }
    }
}

/// Input, an end or an error: a read or a close will say which.
fn has_event(fd: &PollFd<'_>) -> bool {
    fd.revents().is_none_or(|events| !events.is_empty())
}

impl InputName {
    fn open_error(&self, source: io::Error) -> ReadError {
        ReadError::Open { input: self.clone(), source }
    }

    fn read_error(&self, source: io::Error) -> ReadError {
        ReadError::Read { input: self.clone(), source }
    }
}

impl fmt::Display for InputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}
