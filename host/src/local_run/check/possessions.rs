//! What a worker process has at one moment: threads, descriptors, processes, memory. Read from `/proc`.

use std::{fs, io};

/// What is counted, and what is said of it if it grows.
pub(super) const KINDS: [&str; 3] = ["threads", "descriptors", "processes"];

/// What it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Possessions {
    /// The worker.
    pub pid: u32,
    /// Threads, open descriptors and processes that it has started, as in [`KINDS`].
    pub counts: [usize; 3],
    /// Bytes of its own memory.
    pub memory_bytes: u64,
}

impl Possessions {
    /// Those of the one worker of this process.
    ///
    /// # Errors
    /// Those of the system; also if there is no worker.
    pub(super) fn of_worker() -> io::Result<Self> {
        let worker = worker()?.ok_or_else(|| io::Error::other("there is no worker at the moment"))?;
        let entries = |name: &str| fs::read_dir(format!("/proc/{worker}/{name}")).map(Iterator::count);
        let status = fs::read_to_string(format!("/proc/{worker}/status"))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib =
            kib.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default();
        let counts = [entries("task")?, entries("fd")?, processes_of(worker)?];
        Ok(Self { pid: worker, counts, memory_bytes: kib * 1024 })
    }
}

/// The youngest child of this process: there is one slot, and the one before it may not be reaped yet.
fn worker() -> io::Result<Option<u32>> {
    let own = std::process::id();
    let of_us = |stat: &Stat| stat.parent == own && stat.group == stat.pid && !stat.is_dead;
    Ok(stats()?.filter(of_us).map(|stat| stat.pid).max())
}

/// Processes that a worker has started and that are there, also as zombies.
fn processes_of(worker: u32) -> io::Result<usize> {
    let is_its = |stat: &Stat| stat.pid != worker && (stat.parent == worker || stat.group == worker);
    Ok(stats()?.filter(is_its).count())
}

/// The beginning of `/proc/PID/stat`.
struct Stat {
    pid: u32,
    parent: u32,
    group: u32,
    is_dead: bool,
}

fn stats() -> io::Result<impl Iterator<Item = Stat>> {
    // A process that has ended meanwhile has nothing to say.
    let entries = fs::read_dir("/proc")?.flatten();
    Ok(entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let text = fs::read(entry.path().join("stat")).ok()?;
        // The name before it can hold anything, parentheses included.
        let behind_name = text.iter().rposition(|byte| *byte == b')')? + 1;
        let mut fields = str::from_utf8(&text[behind_name..]).ok()?.split_whitespace();
        let is_dead = matches!(fields.next()?, "Z" | "X");
        Some(Stat { pid, parent: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()?, is_dead })
    }))
}
