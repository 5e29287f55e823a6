//! What a slave asks of a worker beside frames and scoreboard, whatever the worker is made of.

use std::pin::Pin;
use std::process::ExitStatus;
use std::{fmt, io};

use crate::owned_task::OwnedTask;
use crate::scoreboard::BoardReader;
use crate::wire::{ReadEnd, WriteEnd};

/// What takes its time.
pub(crate) type BodyFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A worker that has just come to be, and the ways to it.
#[derive(Debug)]
pub(crate) struct Hatched {
    /// What it says.
    pub read: ReadEnd,
    /// What it is told.
    pub write: WriteEnd,
    /// What it has done.
    pub board: BoardReader,
    /// The worker itself.
    pub body: Box<dyn Body>,
    /// Logs what it prints.
    pub log: Option<OwnedTask<()>>,
}

/// What a worker is made of.
pub(crate) trait Body: fmt::Debug + Send + Sync {
    /// Its number, for people; `None` once it was reaped.
    fn pid(&self) -> Option<u32>;

    /// Waits until it is dead, and does not reap it. Cancel safe.
    fn death(&self) -> BodyFuture<'_, io::Result<()>>;

    /// Says that a part of its item was read.
    ///
    /// # Errors
    /// Those of the system. A worker that is gone is none.
    fn acknowledge(&self) -> io::Result<()>;

    /// Tells its task to hurry.
    fn terminate(&self);

    /// Kills it, and what it has started, as far as they still exist.
    fn kill(&self);

    /// Waits until it has ended, and reaps it. Cancel safe.
    fn reaped(&mut self) -> BodyFuture<'_, io::Result<ExitStatus>>;
}
