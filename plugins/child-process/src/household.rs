//! The processes of a command: one for the record in hand, and whatever it leaves behind.
//!
//! **Invariant:** when [`Household::end`] has returned, no process of the record is left, unless the kernel
//! does not let it die.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeSpec;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, gettid, pipe2};
use rustix::io::ioctl_fionread;
use rustix::process::{PidfdFlags, pidfd_open, set_child_subreaper};
use simplegrid_plugin_api::Result;

use crate::launch::Launcher;

/// How long processes that were killed may take to end. Only those that hang in the kernel take longer.
const END_MAX: Duration = Duration::from_secs(2);

/// How long to wait between two looks at processes that were killed.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The pipes of one command: ours, which do not block, and its own.
#[derive(Debug)]
pub struct Streams {
    /// Where we write its standard input; `None` if that is empty.
    input: Option<OwnedFd>,
    output: OwnedFd,
    theirs: (OwnedFd, OwnedFd),
}

impl Streams {
    /// Pipes for a command, which reads something or nothing.
    ///
    /// # Errors
    /// Those of the system.
    pub fn open(with_input: bool) -> Result<Self> {
        let (output, their_output) = pipe2(OFlag::O_CLOEXEC)?;
        let (their_input, input) = if with_input {
            let (theirs, ours) = pipe2(OFlag::O_CLOEXEC)?;
            (theirs, Some(ours))
        } else {
            (File::open("/dev/null")?.into(), None)
        };
        for ours in input.iter().chain([&output]) {
            fcntl(ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { input, output, theirs: (their_input, their_output) })
    }
}

/// A command that runs.
#[derive(Debug)]
pub struct Child {
    /// Where its standard input is written, until all is written.
    pub(crate) input: Option<File>,
    /// Its standard output.
    pub(crate) output: File,
    /// Readable when it has ended.
    pub(crate) death: OwnedFd,
    pid: Pid,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit status.
    Exited(u8),
    /// By this signal.
    Signaled(Signal),
}

/// What there is to see of a command from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// It has ended.
    pub has_ended: bool,
    /// It has written something.
    pub has_written: bool,
    /// It has not yet read all that it was given.
    pub has_unread: bool,
}

/// What all commands of a worker have in common: their standard error, and their end.
#[derive(Debug)]
pub struct Household {
    errors: File,
    their_errors: OwnedFd,
}

impl Household {
    /// Makes this process the one that inherits what a command leaves behind.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new() -> Result<Self> {
        set_child_subreaper(Some(rustix::process::getpid())).map_err(io::Error::from)?;
        let (errors, their_errors) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&errors, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { errors: errors.into(), their_errors })
    }

    /// Where the commands' standard error can be read.
    pub(crate) fn errors(&self) -> &File {
        &self.errors
    }

    /// Starts a command.
    ///
    /// # Errors
    /// As [`Launcher::start`].
    pub fn start(
        &self,
        launcher: &Launcher,
        program: &CStr,
        words: &[CString],
        streams: Streams,
    ) -> io::Result<Child> {
        let (input, output) = &streams.theirs;
        let pid =
            launcher.start(program, words, [input.as_fd(), output.as_fd(), self.their_errors.as_fd()])?;
        let opened = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(Errno::ESRCH);
        let death = opened.map_err(io::Error::from).and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
        match death {
            Ok(death) => {
                Ok(Child { input: streams.input.map(File::from), output: streams.output.into(), death, pid })
            }
            Err(error) => {
                kill_and_reap(pid)?;
                Err(error)
            }
        }
    }

    /// Looks at a command to which no one talks: whether it has ended, or says something that no one has
    /// asked for, now or within that time.
    ///
    /// # Errors
    /// Those of the system.
    pub fn look_at(&self, child: &Child, within: Duration) -> io::Result<Look> {
        let unread = child.input.as_ref().map_or(Ok(0), ioctl_fionread).map_err(io::Error::from)?;
        let mut watching =
            [watched(&child.death, PollFlags::POLLIN), watched(&child.output, PollFlags::POLLIN)];
        match ppoll(&mut watching, Some(TimeSpec::from_duration(within)), None) {
            // A signal may shorten the look.
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [death, output] = watching.map(|one| one.revents().unwrap_or(PollFlags::empty()));
        Ok(Look {
            has_ended: !death.is_empty(),
            has_written: output.contains(PollFlags::POLLIN),
            has_unread: unread > 0,
        })
    }

    /// Buries what a command that still runs has started, left to this process, and survived.
    ///
    /// # Errors
    /// Those of the system.
    pub fn bury_orphans(&self, child: &Child) -> io::Result<()> {
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        loop {
            match waitid(Id::All, flags) {
                Ok(status) => match status.pid().filter(|&pid| pid != child.pid) {
                    Some(pid) => drop(reaped(pid)?),
                    None => return Ok(()),
                },
                Err(Errno::ECHILD) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends a command and everything that it has left behind, and says how it ended.
    ///
    /// # Errors
    /// Those of the system, or if it does not die.
    pub fn end(&self, child: Child) -> Result<End> {
        drop((child.input, child.output));
        let end = kill_and_reap(child.pid)?;
        end_those_left()?;
        Ok(end)
    }
}

/// Kills a process, if it has not ended, and waits for its end.
fn kill_and_reap(pid: Pid) -> io::Result<End> {
    if let Some(end) = reaped(pid)? {
        return Ok(end);
    }
    kill(pid, Signal::SIGKILL)?;
    let until = Instant::now() + END_MAX;
    loop {
        if let Some(end) = reaped(pid)? {
            return Ok(end);
        }
        if Instant::now() > until {
            return Err(io::Error::other(format!(
                "the command's process {pid} was killed, and does not end"
            )));
        }
        pause();
    }
}

fn reaped(pid: Pid) -> io::Result<Option<End>> {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG))? {
        WaitStatus::Exited(_, status) => Ok(Some(End::Exited(status as u8))),
        WaitStatus::Signaled(_, signal, _) => Ok(Some(End::Signaled(signal))),
        _ => Ok(None),
    }
}

/// Ends processes that the command has started and not waited for. They have become children of this one.
fn end_those_left() -> io::Result<()> {
    let until = Instant::now() + END_MAX;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WNOTHREAD)) {
            // There are none: the usual case, and one system call.
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(WaitStatus::StillAlive) if Instant::now() > until => {
                tracing::warn!("processes that the command has left behind were killed, and do not end");
                return Ok(());
            }
            Ok(WaitStatus::StillAlive) => {
                for pid in children()? {
                    match kill(pid, Signal::SIGKILL) {
                        // It has ended meanwhile.
                        Ok(()) | Err(Errno::ESRCH) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                pause();
            }
            // One has been reaped; its own children are ours now.
            Ok(_) => {}
        }
    }
}

/// The children of this thread.
fn children() -> io::Result<Vec<Pid>> {
    let list = fs::read_to_string(format!("/proc/self/task/{}/children", gettid()))?;
    Ok(list.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect())
}

fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

/// Whether something happens before the deadline.
///
/// # Errors
/// Those of the system.
pub(crate) fn wait_for(watched: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                // Rounded up, so that it is not asked again and again within the last millisecond.
                let millis = left.as_micros().div_ceil(1000).min(i32::MAX as u128);
                PollTimeout::try_from(millis as i32).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(watched, timeout) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a descriptor is watched for, if there is one.
pub(crate) fn watched(fd: &impl AsFd, events: PollFlags) -> PollFd<'_> {
    PollFd::new(fd.as_fd(), events)
}
