//! Which of the standard streams were closed when the program began, as by `>&-`.
//!
//! Later nothing shows it: Rust opens `/dev/null` in their place before `main`, so that what is read is
//! empty, and what is written is gone without an error. So this looks before the runtime does.

use std::os::fd::RawFd;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

use nix::libc::{F_GETFD, STDERR_FILENO, STDIN_FILENO, STDOUT_FILENO, fcntl};

/// One bit for each stream that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

#[expect(unsafe_code, reason = "nothing else runs before the runtime opens what is closed")]
// SAFETY: `.init_array` holds pointers to functions of C's calling convention, which the loader calls once
// each, before `main` and on the only thread, when the C library is ready (System V ABI, chapter 5). The
// arguments with which it calls them may be ignored in that convention. This function does not unwind.
#[unsafe(link_section = ".init_array")]
#[used]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] {
        #[expect(unsafe_code, reason = "safe wrappers take only descriptors that are open")]
        // SAFETY: with F_GETFD, fcntl takes no third argument and touches no memory of ours; it fails if
        // there is no such descriptor (fcntl(2)).
        let flags = unsafe { fcntl(stream, F_GETFD) };
        if flags == -1 {
            CLOSED.fetch_or(1 << stream, Relaxed);
        }
    }
}

/// Whether a standard stream was closed.
pub(crate) fn was_closed(stream: StandardStream) -> bool {
    CLOSED.load(Relaxed) & (1 << stream.number()) != 0
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StandardStream {
    /// What is read.
    Input,
    /// Where results go.
    Output,
    /// Where messages go.
    Error,
}

impl StandardStream {
    fn number(self) -> RawFd {
        match self {
            Self::Input => STDIN_FILENO,
            Self::Output => STDOUT_FILENO,
            Self::Error => STDERR_FILENO,
        }
    }
}
