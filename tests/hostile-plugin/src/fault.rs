//! What a record asks for: its first word, and an argument after a space.

use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::time::Duration;
use std::{fs, hint, thread};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::{Pid, getppid, getsid, setpgid};
use simplegrid_plugin_api::{Error, Line, Output, Result};

/// Address space of a worker that allocates for ever: far more than a task needs beside its scoreboard, and
/// so little that the machine does not notice.
const ALLOCATED_BYTES_MAX: u64 = 2 << 30;

/// How often a record that waits for a file checks for it.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Bytes that a record leaves behind.
const LEFT_BYTES: usize = 1000;

/// What happens with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault<'a> {
    /// `panic`
    Panic,
    /// `abort`
    Abort,
    /// `segv`: dies as from a bad pointer.
    Segv,
    /// `exit0`: ends the process as if all were well.
    Exit,
    /// `kill-slave`: kills the process that its worker belongs to.
    KillSlave,
    /// `hang`: never returns.
    Hang,
    /// `oom`: allocates until there is no more memory.
    Oom,
    /// `huge N`: a row of so many bytes.
    Huge(usize),
    /// `stdout TEXT`: prints.
    Stdout(&'a str),
    /// `stderr TEXT`: prints.
    Stderr(&'a str),
    /// `child`: leaves a process behind.
    Child,
    /// `leave-thread`: leaves a thread behind.
    LeaveThread,
    /// `leave-file`: leaves a file open.
    LeaveFile,
    /// `leave-memory`: leaves some memory behind.
    LeaveMemory,
    /// `orphan`: dies, and leaves a process behind that has all of its descriptors, in a session of its own.
    Orphan,
    /// `flee`: moves into the process group of a child, and never returns.
    Flee,
    /// `reject`
    Reject,
    /// `retry`
    Retry,
    /// `retry-once`: fails the first time. Needs the side log.
    RetryOnce,
    /// `fatal`
    Fatal,
    /// `sleep MS`: takes that long, and is echoed then.
    Sleep(u64, &'a [u8]),
    /// `until FILE`: waits until the file exists, and is echoed then.
    Until(&'a str, &'a [u8]),
    /// `once FILE abort`: waits until the file exists, removes it, and aborts.
    OnceAbort(&'a str),
    /// `hold`: is held, and finished later.
    Hold,
    /// `drop`: is held, and what could finish it is dropped.
    Drop,
    /// `forget`: is held, and what could finish it is leaked, as by a plugin in another language.
    Forget,
    /// `late`: is held, and finished only when the task has forgotten others for long.
    Late,
    /// `finish`: finishes all held records.
    Finish,
    /// `finish-fatal`: fails all held records, and says that the task cannot go on.
    FinishFatal,
    /// `leak`: writes half a row that must never be seen, and then a rejection.
    Leak,
    /// Anything else is echoed.
    Echo(&'a [u8]),
}

impl<'a> Fault<'a> {
    /// What a record asks for.
    pub(crate) fn of(record: &'a [u8]) -> Self {
        let text = str::from_utf8(record).unwrap_or_default();
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let number = rest.split(' ').next().and_then(|number| number.parse().ok());
        match (word, number) {
            ("panic", _) => Self::Panic,
            ("abort", _) => Self::Abort,
            ("segv", _) => Self::Segv,
            ("exit0", _) => Self::Exit,
            ("kill-slave", _) => Self::KillSlave,
            ("hang", _) => Self::Hang,
            ("oom", _) => Self::Oom,
            ("huge", Some(bytes)) => Self::Huge(bytes as usize),
            ("stdout", _) => Self::Stdout(rest),
            ("stderr", _) => Self::Stderr(rest),
            ("child", _) => Self::Child,
            ("leave-thread", _) => Self::LeaveThread,
            ("leave-file", _) => Self::LeaveFile,
            ("leave-memory", _) => Self::LeaveMemory,
            ("orphan", _) => Self::Orphan,
            ("flee", _) => Self::Flee,
            ("reject", _) => Self::Reject,
            ("retry", _) => Self::Retry,
            ("retry-once", _) => Self::RetryOnce,
            ("fatal", _) => Self::Fatal,
            ("sleep", Some(ms)) => Self::Sleep(ms, record),
            ("until", _) => Self::Until(rest, record),
            ("once", _) => Self::OnceAbort(rest.strip_suffix(" abort").unwrap_or(rest)),
            ("hold", _) => Self::Hold,
            ("drop", _) => Self::Drop,
            ("forget", _) => Self::Forget,
            ("late", _) => Self::Late,
            ("finish", _) => Self::Finish,
            ("finish-fatal", _) => Self::FinishFatal,
            ("leak", _) => Self::Leak,
            _ => Self::Echo(record),
        }
    }

    /// Makes it happen. Faults that concern the whole task are not made here.
    pub(crate) fn happen(self, output: &mut Output<Line>) -> Result {
        match self {
            Self::Panic => panic!("told to panic"),
            Self::Abort => process::abort(),
            Self::Segv => segv(),
            Self::Exit => process::exit(0),
            Self::KillSlave => kill_slave(),
            Self::Hang => hang(),
            Self::Oom => allocate_for_ever(),
            Self::Huge(bytes) => output.line(&vec![b'x'; bytes]),
            Self::Stdout(text) => {
                println!("{text}");
                output.line(b"printed")
            }
            Self::Stderr(text) => {
                eprintln!("{text}");
                output.line(b"printed")
            }
            Self::Child => output.line(leave_child()?.to_string().as_bytes()),
            Self::LeaveThread => {
                drop(thread::spawn(|| hang()));
                output.line(b"left")
            }
            Self::LeaveFile => {
                std::mem::forget(fs::File::open("/dev/null")?);
                output.line(b"left")
            }
            Self::LeaveMemory => {
                std::mem::forget(hint::black_box(vec![1_u8; LEFT_BYTES]));
                output.line(b"left")
            }
            Self::Orphan => {
                leave_heir()?;
                process::abort()
            }
            Self::Flee => {
                flee()?;
                hang()
            }
            Self::Reject => Err(Error::reject("told to reject")),
            Self::Retry => Err(Error::retry("told to retry")),
            Self::Fatal => Err(Error::fatal("told to be fatal")),
            Self::Sleep(ms, record) => {
                thread::sleep(Duration::from_millis(ms));
                output.line(record)
            }
            Self::Until(file, record) => {
                wait_for(Path::new(file));
                output.line(record)
            }
            Self::OnceAbort(file) => {
                while fs::remove_file(file).is_err() {
                    thread::sleep(LOOK_EVERY);
                }
                process::abort()
            }
            Self::Leak => {
                output.line(b"leaked")?;
                Err(Error::reject("after a row"))
            }
            Self::Echo(record) => output.line(record),
            Self::RetryOnce
            | Self::Hold
            | Self::Drop
            | Self::Forget
            | Self::Late
            | Self::Finish
            | Self::FinishFatal => unreachable!("the task itself sees to these"),
        }
    }
}

impl Fault<'_> {
    /// Makes it happen to a key, as far as it needs no output.
    pub(crate) fn happen_to_key(self) -> Result {
        match self {
            Self::Panic => panic!("told to panic"),
            Self::Abort => process::abort(),
            Self::Segv => segv(),
            Self::Exit => process::exit(0),
            Self::Hang => hang(),
            Self::Reject => Err(Error::reject("told to reject")),
            _ => Ok(()),
        }
    }
}

/// Rust's own handler lets the first signal pass, because it could be a stack overflow; then it steps aside.
fn segv() -> ! {
    loop {
        // It cannot fail: the signal exists.
        let _ = raise(Signal::SIGSEGV);
    }
}

/// A worker whose slave is gone already has another parent, which must live.
fn kill_slave() -> ! {
    let parent = getppid();
    let program = |process: String| fs::read_link(format!("/proc/{process}/exe")).ok();
    if program(parent.to_string()).is_some_and(|exe| Some(exe) == program("self".to_owned())) {
        // If it has just ended, that is what is wanted.
        let _ = kill(parent, Signal::SIGKILL);
    }
    process::abort()
}

/// Returns once a file is there.
pub(crate) fn wait_for(file: &Path) {
    while !file.exists() {
        thread::sleep(LOOK_EVERY);
    }
}

/// Never returns.
pub(crate) fn hang() -> ! {
    loop {
        hint::spin_loop();
        thread::park_timeout(Duration::from_secs(1));
    }
}

/// Fills memory; never returns.
fn allocate_for_ever() -> ! {
    // A worker that already has a limit keeps it.
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).expect("the resource exists");
    let bytes = hard.min(ALLOCATED_BYTES_MAX);
    setrlimit(Resource::RLIMIT_AS, bytes, bytes).expect("a limit may be lowered");
    let mut all = Vec::new();
    loop {
        // Not written to, so that it costs the machine nothing.
        all.push(hint::black_box(Vec::<u8>::with_capacity(64 << 20)));
    }
}

/// Starts a process that outlives its worker, and returns its number.
pub(crate) fn leave_child() -> Result<u32> {
    let mut command = Command::new("sleep");
    let child = command.arg("600").stdin(Stdio::null()).spawn()?;
    Ok(child.id())
}

/// Starts a process in a session of its own that inherits everything this one has open. What was to be closed
/// in new programs is no longer.
fn leave_heir() -> Result {
    for entry in std::fs::read_dir("/proc/self/fd")?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // The descriptor of the directory itself is closed by now, and has nothing to inherit.
        let _ = inherit(number);
    }
    let heir = Command::new("setsid").args(["sleep", "600"]).stdin(Stdio::null()).spawn()?;
    let session = Pid::from_raw(heir.id() as i32);
    // Until then it is killed with the process group of its worker, and nothing is left behind.
    while getsid(Some(session)) != Ok(session) {
        thread::yield_now();
    }
    // The log has its number, for the test that must end it.
    eprintln!("heir {}.", heir.id());
    Ok(())
}

fn inherit(descriptor: i32) -> nix::Result<()> {
    // SAFETY: nothing is read or written, and the flag of a descriptor that is closed cannot be changed.
    #[allow(unsafe_code)]
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)
}

/// Leaves the process group that its slave knows.
fn flee() -> Result {
    let mut command = Command::new("sleep");
    let child = command.arg("600").stdin(Stdio::null()).process_group(0).spawn()?;
    setpgid(Pid::from_raw(0), Pid::from_raw(child.id() as i32)).map_err(Error::reject)
}
