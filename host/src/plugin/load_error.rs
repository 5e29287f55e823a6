//! Why a plugin could not be loaded, in words for whoever named it on the command line.

use std::path::PathBuf;

/// Why a plugin could not be found or loaded. Every message is one line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A name that no directory has.
    #[error("no plugin `{name}`: looked for {file} in {}{}", listed(searched), available_text(available))]
    UnknownName {
        /// What was asked for.
        name: String,
        /// The file that it would be in.
        file: String,
        /// The directories, in the order in which they were searched.
        searched: Vec<PathBuf>,
        /// The names that these directories do have.
        available: Vec<String>,
    },
    /// A path where nothing is.
    #[error("no file {}", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A path where a directory is.
    #[error("{} is a directory, not a plugin", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is no library.
    #[error("{} is not a shared library: it is {what}", path.display())]
    NotALibrary {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// A library of which the end is missing.
    #[error("{} is truncated: it has {bytes} bytes and should have at least {needed}", path.display())]
    Truncated {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The length that its headers speak of.
        needed: u64,
    },
    /// A library for other machines.
    #[error("{} is for {theirs}, but this machine is {ours}", path.display())]
    OtherMachine {
        /// The path.
        path: PathBuf,
        /// What it was built for.
        theirs: String,
        /// What we run on.
        ours: &'static str,
    },
    /// The dynamic linker refused it.
    #[error("cannot load {}: {cause}", path.display())]
    Linker {
        /// The path.
        path: PathBuf,
        /// What it said.
        cause: String,
    },
    /// A library without either door.
    #[error(
        "{} is not a SimpleGrid plugin: it has neither a root module (does it say `export!`?) \
         nor `simplegrid_plugin_v1`",
        path.display()
    )]
    NotAPlugin {
        /// The path.
        path: PathBuf,
    },
    /// A plugin with a table that this host does not understand.
    #[error(
        "{} was built against simplegrid-plugin-api {theirs}, which this host ({ours}) cannot load: \
         {first_difference}",
        path.display()
    )]
    OtherAbi {
        /// The path.
        path: PathBuf,
        /// The version it was built against, as far as it says.
        theirs: String,
        /// The version of this host.
        ours: &'static str,
        /// Where the tables differ.
        first_difference: String,
    },
    /// A plugin that failed to describe itself.
    #[error("{} has a bad manifest: {cause}", path.display())]
    BadManifest {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

fn available_text(names: &[String]) -> String {
    if names.is_empty() {
        return " (give a path, or set SIMPLEGRID_TASK_PATH)".into();
    }
    format!("; there are: {}", names.join(", "))
}
