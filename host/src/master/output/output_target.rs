//! Where the rows of a run are written to: standard output or a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::write_error::WriteError;

/// Where the rows of a run are written to.
#[derive(Debug)]
pub(crate) struct OutputTarget {
    /// A path, or «standard output».
    pub name: String,
    /// The way there.
    pub stream: OutputStream,
}

/// The file or stream behind it.
#[derive(Debug)]
pub(crate) enum OutputStream {
    /// Standard output.
    Stdout(io::Stdout),
    /// A file.
    File(File),
}

impl OutputTarget {
    /// A file, made anew, or standard output.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub(crate) fn new(path: Option<&Path>) -> Result<Self, WriteError> {
        let Some(path) = path else {
            let name = "standard output".to_owned();
            return Ok(Self { name, stream: OutputStream::Stdout(io::stdout()) });
        };
        let file = open(path, OpenOptions::new().write(true).create(true).truncate(true))?;
        Ok(Self::file(path, file))
    }

    /// A file that stays as it is until a journal says from where to go on; and the same file once more, at
    /// the same position, for the journal's pen.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(crate) fn with_journal(path: &Path) -> Result<(Self, File), WriteError> {
        let file = open(path, OpenOptions::new().write(true).create(true).truncate(false))?;
        let again = file.try_clone().map_err(|source| WriteError::of_file(path, source))?;
        Ok((Self::file(path, file), again))
    }

    fn file(path: &Path, file: File) -> Self {
        Self { name: path.display().to_string(), stream: OutputStream::File(file) }
    }
}

impl Write for OutputStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

fn open(path: &Path, options: &OpenOptions) -> Result<File, WriteError> {
    options.open(path).map_err(|source| WriteError::of_file(path, source))
}
