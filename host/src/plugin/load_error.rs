//! Why a plugin could not be loaded, in words for the user who named it.

use std::path::PathBuf;

/// Why a plugin could not be found or loaded. Every message is one line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A name that is in none of the directories.
    #[error("no plugin `{name}`: looked for {file} in {}{}", listed(searched), available_text(available))]
    UnknownName {
        /// What was asked for.
        name: String,
        /// The file that would have that name.
        file: String,
        /// The directories, in the order in which they were searched.
        searched: Vec<PathBuf>,
        /// The names that are in these directories.
        available: Vec<String>,
    },
    /// A path where there is nothing.
    #[error("there is no file {}", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The path of a directory.
    #[error("{} is a directory, not a plugin", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// A file that cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file that is not a library.
    #[error("{} is not a shared library: it is {what}", path.display())]
    NotALibrary {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// A library whose end is missing.
    #[error("{} is truncated: it has {bytes} bytes and should have at least {needed}", path.display())]
    Truncated {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The length that its headers ask for.
        needed: u64,
    },
    /// A library for another kind of machine.
    #[error("{} is for {theirs}, but this machine is {ours}", path.display())]
    OtherMachine {
        /// The path.
        path: PathBuf,
        /// What it was built for.
        theirs: String,
        /// The machine that we run on.
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
    /// A library with neither of the two doors.
    #[error(
        "{} is not a SimpleGrid plugin: it has neither a root module (is `export!` missing?) \
         nor the symbol `simplegrid_plugin_v1`",
        path.display()
    )]
    NotAPlugin {
        /// The path.
        path: PathBuf,
    },
    /// A plugin whose table this host does not understand.
    #[error(
        "{} was built against simplegrid-plugin-api {theirs}, which this host ({ours}) cannot load: \
         {first_difference}",
        path.display()
    )]
    OtherAbi {
        /// The path.
        path: PathBuf,
        /// The version that it was built against, if it says.
        theirs: String,
        /// The version of this host.
        ours: &'static str,
        /// Where the tables differ.
        first_difference: String,
    },
    /// Another file stands where the library was, which must be loaded by its name.
    #[error(
        "{} was replaced since the start, and can only be loaded by its name, because it finds other libraries \
         beside itself ($ORIGIN): start again to use the new file",
        path.display()
    )]
    Replaced {
        /// The path.
        path: PathBuf,
    },
    /// The file of the library was written into.
    #[error(
        "{} was overwritten since the start: start again to use what is in it now; a new version must be written \
         to a file of its own and renamed over the old one, never copied into it",
        path.display()
    )]
    Overwritten {
        /// The path.
        path: PathBuf,
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
    format!("; known plugins: {}", names.join(", "))
}
