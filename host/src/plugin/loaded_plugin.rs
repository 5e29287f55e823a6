//! The calls into a plugin's table: all unsafe code of the host that concerns plugins, except its
//! [cells](super::cells).
//!
//! A plugin is native code in our process, and we trust it to keep to the table
//! (`simplegrid_plugin_api::abi`), as any program trusts the libraries that it links. What can be checked is
//! checked: the layout of a Rust plugin, the number and the functions of a C plugin, every status and every
//! text.
#![allow(unsafe_code)]

mod context;
mod doors;
mod partitioner;
mod task;

use std::path::Path;

use simplegrid_plugin_api::Status;
use simplegrid_plugin_api::abi::{self, Bytes, Pair, Plugin};

use super::call_error::CallError;
use super::library_file::LibraryFile;
use super::load_error::LoadError;
use super::manifest::{Manifest, TaskManifest};
use super::task_host::TaskHost;
use crate::build::Build;
use context::{Context, NoTask};

pub(crate) use partitioner::LoadedPartitioner;
pub(crate) use task::LoadedTask;

/// A plugin in this process. It stays loaded until the process ends, even if this is dropped.
#[derive(Debug)]
pub struct LoadedPlugin {
    library: LibraryFile,
    table: Plugin,
    manifest: Manifest,
}

impl LoadedPlugin {
    /// Opens and loads the library at `path`.
    ///
    /// # Errors
    /// If the file is not a plugin that this host can use; the error says why not.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        Self::load(LibraryFile::open(path)?)
    }

    /// Loads a library that is open, which runs the code of its initialisers.
    ///
    /// # Errors
    /// If it is not a plugin that this host can use, or not what it was when it was opened.
    pub(crate) fn load(library: LibraryFile) -> Result<Self, LoadError> {
        let table = doors::open(&library)?;
        // SAFETY: the table is a plugin's, so the function takes nothing and returns text that lives as long
        // as the process.
        let json = unsafe { (table.manifest)().get::<'static>() };
        let manifest = Manifest::parse(json.unwrap_or_default())
            .map_err(|cause| LoadError::BadManifest { path: library.path().to_owned(), cause })?;
        Ok(Self { library, table, manifest })
    }

    /// Which build of the library it is.
    pub(crate) fn build(&self) -> Build {
        Build { manifest: self.manifest.digest(), file: self.library.id().sha256 }
    }

    /// What the plugin says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the plugin says about one task; an empty name means the only one.
    ///
    /// # Errors
    /// If there is no such task; the message lists the tasks that exist.
    pub fn task(&self, name: &str) -> Result<&TaskManifest, CallError> {
        self.manifest.task(name).ok_or_else(|| self.no_task(name))
    }

    /// Does what the task needs once per node, before any worker runs it.
    ///
    /// # Errors
    /// What the task said.
    pub fn prepare(&self, task: &str, args: &[(String, String)]) -> Result<(), CallError> {
        let name = Bytes::of(self.task(task)?.name.as_bytes());
        let pairs = pairs(args);
        let context = Context::new(NoTask::default());
        let host = context.host_table();
        // SAFETY: the name, the arguments (they point into `args`) and the host (it points to `context`)
        // live during the call.
        let code = unsafe { (self.table.prepare)(name, pairs.as_ptr(), pairs.len(), &raw const host) };
        match Status::from_code(code) {
            Status::Ok => Ok(()),
            status => Err(context.failure(Some(status))),
        }
    }

    /// Creates a task. `host` is all that it sees of us, until it is dropped.
    ///
    /// # Errors
    /// What the task said.
    pub fn create<H: TaskHost>(
        &self,
        task: &str,
        args: &[(String, String)],
        host: H,
    ) -> Result<LoadedTask<H>, CallError> {
        let name = Bytes::of(self.task(task)?.name.as_bytes());
        let pairs = pairs(args);
        LoadedTask::create(&self.table, name, &pairs, host)
    }

    /// A partitioner of the plugin; without a name, the only one.
    ///
    /// # Errors
    /// If there is no such partitioner; the message lists the partitioners that exist.
    pub fn partitioner(&self, name: Option<&str>) -> Result<LoadedPartitioner, CallError> {
        // SAFETY: the table is a plugin's, and the name lives during the call.
        let extension = unsafe { (self.table.extension)(Bytes::of(abi::PARTITION_V1)) };
        let name = name.unwrap_or_default();
        // SAFETY: a plugin returns null for this extension, or a pointer to the table of that name,
        // which lives as long as the process.
        let found = unsafe { LoadedPartitioner::find(extension.cast(), name) };
        found.ok_or_else(|| self.no_partitioner(name))
    }

    fn no_task(&self, name: &str) -> CallError {
        let names: Vec<_> = self.manifest.tasks.iter().map(|task| task.name.as_str()).collect();
        CallError::fatal(self.no_such("task", name, &names))
    }

    fn no_partitioner(&self, name: &str) -> CallError {
        let names: Vec<_> = self.manifest.partitioners.iter().map(String::as_str).collect();
        CallError::fatal(self.no_such("partitioner", name, &names))
    }

    fn no_such(&self, what: &str, name: &str, names: &[&str]) -> String {
        let path = self.library.path().display();
        match (names, name) {
            ([], _) => format!("{path} has no {what}s"),
            (names, "") => format!("{path} has several {what}s; name one of: {}", names.join(", ")),
            (names, name) => format!("{path} has no {what} `{name}`; it has: {}", names.join(", ")),
        }
    }
}

/// The arguments in the form that the table asks for. They point into `args`.
fn pairs(args: &[(String, String)]) -> Vec<Pair> {
    let pair = |(key, value): &(String, String)| Pair {
        key: Bytes::of(key.as_bytes()),
        value: Bytes::of(value.as_bytes()),
    };
    args.iter().map(pair).collect()
}

#[cfg(test)]
mod tests;
