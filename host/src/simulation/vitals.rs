//! Whether a worker of a simulation lives: what the kernel knows of a process, and what its slave can do to
//! it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::Signal;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::trace::Trace;
use crate::turns::{ProcessId, Schedule};
use crate::worker::{Body, BodyFuture};

/// A worker's life, as seen from outside.
#[derive(Debug)]
pub(super) struct Vitals {
    /// Its process.
    pub process: ProcessId,
    schedule: Schedule,
    trace: Trace,
    /// How it ended, once it has.
    ended: watch::Sender<Option<ExitStatus>>,
    /// Its life.
    task: Mutex<Option<AbortHandle>>,
    /// It hangs in the kernel: nothing ends it.
    cannot_be_killed: AtomicBool,
}

impl Vitals {
    /// A worker that is about to live.
    pub(super) fn new(process: ProcessId, schedule: Schedule, trace: Trace) -> Self {
        let (ended, task, cannot_be_killed) =
            (watch::Sender::new(None), Mutex::new(None), AtomicBool::new(false));
        Self { process, schedule, trace, ended, task, cannot_be_killed }
    }

    /// Its life has begun.
    pub(super) fn on_birth(&self, task: AbortHandle) {
        if self.is_dead() {
            task.abort();
        }
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Whether it is dead.
    pub(super) fn is_dead(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// It stops, or goes on.
    pub(super) fn stop(&self, stops: bool) {
        if stops {
            self.schedule.stop(self.process);
        } else {
            self.schedule.go_on(self.process);
        }
    }

    /// Nothing can end it any more.
    pub(super) fn hang_in_kernel(&self) {
        self.cannot_be_killed.store(true, Relaxed);
    }

    /// It ends by itself.
    pub(super) fn die(&self, status: ExitStatus) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            if is_first {
                self.trace.say(format!("worker {} ends: {status}", self.process.0));
                *ended = Some(status);
            }
            is_first
        });
    }

    /// It is killed.
    pub(super) fn kill(&self) {
        if self.cannot_be_killed.load(Relaxed) {
            return;
        }
        self.die(by_signal(Signal::SIGKILL));
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

/// The status of a process that a signal has ended.
pub(super) fn by_signal(signal: Signal) -> ExitStatus {
    ExitStatus::from_raw(signal as i32)
}

/// What a slave holds of a worker. It is killed when this is dropped, like a child process.
#[derive(Debug)]
pub(super) struct SimulatedBody {
    /// Its life.
    pub vitals: Arc<Vitals>,
    /// Takes receipts.
    pub receipts: mpsc::UnboundedSender<()>,
}

impl SimulatedBody {
    fn end(&self) -> BodyFuture<'static, ExitStatus> {
        let mut ended = self.vitals.ended.subscribe();
        Box::pin(async move {
            let status = ended.wait_for(Option::is_some).await.ok().and_then(|ended| *ended);
            match status {
                Some(status) => status,
                None => std::future::pending().await,
            }
        })
    }
}

impl Drop for SimulatedBody {
    fn drop(&mut self) {
        self.vitals.kill();
    }
}

impl Body for SimulatedBody {
    fn pid(&self) -> Option<u32> {
        Some(self.vitals.process.0)
    }

    fn death(&self) -> BodyFuture<'_, io::Result<()>> {
        let end = self.end();
        Box::pin(async move {
            end.await;
            Ok(())
        })
    }

    fn acknowledge(&self) -> io::Result<()> {
        // A worker that has ended needs no receipt.
        let _ = self.receipts.send(());
        Ok(())
    }

    fn terminate(&self) {
        self.vitals.trace.say(format!("worker {} is told to hurry", self.vitals.process.0));
    }

    fn kill(&self) {
        self.vitals.kill();
    }

    fn reaped(&mut self) -> BodyFuture<'_, io::Result<ExitStatus>> {
        let end = self.end();
        Box::pin(async move { Ok(end.await) })
    }
}
