//! Where results are written to: a file, standard output, or a named pipe that has no reader yet.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::journal::NamedFile;
use super::write_error::WriteError;
use crate::file_identity::FileIdentity;
use crate::record::Compression;
use crate::stderr;
use crate::stdout::{self, StdoutError};

/// Names of standard error (proc(5), and what Linux puts below `/dev`).
const STDERR_NAMES: [&str; 3] = ["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"];

/// Where results are written to.
#[derive(Debug)]
pub(crate) struct OutputTarget {
    /// A path, or «standard output».
    pub name: String,
    /// The way there.
    pub stream: OutputStream,
    /// How what is written to it is compressed, if it is.
    pub packing: Option<Packing>,
    /// Whether the program was started with it: then what is in it belongs to someone else.
    is_inherited: bool,
}

/// How a file of results can be compressed: so that rows can be handed to the system whenever there are no
/// more, which the large blocks of the other kinds do not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// As `gzip` does it.
    Gzip,
    /// As `zstd` does it.
    Zstd,
}

impl Packing {
    /// What the name says. (The names of the other kinds were refused with the settings.)
    fn of_name(path: &Path) -> Option<Self> {
        match Compression::of_name(path)? {
            Compression::Gzip => Some(Self::Gzip),
            Compression::Zstd => Some(Self::Zstd),
            Compression::Bzip2 | Compression::Xz => None,
        }
    }
}

/// The file or stream behind it. Nothing in it is changed by opening it.
#[derive(Debug)]
pub(crate) enum OutputStream {
    /// It is open.
    Open(File),
    /// A named pipe that no program has opened for reading: opening it would wait for one.
    Pipe(PathBuf),
    /// Standard output that cannot be written: an error, but only if there is something to write.
    Unusable(StdoutError),
}

impl OutputTarget {
    /// Standard output.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub(crate) fn standard_output() -> io::Result<Self> {
        let stream = match stdout::check() {
            Ok(()) => OutputStream::Open(stdout::file()?),
            Err(error) => OutputStream::Unusable(error),
        };
        Ok(Self { name: "standard output".to_owned(), stream, packing: None, is_inherited: true })
    }

    /// The file with that path, which is created if there is none. Another name of standard output or
    /// standard error means the stream itself: opened anew, a file would be overwritten from its
    /// beginning. The end of its name says whether it is compressed.
    ///
    /// # Errors
    /// If it cannot be opened for writing.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if stdout::is_named(path) {
            return Self::standard_output();
        }
        let is_inherited = is_stderr(path);
        let stream = if is_inherited { OutputStream::Open(stderr::file()?) } else { open_file(path)? };
        Ok(Self { name: path.display().to_string(), stream, packing: Packing::of_name(path), is_inherited })
    }

    /// Empties a file that was opened here.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn empty(&self) -> io::Result<()> {
        match &self.stream {
            OutputStream::Open(file) if !self.is_inherited && file.metadata()?.is_file() => file.set_len(0),
            _ => Ok(()),
        }
    }
}

impl OutputTarget {
    /// The same file once more, at the same position, for a journal's pen.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub(crate) fn share(&mut self, path: &Path) -> Result<NamedFile, WriteError> {
        let again = self.stream.file(|_| {}).and_then(|file| file.try_clone());
        let file = again.map_err(|source| WriteError::of_file(path, source))?;
        Ok(NamedFile { path: path.to_owned(), file })
    }
}

impl OutputStream {
    /// Which file it is. `None` if it may be used for several things at once.
    ///
    /// # Errors
    /// If the system cannot say.
    pub(crate) fn identity(&self) -> io::Result<Option<FileIdentity>> {
        let metadata = match self {
            Self::Open(file) => file.metadata()?,
            Self::Pipe(path) => fs::metadata(path)?,
            Self::Unusable(_) => return Ok(None),
        };
        Ok(FileIdentity::of(&metadata))
    }

    /// The file, once it is open. A named pipe is opened here, which blocks until it has a reader;
    /// `before_wait` is told.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn file(&mut self, before_wait: impl FnOnce(&Path)) -> io::Result<&mut File> {
        if let Self::Pipe(path) = self {
            before_wait(path);
            *self = Self::Open(OpenOptions::new().write(true).open(path)?);
        }
        match self {
            Self::Open(file) => Ok(file),
            Self::Unusable(error) => Err(io::Error::other(*error)),
            Self::Pipe(_) => unreachable!("it was opened above"),
        }
    }
}

impl Write for OutputStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = self.file(|_| {})?;
        loop {
            match file.write(bytes) {
                // Another program that has the same stream has asked that no one waits for it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(file)?,
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a file without waiting, and lets its writes wait all the same.
fn open_file(path: &Path) -> io::Result<OutputStream> {
    let options =
        OpenOptions::new().write(true).create(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    match options {
        Ok(file) => {
            fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
            Ok(OutputStream::Open(file))
        }
        // This is how a named pipe without a reader answers (fifo(7)).
        Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) && is_pipe(path) => {
            Ok(OutputStream::Pipe(path.to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// Whether a path is another name of standard error.
pub(crate) fn is_stderr(path: &Path) -> bool {
    STDERR_NAMES.iter().any(|name| path == Path::new(name))
}

fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn wait_for_room(file: &File) -> io::Result<()> {
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
