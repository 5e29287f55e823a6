//! How a worker gets its scoreboard and its library: over its socket, so that no descriptor is inherited by
//! chance.
#![expect(unsafe_code, reason = "descriptors that arrive are plain numbers until they are owned")]

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, PipeReader};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// What a worker needs beside its socket.
#[derive(Debug)]
pub(crate) struct Passed {
    /// The scoreboard's file.
    pub board: File,
    /// The receipt pipe: one byte comes each time that the slave has read a part of an item; its end says
    /// that the slave is gone.
    pub receipts: PipeReader,
    /// The library that it loads.
    pub library: File,
}

/// Sends the descriptors to the process at the other end of `socket`.
///
/// # Errors
/// Those of the system.
pub(crate) fn pass(
    socket: &UnixStream,
    board: &File,
    receipts: &PipeReader,
    library: &File,
) -> io::Result<()> {
    let fds = [board.as_raw_fd(), receipts.as_raw_fd(), library.as_raw_fd()];
    let message = [IoSlice::new(b"!")];
    sendmsg::<()>(socket.as_raw_fd(), &message, &[ControlMessage::ScmRights(&fds)], MsgFlags::empty(), None)?;
    Ok(())
}

/// Takes the descriptors that [`pass`] sent. They are closed on exec.
///
/// # Errors
/// Those of the system, or if something else was sent.
pub(crate) fn receive(socket: &UnixStream) -> io::Result<Passed> {
    let mut byte = [0];
    let mut message = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([i32; 3]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut message, Some(&mut space), flags)?;
    let mut owned = Vec::new();
    for control in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            // SAFETY: the kernel has just made these descriptors for this process, and nothing else in it
            // knows them, so each gets exactly one owner here.
            owned.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    let [board, receipts, library]: [OwnedFd; 3] =
        owned.try_into().map_err(|_| io::Error::other("the slave sent no scoreboard, or no library"))?;
    Ok(Passed { board: board.into(), receipts: receipts.into(), library: library.into() })
}
