//! What can be wrong with a command line, an environment or a configuration file.

use std::io;
use std::path::PathBuf;

use crate::sink::{DestinationError, SinkUrlError};

/// Why the program does not know what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// clap's own message, which is also how help and version are printed.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// Everything else.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A setting that cannot be used. The text says where it stands and what would do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{} is not valid TOML: {reason}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// The parser's message, with the line.
        reason: String,
    },
    /// The configuration file has a key that means nothing.
    #[error("{} has an unknown key `{key}`{}; {known}", path.display(), in_section(section))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The section it stands in, if any.
        section: Option<String>,
        /// The key.
        key: String,
        /// The keys that it might have been, as a sentence.
        known: String,
    },
    /// A key of the configuration file has a value of the wrong kind.
    #[error("{} has a wrong value for `{key}`{}: it must be {expected}", path.display(), in_section(section))]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// The section it stands in, if any.
        section: Option<String>,
        /// The key.
        key: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A value that its flag would not accept either.
    #[error("cannot use {place}: {reason}")]
    WrongValue {
        /// The variable, or the file and key.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A variable whose bytes are not UTF-8.
    #[error("the environment variable {variable} is not valid UTF-8")]
    NotUtf8 {
        /// The variable's name.
        variable: String,
    },
    /// The file with an address has none, or cannot be read.
    #[error("cannot take an address from {}: {reason}", path.display())]
    NoAddress {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A server is named, and the registry has none.
    #[error(
        "--registry-server names a server, but the registry is a file: name a database with --registry, too"
    )]
    NoServer,
    /// The server's address is none.
    #[error("`{text}` is no server; write HOST or HOST:PORT, or @FILE for a file that says so")]
    WrongServer {
        /// What was said.
        text: String,
    },
    /// The file with the password has none, or cannot be read.
    #[error("cannot take a password from {}: {reason}", path.display())]
    NoPassword {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// There is no registry and no place for the default one.
    #[error(
        "no registry is known, because neither XDG_STATE_HOME nor HOME is set; name one with --registry URL"
    )]
    NoRegistry,
    /// `--max-reserve 0`.
    #[error(
        "a master that may reserve no slave cannot run: --max-reserve must be positive, or negative for all slaves"
    )]
    ReservesNothing,
    /// A file that the run would write cannot be created.
    #[error("cannot write --{flag} {}: {reason}", path.display())]
    NoPlaceForOutput {
        /// The flag, without dashes.
        flag: &'static str,
        /// Its file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A run cannot have the journal that was asked for.
    #[error("cannot keep --journal {}: {reason}", path.display())]
    NoJournal {
        /// The journal.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Two flags name one file.
    #[error("--{first} and --{second} are both {}: the one would overwrite the other", path.display())]
    SameFile {
        /// A flag, without dashes.
        first: &'static str,
        /// Another.
        second: &'static str,
        /// The file of both.
        path: PathBuf,
    },
    /// An input is not there.
    #[error("cannot read the input {}", path.display())]
    NoInput {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A scheduler by a name that is none.
    #[error("there is no scheduler `{name}`; there are round-robin and partitioned")]
    UnknownScheduler {
        /// The name, from a manager argument.
        name: String,
    },
    /// `--scheduler round-robin` with `--partition-by`.
    #[error("--partition-by {partition_by} needs --scheduler partitioned, not round-robin")]
    PartitionedRoundRobin {
        /// The partitioner asked for.
        partition_by: String,
    },
    /// A partitioner that is neither built in nor the name of a library.
    #[error(
        "--partition-by {partition_by} names no key; write field:N (the first field is field:0), whole-record, or FILE[:NAME]"
    )]
    WrongPartition {
        /// The text given.
        partition_by: String,
    },
    /// An output is also an input.
    #[error("--{flag} would empty {} before it is read: it is also an input", input.display())]
    WritesItsInput {
        /// The flag, without dashes.
        flag: &'static str,
        /// The input.
        input: PathBuf,
    },
    /// A harvest that can go nowhere.
    #[error("cannot harvest: {0}")]
    Harvest(DestinationError),
    /// A sink that is none.
    #[error("cannot use --sink: {0}")]
    Sink(SinkUrlError),
    /// A verb for all nodes with the name of one node.
    #[error("`list` and `prune` are about every node: leave out --{flag}")]
    ListOfOne {
        /// The flag, without dashes.
        flag: &'static str,
    },
}

fn in_section(section: &Option<String>) -> String {
    section.as_ref().map_or_else(String::new, |section| format!(" in [{section}]"))
}
