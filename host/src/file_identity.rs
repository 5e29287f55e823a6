//! Which file something is, whatever its name: hard links, symbolic links and names of open descriptors can
//! all mean one file.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// A file that should have one writer, and no reader in the same run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
    is_socket: bool,
}

impl FileIdentity {
    /// Of an open file. `None` for a device such as `/dev/null` or a terminal: it keeps nothing that could be
    /// overwritten.
    pub(crate) fn of(metadata: &Metadata) -> Option<Self> {
        let kind = metadata.file_type();
        let (device, inode, is_socket) = (metadata.dev(), metadata.ino(), kind.is_socket());
        (!kind.is_char_device()).then_some(Self { device, inode, is_socket })
    }

    /// Whether what is written here would come back as input, or destroy it. Both ways of a socket are one
    /// file, and go to different places.
    pub(crate) fn is_also_read_from(&self, input: &Self) -> bool {
        self == input && !self.is_socket
    }
}
