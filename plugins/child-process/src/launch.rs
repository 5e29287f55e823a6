//! Starts a command without copying the worker: until it is the command, the new process borrows the
//! worker's memory, as `vfork` does. A fork would copy page tables, and take several times as long.
#![expect(unsafe_code, reason = "a process that borrows this one's memory")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::{io, ptr};

use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid};
use simplegrid_plugin_api::{Error, Result};

use crate::environment::Environment;

/// The stack of the new process until it is the command: it makes a few system calls.
const STACK_BYTES: usize = 64 << 10;

/// What is the same for every record.
#[derive(Debug)]
pub struct Launcher {
    environment: Vec<CString>,
    cwd: Option<CString>,
}

impl Launcher {
    /// What the user said about the command's surroundings.
    ///
    /// # Errors
    /// If it cannot be passed on.
    pub fn new(environment: &Environment, cwd: Option<&Path>) -> Result<Self> {
        let cwd = cwd.map(|cwd| CString::new(cwd.as_os_str().as_encoded_bytes()));
        let cwd = cwd.transpose().map_err(|_| Error::fatal("the task argument `cwd` has a zero byte"))?;
        Ok(Self { environment: environment.to_c()?, cwd })
    }

    /// Starts the command. Its standard input, output and error are `streams`, and it is killed when this
    /// thread ends.
    ///
    /// # Errors
    /// Those of the system: the file is no program after all, or there is no room for a process.
    ///
    /// # Panics
    /// If a stream has one of the numbers 0 to 2, which are always taken in a worker.
    pub fn start(&self, program: &CStr, words: &[CString], streams: [BorrowedFd<'_>; 3]) -> io::Result<Pid> {
        let streams = streams.map(|stream| stream.as_raw_fd());
        assert!(streams.iter().all(|&stream| stream > 2), "standard streams are open in a worker");
        let words = pointers(words);
        let environment = pointers(&self.environment);
        // The new process must not run handlers of ours in memory that is ours.
        let mut mask = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))?;
        let birth = Birth {
            program: program.as_ptr(),
            words: words.as_ptr(),
            environment: environment.as_ptr(),
            cwd: self.cwd.as_ref().map_or(ptr::null(), |cwd| cwd.as_ptr()),
            streams,
            parent: getpid().as_raw(),
            mask: &mask,
            error: AtomicI32::new(0),
        };
        let started = birth.give();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
        let pid = started?;
        match birth.error.load(Ordering::Relaxed) {
            0 => Ok(pid),
            error => {
                // It has ended already, without becoming the command.
                waitpid(pid, None)?;
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }
}

/// A list that ends with null, as `execve` wants it. It points into `strings`.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// All that the new process needs, in memory that it borrows.
struct Birth<'a> {
    program: *const c_char,
    words: *const *const c_char,
    environment: *const *const c_char,
    /// Null if it stays where it is.
    cwd: *const c_char,
    streams: [RawFd; 3],
    parent: libc::pid_t,
    mask: &'a SigSet,
    /// The number of the error that kept it from becoming the command.
    error: AtomicI32,
}

impl Birth<'_> {
    /// Starts the process, and returns when it is the command or has ended.
    fn give(&self) -> nix::Result<Pid> {
        let mut stack = vec![0; STACK_BYTES];
        let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
        // SAFETY: `CLONE_VFORK` stops this thread until the new process has executed the command or ended, so
        // it never runs at the same time as this thread, and `self`, the stack, and everything that `self`
        // points to outlive its use of them. It has a stack of its own, and all signals are blocked, so no
        // handler runs in it. `become_command` allocates nothing, takes no lock, and does not return.
        unsafe {
            clone(Box::new(|| self.become_command()), &mut stack, flags, Some(Signal::SIGCHLD as c_int))
        }
    }

    /// In the new process: does what is left to do, and becomes the command. Never returns.
    fn become_command(&self) -> isize {
        // SAFETY: only plain system calls, with pointers that are valid as `give` says. Dispositions of
        // signals, descriptors and the directory are the new process's own, since `clone` was not told to
        // share them.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() == self.parent {
                let ready = self.cwd.is_null() || libc::chdir(self.cwd) == 0;
                if ready && self.take_streams() {
                    // Rust ignores it, and a command expects the default.
                    libc::signal(libc::SIGPIPE, libc::SIG_DFL);
                    libc::pthread_sigmask(libc::SIG_SETMASK, self.mask.as_ref(), ptr::null_mut());
                    libc::execve(self.program, self.words, self.environment);
                }
            }
            self.error.store(*libc::__errno_location(), Ordering::Relaxed);
            libc::_exit(127)
        }
    }

    /// # Safety
    /// Only in the new process.
    unsafe fn take_streams(&self) -> bool {
        (0..).zip(self.streams).all(|(standard, stream)| {
            // SAFETY: a plain system call with two numbers; a copy is not closed on exec.
            unsafe { libc::dup2(stream, standard) == standard }
        })
    }
}
