//! What stands behind a row of the registry and is no slave that can be used: one with another task or other
//! columns, or a program that does not speak the protocol.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use simplegrid::internals::build::{Build, Digest};
use simplegrid::internals::registry::{Announcement, Node, NodeKey, Registry};

use crate::grid::Grid;
use crate::plugin_build::PluginBuild;
use crate::process::Process;
use crate::slave::Slave;

/// What programs say that are no slaves: another protocol, another version, nothing, half an answer.
const GREETINGS: [&[u8]; 4] =
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SIMPLEG\x63", b"", b"SIMPLEG\x02\x09\0\0\0\x10\0\0\0"];

/// A stranger. It is gone when it is dropped.
#[derive(Debug)]
pub(super) enum Stranger {
    /// A slave with another task, or with other columns.
    Slave(#[allow(dead_code, reason = "it is only there to be dropped")] Process),
    /// A program that is no slave.
    Program(#[allow(dead_code, reason = "it is only there to be dropped")] Impostor),
}

/// A program that is no slave.
#[derive(Debug)]
pub(super) struct Impostor {
    port: u16,
    has_ended: Arc<AtomicBool>,
}

impl Stranger {
    /// A slave with another task, which is ready; `None` if it could not enter the registry.
    pub(super) fn with_another_task(grid: &Grid) -> Option<Self> {
        Self::slave(grid, "echo")
    }

    /// A slave whose task is named as that of the round and has other columns, which is ready; `None` if it
    /// could not enter the registry.
    pub(super) fn with_other_columns(grid: &Grid) -> Option<Self> {
        let build = PluginBuild::new("other").task("hostile").columns(&["line", "score"]);
        Self::slave(grid, &build.install(grid, "libother.so").display().to_string())
    }

    fn slave(grid: &Grid, task: &str) -> Option<Self> {
        let mut process = grid.slave_call(task).start();
        let is_settled = || process.stderr().contains("listening on ") || !process.is_running();
        crate::wait::until("a strange slave listens, or has ended", is_settled);
        process.is_running().then(|| Self::Slave(Slave::when_ready(process).into_process()))
    }

    /// A program that says the n-th thing to everyone; `None` if the registry is out of reach.
    pub(super) fn impostor(grid: &Grid, n: usize) -> Option<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).ok()?;
        let port = listener.local_addr().ok()?.port();
        enter(grid, port)?;
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = has_ended.clone();
        thread::spawn(move || {
            let mut open: Vec<TcpStream> = Vec::new();
            for mut master in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                // A master that leaves at once has its reasons. The others are left waiting.
                let _ = master.write_all(GREETINGS[n % GREETINGS.len()]);
                let _ = master.set_nonblocking(true).and_then(|()| master.read(&mut [0; 64]).map(drop));
                open.push(master);
            }
        });
        Some(Self::Program(Impostor { port, has_ended }))
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
        // The thread waits for a connection: this is the last one.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Enters a row that looks like that of any other slave, so that masters want it.
fn enter(grid: &Grid, port: u16) -> Option<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().ok()?;
    let url = grid.registry().parse().expect("a URL");
    runtime.block_on(async {
        let registry = Registry::open(&url).await.ok()?;
        let announcement = announcement(&registry.list().await.ok()?, port);
        registry.announce(&announcement).await.ok()?;
        registry.enable(&announcement.key).await.ok().map(drop)
    })
}

fn announcement(others: &[Node], port: u16) -> Announcement {
    let digest = |of: fn(&Node) -> Option<&String>| {
        let known = others.iter().find_map(of).and_then(|digest| digest.parse().ok());
        known.unwrap_or_else(|| Digest::of(b"a stranger"))
    };
    Announcement {
        key: NodeKey::new("127.0.0.1", port),
        children: 2,
        task: "hostile".to_owned(),
        task_version: None,
        advertise: Some("127.0.0.1".to_owned()),
        pid: std::process::id(),
        version: "a stranger".to_owned(),
        dead_pid: None,
        columns: digest(|node| node.columns_sha256.as_ref()),
        build: Build {
            manifest: digest(|node| node.manifest_sha256.as_ref()),
            file: digest(|node| node.file_sha256.as_ref()),
        },
    }
}
