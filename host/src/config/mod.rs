//! The settings of the program. The command line wins over the environment, the environment over the user's
//! file, and the file over the defaults. All is checked before a socket opens.
//!
//! The structs here are plain: the commands that use them know nothing of flags, variables or files.
//!
//! **Invariant:** nothing else in the program reads the environment.

mod environment;
mod error;
mod file;
mod first_line;
mod flags;
mod given;
mod invocation;
mod layers;
mod load;
mod manager_args;
mod master;
mod node_manager;
mod output_files;
mod partition;
mod registry;
mod report;
mod run;
mod secrets;
mod sink;
mod slave;
mod source;
mod task;
#[cfg(test)]
mod tests;
mod worker_limits;

pub(crate) use environment::Environment;
pub(crate) use error::InvocationError;
pub(crate) use invocation::{Command, Invocation, LogSettings};
pub(crate) use load::load;
pub(crate) use master::MasterConfig;
pub(crate) use node_manager::NodeManagerConfig;
pub(crate) use run::{LocalRunConfig, RunSettings};
pub(crate) use slave::SlaveConfig;
pub(crate) use task::{CheckTask, Looking, NewTask, TaskCommand};

pub(crate) use crate::cli::{InputCompression, InputFormat, NodeVerb, Pair, Progress, TaskLanguage};
