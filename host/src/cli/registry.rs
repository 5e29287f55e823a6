//! The flags that say where the registry is, for everything that reads or writes it.

use std::path::PathBuf;

use clap::Args;

use super::value::{self, Pair};

// The flags are global for the node manager, which takes them before and after its verb; the other commands
// have nothing below them.
/// Where the registry is.
#[derive(Debug, Args)]
pub(crate) struct RegistryFlags {
    /// Uses this registry, in which slaves offer themselves and masters find them: a SQLite file,
    /// postgres://HOST/DATABASE or mysql://HOST/DATABASE. Without it, a file of this user on this machine.
    #[arg(long, value_name = "URL", global = true)]
    pub registry: Option<String>,

    /// Sets dsn, username, password or domain, as in Net::SimpleGrid. A master also takes scheduler, and a
    /// slave's task takes any argument that it knows. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = value::pair, global = true)]
    pub manager_arg: Vec<Pair>,

    /// Connects to the registry's server at this host (and port), whatever the registry's address says;
    /// `@FILE` reads them from the first line of a file.
    #[arg(long, value_name = "HOST[:PORT]|@FILE", global = true)]
    pub registry_server: Option<String>,

    /// Reads the password for the registry's server from the first line of this file.
    #[arg(long, value_name = "FILE", global = true)]
    pub password_file: Option<PathBuf>,
}
