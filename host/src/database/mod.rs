//! Databases on servers: how one is named, and how a connection to it is made, with its TLS and its
//! credentials.
//!
//! It knows neither tables nor statements: those belong to the registry and to the sinks, which both connect
//! through here. A SQLite file is no server and has no part in this.

mod address_error;
mod connection_settings;
mod database_error;
pub(crate) mod mysql;
pub(crate) mod percent;
pub(crate) mod postgres;
mod server;
mod tls;

use std::time::Duration;

pub(crate) use address_error::AddressError;
pub use database_error::{DatabaseError, Trouble};
pub use server::Server;
pub(crate) use server::ServerKind;

/// How long a connection may take to be made, names and handshakes included.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The name of whoever runs this process: who connects if nobody is named, as with the servers' own clients.
fn current_user() -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??;
    Some(user.name)
}
