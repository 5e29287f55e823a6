//! A worker as a child process: how it is started, watched, killed and reaped.
//!
//! It is this program again (`/proc/self/exe worker`), never a fork: a process with a runtime has locks that
//! a fork would leave locked.

use std::io::{self, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid, getpgrp};
use rustix::process::{PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::body::{Body, BodyFuture, Hatched};
use super::label::WorkerLabel;
use super::log_line::log_lines;
use crate::owned_task::OwnedTask;
use crate::plugin::LibraryFile;
use crate::scoreboard::{self, BoardReader};
use crate::wire::{ReadEnd, WriteEnd};

/// Starts a process that has the library's file, and waits to be told to load it.
///
/// # Errors
/// Those of the system.
pub(super) fn hatch(label: &WorkerLabel, library: &LibraryFile) -> io::Result<Hatched> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let board = BoardReader::create()?;
    let (their_receipts, receipts) = io::pipe()?;
    scoreboard::pass(&ours, board.file(), &their_receipts, library.file())?;
    let mut child = command(label, theirs).spawn()?;
    let stderr = child.stderr.take().expect("its standard error is piped");
    let log = Some(OwnedTask::spawn(log_lines(stderr, label.clone())));
    let death = watched(pidfd(&child)?)?;
    ours.set_nonblocking(true)?;
    let (read, write) = UnixStream::from_std(ours)?.into_split();
    let body = Box::new(ChildProcess { child, death, receipts });
    Ok(Hatched { read: ReadEnd::new(read), write: WriteEnd::new(write), board, body, log })
}

/// A child of this process.
#[derive(Debug)]
struct ChildProcess {
    child: Child,
    /// Readable once the process is dead.
    death: AsyncFd<OwnedFd>,
    /// The receipt pipe: one byte in it says that a part of an item was read.
    receipts: PipeWriter,
}

impl ChildProcess {
    fn process(&self) -> Option<Pid> {
        self.child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw)
    }
}

/// A process whose owner does not wait for its end takes with it what it has started, too.
impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Body for ChildProcess {
    fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    fn death(&self) -> BodyFuture<'_, io::Result<()>> {
        Box::pin(async { self.death.readable().await.map(drop) })
    }

    fn acknowledge(&self) -> io::Result<()> {
        match (&self.receipts).write_all(b"!") {
            // A worker that has ended meanwhile does not wait for its receipt any more.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    fn terminate(&self) {
        if let Some(pid) = self.process()
            && let Err(error) = kill(pid, Signal::SIGTERM)
        {
            tracing::trace!(%pid, %error, "the worker is gone");
        }
    }

    fn kill(&self) {
        // The group is killed even if the worker is already dead: it can have left children behind. Its
        // number cannot belong to another process yet, because the worker is not yet reaped.
        if let Some(pid) = self.process() {
            kill_all_of(pid);
        }
    }

    fn reaped(&mut self) -> BodyFuture<'_, io::Result<ExitStatus>> {
        Box::pin(self.child.wait())
    }
}

/// A descriptor that says when a child is dead.
fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    let pid = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
    let pid = pid.ok_or_else(|| io::Error::other("a worker was reaped before it was watched"))?;
    Ok(pidfd_open(pid, PidfdFlags::NONBLOCK)?)
}

/// Watches a descriptor until it is readable. An `OwnedFd` stays open for as long as it is registered, which
/// is what the deprecated function leaves to its caller; the one that replaces it is unsafe.
#[expect(deprecated, reason = "the function in its place is unsafe, and an OwnedFd keeps its promise")]
fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}

/// Kills a worker, the group that it was given, and the group that it has moved to, if that is not ours.
fn kill_all_of(pid: Pid) {
    let moved_to = getpgid(Some(pid)).ok().filter(|group| *group != pid && *group != getpgrp());
    let group = killpg(pid, Signal::SIGKILL);
    let other_group = moved_to.map(|group| killpg(group, Signal::SIGKILL));
    // What is already gone is as we want it.
    let process = kill(pid, Signal::SIGKILL);
    tracing::trace!(%pid, ?group, ?other_group, ?process, "a worker is killed");
}

fn command(label: &WorkerLabel, socket: std::os::unix::net::UnixStream) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("simplegrid");
    command.arg("worker").args(["--task", &label.task]);
    if let Some(slot) = label.slot {
        command.args(["--slot", &slot.to_string()]);
    }
    // Our own settings can hold addresses and passwords, which a plugin must not see.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SIMPLEGRID_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
    // What a plugin prints is not a result: it goes to the log, whichever way it was printed.
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    // A group of its own: what Ctrl-C in a terminal means is for the slave to decide, and processes that a
    // plugin leaves behind can be killed with the worker.
    command.process_group(0).kill_on_drop(true);
    command
}
