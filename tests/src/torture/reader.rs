//! The reader of an output that goes through a FIFO. It puts what it reads into the file `output`, where the
//! output of other rounds is, and it can stop reading.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::grid::Grid;

/// Bytes that are read at once: what a pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// The reader.
#[derive(Debug)]
pub(super) struct Reader {
    fifo: File,
    output: File,
    has_stopped: bool,
}

impl Reader {
    /// Where the FIFO is.
    pub(super) fn fifo(grid: &Grid) -> PathBuf {
        grid.path("fifo")
    }

    /// Makes the FIFO, and begins to read.
    pub(super) fn start(grid: &Grid) -> Self {
        let path = Self::fifo(grid);
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a FIFO can be made");
        // With a writer of its own, it is never at its end, and opening it waits for no one.
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let fifo = options.open(&path).expect("it was just made");
        let output = File::create(grid.path("output")).expect("the directory can be written");
        Self { fifo, output, has_stopped: false }
    }

    /// Reads what there is, unless it has stopped.
    pub(super) fn step(&mut self) {
        let mut chunk = vec![0; CHUNK_BYTES];
        while !self.has_stopped {
            match self.fifo.read(&mut chunk) {
                Ok(bytes) => self.output.write_all(&chunk[..bytes]).expect("the disk has room"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the FIFO cannot be read: {error}"),
            }
        }
    }

    /// Stops reading.
    pub(super) fn stop(&mut self) {
        self.has_stopped = true;
    }

    /// Reads again.
    pub(super) fn go_on(&mut self) {
        self.has_stopped = false;
    }
}
