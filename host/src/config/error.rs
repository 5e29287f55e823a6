//! What can be wrong with a command line, an environment or a configuration file.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use crate::registry::RegistryUrl;
use crate::sink::{DestinationError, SinkUrlError};

/// Why the command line could not be turned into settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvocationError {
    /// clap's own message, which is also how help and version are printed.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// Everything else.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A setting that cannot be used. The text says where it is and what would be accepted.
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
    /// The configuration file has an unknown key.
    #[error("{} has an unknown key `{key}`{}; {known}", path.display(), in_section(section))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The section that it is in, if any.
        section: Option<String>,
        /// The key.
        key: String,
        /// The keys that may have been meant, as a sentence.
        known: String,
    },
    /// A key of the configuration file has a value of the wrong kind.
    #[error("{} has an invalid value for `{key}`{}: it must be {expected}", path.display(), in_section(section))]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// The section that it is in, if any.
        section: Option<String>,
        /// The key.
        key: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A value that its flag would not accept on the command line either.
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
    /// The file that should contain an address has none, or cannot be read.
    #[error("cannot read an address from {}: {reason}", path.display())]
    NoAddress {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An address of the registry that is invalid.
    #[error(transparent)]
    Registry(<RegistryUrl as FromStr>::Err),
    /// A server is named, but the registry is a file.
    #[error(
        "--registry-server names a server, but the registry is a file: also name a database with --registry"
    )]
    NoServer,
    /// The address of the server is invalid.
    #[error(
        "`{text}` is not the address of a server; write HOST or HOST:PORT, or @FILE for a file that contains one"
    )]
    WrongServer {
        /// The text given.
        text: String,
    },
    /// The file that should contain a password has none, or cannot be read.
    #[error("cannot read a password from {}: {reason}", path.display())]
    NoPassword {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No registry is named, and there is no place for the default one.
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
        /// Why not.
        reason: String,
    },
    /// A run cannot keep the journal that was asked for.
    #[error("cannot keep --journal {}: {reason}", path.display())]
    NoJournal {
        /// The journal.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An input cannot be read.
    #[error("cannot read the input {}", path.display())]
    NoInput {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A scheduler that does not exist.
    #[error("there is no scheduler `{name}`; use round-robin or partitioned")]
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
    /// A partition key that is neither built in nor the name of a library.
    #[error(
        "--partition-by {partition_by} is not a partition key; write field:N (the first field is field:0), whole-record, or FILE[:NAME]"
    )]
    WrongPartition {
        /// The text given.
        partition_by: String,
    },
    /// A harvest whose destination is invalid.
    #[error("cannot harvest: {0}")]
    Harvest(DestinationError),
    /// A sink whose address is invalid.
    #[error("cannot use --sink: {0}")]
    Sink(SinkUrlError),
    /// A verb that concerns all nodes, with the name of one node.
    #[error("`list`, `prune` and `reload --all` are about every node: leave out --{flag}")]
    ListOfOne {
        /// The flag, without dashes.
        flag: &'static str,
    },
}

fn in_section(section: &Option<String>) -> String {
    section.as_ref().map_or_else(String::new, |section| format!(" in [{section}]"))
}
