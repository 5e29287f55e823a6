//! Commands that a worker starts, talks to and ends, for plugins whose tasks are other programs.
//!
//! `program` finds a command, `environment` and `launch` start it, `household` owns it and all that it leaves
//! behind, `conversation` talks to it, `lines` cuts what it writes, and `last_words` keeps what it says on
//! its standard error.

mod conversation;
mod environment;
mod household;
mod last_words;
mod launch;
mod lines;
mod program;

pub use conversation::{Conversation, Heard, Listener, Patience, Step, Then};
pub use environment::Environment;
pub use household::{Child, End, Household, Look, Streams};
pub use last_words::LastWords;
pub use launch::Launcher;
pub use lines::Lines;
pub use program::find;
