//! Commands that a worker starts, talks to and ends, for plugins whose tasks are other programs.
//!
//! `program` finds a command, `environment` and `launch` start it, `household` owns it and all that it leaves
//! behind, `lines` cuts what it writes, and `last_words` keeps what it says on its standard error.

mod environment;
mod household;
mod last_words;
mod launch;
mod lines;
mod program;

pub use environment::Environment;
pub use household::{Child, End, Household, Streams, wait_for, watched};
pub use last_words::LastWords;
pub use launch::Launcher;
pub use lines::Lines;
pub use program::find;
