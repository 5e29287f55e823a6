//! What the user may type: clap types, their help texts, and nothing else. Defaults are in
//! `default-config.toml`, and `config` decides what flags mean together.
//!
//! **Invariant:** clap appears in this module and in `config`, and nowhere else.

mod build_flags;
mod command_line;
mod master;
mod node_manager;
mod registry;
mod run;
mod sink;
mod slave;
mod spelling;
mod task;
mod task_flags;
mod value;
mod worker;
mod worker_limits;

pub(crate) use command_line::{Cli, CliCommand, command};
pub(crate) use master::MasterArgs;
pub(crate) use node_manager::{NodeManagerArgs, NodeVerb};
pub(crate) use registry::RegistryFlags;
pub(crate) use run::{RunArgs, RunFlags};
pub(crate) use sink::SinkFlags;
pub(crate) use slave::SlaveArgs;
pub(crate) use spelling::suggest_shown_names;
pub(crate) use task::{LoadingFlags, TaskArgs, TaskLanguage, TaskVerb};
pub(crate) use value::{InputCompression, InputFormat, OutputFormat, Pair, Progress, Scheduler};
pub(crate) use worker_limits::WorkerLimitFlags;
