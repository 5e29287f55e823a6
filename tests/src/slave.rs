//! A slave that is ready for a master.

use std::ops::{Deref, DerefMut};

use crate::call::Call;
use crate::process::Process;
use crate::processes::Found;
use crate::wait;

/// A running slave.
#[derive(Debug)]
pub struct Slave {
    process: Process,
    port: u16,
}

impl Slave {
    /// Starts one, and waits until it listens.
    #[track_caller]
    pub fn start(call: Call<'_>) -> Self {
        Self::when_ready(call.start())
    }

    /// Waits until a slave that was started listens.
    #[track_caller]
    pub fn when_ready(mut process: Process) -> Self {
        let port = wait::until_some("the slave listens", || {
            assert!(process.is_running(), "the slave has ended:\n{}", process.stderr());
            port_in(&process.stderr())
        });
        Self { process, port }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its workers.
    pub fn workers(&self, all: &[Found]) -> Vec<Found> {
        all.iter().filter(|found| found.parent == self.pid() && found.is_worker()).cloned().collect()
    }

    /// The process alone.
    pub fn into_process(self) -> Process {
        self.process
    }
}

impl Deref for Slave {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Slave {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The port in the line `listening on HOST:PORT …`.
fn port_in(log: &str) -> Option<u16> {
    let line =
        log.split_inclusive('\n').find(|line| line.contains("listening on ") && line.ends_with('\n'))?;
    let place = line.split_once("listening on ")?.1.split_whitespace().next()?;
    place.rsplit_once(':')?.1.parse().ok()
}
