//! Plugins: finding a library, loading it, and calling what is in it.
//!
//! Workers load a plugin, to run its task or its partitioner; neither slaves nor masters do. Nothing here
//! knows batches, sockets or runs. A plugin has one of two doors, which lead to the same table
//! (`simplegrid_plugin_api::abi`): the root module of a Rust plugin or the symbol `simplegrid_plugin_v1` of
//! any other.
//!
//! **Invariant:** a library is never unloaded. Its threads, its thread-locals and what it registered would
//! dangle; a new version of it needs a new process.

mod call_error;
mod cells;
mod elf;
mod find;
mod library_file;
mod load_error;
mod loaded_plugin;
mod manifest;
mod row_format;
mod task_host;
mod task_output;

pub(crate) use call_error::CallError;
pub use cells::Cells;
pub(crate) use find::{all, find};
pub(crate) use library_file::{LibraryFile, LibraryId};
pub(crate) use load_error::LoadError;
pub use loaded_plugin::LoadedPlugin;
pub(crate) use loaded_plugin::{LoadedPartitioner, LoadedTask};
pub use manifest::OutputKind;
pub(crate) use manifest::{Argument, Column, Kind, Manifest, TaskManifest};
pub use row_format::RowFormat;
pub(crate) use row_format::{escape_tsv, quote_csv, write_csv};
pub(crate) use simplegrid_plugin_api::Status;
pub(crate) use simplegrid_plugin_api::abi::Bytes;
pub(crate) use simplegrid_plugin_api::fields::Splitter;
pub use task_host::TaskHost;
pub use task_output::TaskOutput;
