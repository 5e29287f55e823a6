//! A worker: the process that loads a plugin and runs one task, and how it is started.
//!
//! The parent's side is [`WorkerProcess`]. The child's side ([`run`]) is blocking, has no async runtime and
//! knows neither slaves nor masters: items come in over its standard input, outcomes and rows go into the
//! scoreboard.

mod body;
mod child;
mod child_process;
mod desk;
mod error;
mod hatchery;
mod held;
mod key_loop;
mod label;
mod launch;
mod limits;
mod log_line;
mod process;
mod row_text;
mod serve_loop;
mod start_step;
mod watchdog;
mod window;

#[cfg(any(test, feature = "simulation"))]
pub(crate) use body::{Body, BodyFuture, Hatched};
pub(crate) use child::run;
pub(crate) use hatchery::Hatchery;
pub(crate) use label::WorkerLabel;
pub(crate) use launch::{Launch, open_library};
pub(crate) use process::{LaunchError, ProcessHandle, WorkerProcess, probe};
