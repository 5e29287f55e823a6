//! A running call of the program: its output is collected, its input can be written bit by bit, and it ends
//! with its owner.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use nix::sys::signal::Signal;

use crate::call::Finished;
use crate::gate::Gate;
use crate::{processes, wait};

/// What a stream has delivered so far.
pub(crate) type Collected = Arc<Mutex<Vec<u8>>>;

/// A running call.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines_max: Option<usize>,
    stdout: Collected,
    stderr: Collected,
    stderr_gate: Gate,
    readers: Vec<JoinHandle<()>>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Takes over a child whose streams are pipes. Its stdout is closed after `lines_max` lines.
    pub(crate) fn new(mut child: Child, lines_max: Option<usize>, stderr: Collected) -> Self {
        let (mut readers, stderr_gate) = (Vec::new(), Gate::default());
        if let Some(stream) = child.stderr.take() {
            readers.push(collect(stream, stderr.clone(), None, stderr_gate.clone()));
        }
        let (stdout, input) = (Collected::default(), child.stdin.take());
        Self { child, input, lines_max, stdout, stderr, stderr_gate, readers, status: None }
    }

    /// Begins to read its stdout.
    pub fn read_stdout(&mut self) {
        let stream = self.child.stdout.take().expect("stdout is read once");
        self.readers.push(collect(stream, self.stdout.clone(), self.lines_max, Gate::default()));
    }

    /// Its process number.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process number is an i32")
    }

    /// Writes to its stdin, without closing it. If the process has ended, the bytes are lost.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let input = self.input.as_mut().expect("stdin is open");
        let _ = input.write_all(bytes.as_ref()).and_then(|()| input.flush());
    }

    /// Writes to its stdin on a thread, and closes it.
    pub(crate) fn write_all_and_close(&mut self, bytes: Vec<u8>) {
        let mut input = self.input.take().expect("stdin is open");
        self.readers.push(thread::spawn(move || {
            // A process that ends before it has read everything has its reasons.
            let _ = input.write_all(&bytes);
        }));
    }

    /// Its stdin, for another writer.
    pub fn take_input(&mut self) -> ChildStdin {
        self.input.take().expect("stdin is taken once")
    }

    /// Closes its stdin.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> Vec<u8> {
        lock(&self.stdout)
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&lock(&self.stderr)).into_owned()
    }

    /// Stops reading its stderr after the next few bytes.
    pub fn stop_reading_stderr(&self) {
        self.stderr_gate.close();
    }

    /// Reads its stderr again.
    pub fn go_on_reading_stderr(&self) {
        self.stderr_gate.open();
    }

    /// Waits until its stderr contains a text.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str) {
        wait::until(&format!("{text:?} on stderr"), || self.stderr().contains(text));
    }

    /// Waits until its stdout has so many lines.
    #[track_caller]
    pub fn wait_for_lines(&self, lines: usize) {
        let count = || self.stdout().iter().filter(|byte| **byte == b'\n').count();
        wait::until(&format!("{lines} lines on stdout"), || count() >= lines);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        processes::signal_process(self.pid(), signal);
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.status = self.status.or_else(|| self.child.try_wait().expect("a child can be waited for"));
        self.status.is_none()
    }

    /// Everything that it has open.
    pub fn descriptors(&self) -> Vec<processes::Descriptor> {
        processes::descriptors(self.pid())
    }

    /// A line of `/proc/PID/status`.
    pub fn status(&self, name: &str) -> Option<String> {
        processes::status(self.pid(), name)
    }

    /// Closes its stdin and waits until it ends.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        self.close_input();
        self.wait()
    }

    /// Waits until it ends; its stdin stays open.
    #[track_caller]
    pub fn wait(mut self) -> Finished {
        wait::until("the program ends", || !self.is_running());
        let status = self.status.take().expect("it has ended");
        self.status = Some(status);
        self.go_on_reading_stderr();
        for reader in self.readers.drain(..) {
            wait::until("its output is closed", || reader.is_finished());
        }
        let code = status.code().or_else(|| status.signal().map(|signal| -signal));
        Finished {
            status: code.expect("a process ends by itself or by a signal"),
            stdout: lock(&self.stdout),
            stderr: String::from_utf8_lossy(&lock(&self.stderr)).into_owned(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.go_on_reading_stderr();
        if self.is_running() {
            processes::signal_process(self.pid(), Signal::SIGKILL);
            // Reaped here; a killed process always ends.
            let _ = self.child.wait();
        }
    }
}

pub(crate) fn lock(collected: &Collected) -> Vec<u8> {
    collected.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn collect(
    mut stream: impl Read + Send + 'static,
    collected: Collected,
    lines_max: Option<usize>,
    gate: Gate,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = vec![0; if lines_max.is_some() { 1 } else { 64 * 1024 }];
        let mut lines = 0;
        while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
            let bytes = &buffer[..bytes];
            collected.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            lines += bytes.iter().filter(|byte| **byte == b'\n').count();
            if lines_max.is_some_and(|max| lines >= max) {
                return;
            }
            gate.pass();
        }
    })
}
