//! Ends a worker whose slave is gone, even if its task never returns: a thread waits for the other end of the
//! socket to close, and then kills the process with all that it has started.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::getpgrp;

/// Starts to watch. The worker is the leader of a process group of its own (see `process.rs`).
///
/// # Errors
/// Those of the system.
pub(super) fn start(socket: &UnixStream) -> io::Result<()> {
    let socket = socket.try_clone()?;
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        wait_for_hang_up(&socket);
        // No one will ever ask for what the task is doing, and no one is left to be told of an error.
        let _ = killpg(getpgrp(), Signal::SIGKILL);
    })?;
    Ok(())
}

fn wait_for_hang_up(socket: &UnixStream) {
    loop {
        // A hang-up is reported without being asked for (poll(2)); nothing else is of interest.
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::empty())];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}
