//! Looks at processes through `/proc`: which belong to a grid, and what they have open.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The environment variable that marks every process of a grid. Workers and all processes that they start
/// inherit it.
pub(crate) const MARK: &str = "GRID_UNDER_TEST";

/// A process that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its process number.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its command line, with spaces between the arguments.
    pub command: String,
}

/// What a process has open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Its number.
    pub number: u32,
    /// What `/proc` says it is: a path, `socket:[…]`, `pipe:[…]`, `/memfd:…`.
    pub target: String,
    /// What distinguishes two files, sockets or pipes with the same name.
    pub inode: u64,
    /// Whether a program that it starts gets it, too.
    pub is_inherited: bool,
}

impl Found {
    /// All living processes with that mark.
    pub fn marked(mark: &str) -> Vec<Self> {
        let marked = format!("{MARK}={mark}");
        let is_marked = |pid: i32| environment(pid).contains(&marked);
        let entries = fs::read_dir("/proc").expect("these tests need /proc");
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| is_marked(*pid)).filter_map(Self::look_at).collect()
    }

    /// All living children of a process.
    pub fn children_of(parent: i32) -> Vec<Self> {
        let children = format!("task/{parent}/children");
        let children = fs::read_to_string(proc_file(parent, &children)).unwrap_or_default();
        let pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.filter_map(Self::look_at).collect()
    }

    /// `None` if it is gone, or is only waiting to be reaped.
    fn look_at(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(proc_file(pid, "stat")).ok()?;
        // The name in parentheses can contain anything; what follows it cannot.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let command = fs::read(proc_file(pid, "cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ").trim_end().to_owned();
        (!matches!(state, "Z" | "X")).then_some(Self { pid, parent, command })
    }

    /// Whether it is a worker that serves records.
    pub fn is_worker(&self) -> bool {
        self.command.starts_with("simplegrid worker") && self.command.contains("--slot")
    }

    /// Sends it a signal. A process that is gone does not matter.
    pub fn signal(&self, signal: Signal) {
        signal_process(self.pid, signal);
    }

    /// Everything that it has open.
    pub fn descriptors(&self) -> Vec<Descriptor> {
        descriptors(self.pid)
    }

    /// The environment variables that it was started with.
    pub fn environment(&self) -> Vec<String> {
        environment(self.pid)
    }

    /// The number after a name in `/proc/PID/status`, such as `SigIgn` or `VmHWM`.
    pub fn status(&self, name: &str) -> Option<String> {
        status(self.pid, name)
    }
}

/// How many children of a process have ended and not been reaped.
pub(crate) fn zombies_of(parent: i32) -> usize {
    let children = format!("task/{parent}/children");
    let children = fs::read_to_string(proc_file(parent, &children)).unwrap_or_default();
    let pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter(|pid| status(*pid, "State").is_some_and(|state| state.starts_with('Z'))).count()
}

/// Sends a signal to a process, or to a group if the number is negative.
pub fn signal_process(pid: i32, signal: Signal) {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("cannot send {signal} to {pid}: {error}"),
    }
}

/// Everything that a process has open.
pub(crate) fn descriptors(pid: i32) -> Vec<Descriptor> {
    let entries = fs::read_dir(proc_file(pid, "fd")).map(|entries| entries.flatten().collect::<Vec<_>>());
    let descriptor = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let target = fs::read_link(entry.path()).ok()?;
        Some(Descriptor {
            number,
            target: String::from_utf8_lossy(target.as_os_str().as_bytes()).into_owned(),
            inode: fs::metadata(entry.path()).ok()?.ino(),
            is_inherited: is_inherited(pid, number)?,
        })
    };
    entries.unwrap_or_default().into_iter().filter_map(descriptor).collect()
}

fn is_inherited(pid: i32, descriptor: u32) -> Option<bool> {
    /// `O_CLOEXEC` as `/proc/PID/fdinfo` shows it (proc(5)).
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let info = fs::read_to_string(proc_file(pid, &format!("fdinfo/{descriptor}"))).ok()?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    Some(u32::from_str_radix(flags.trim(), 8).ok()? & CLOSE_ON_EXEC == 0)
}

/// The environment variables that a process was started with.
pub(crate) fn environment(pid: i32) -> Vec<String> {
    let environment = fs::read(proc_file(pid, "environ")).unwrap_or_default();
    let variables = environment.split(|byte| *byte == 0).filter(|variable| !variable.is_empty());
    variables.map(|variable| String::from_utf8_lossy(variable).into_owned()).collect()
}

/// A line of `/proc/PID/status`, without its name.
pub(crate) fn status(pid: i32, name: &str) -> Option<String> {
    let status = fs::read_to_string(proc_file(pid, "status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

fn proc_file(pid: i32, file: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(file)
}
