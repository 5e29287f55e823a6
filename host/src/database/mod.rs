//! Databases on servers: how one is named, and how a connection to it is made, with TLS and credentials.
//!
//! It knows neither tables nor statements: those belong to the registry and the sinks, which both connect
//! through here. SQLite files have no server, and no part in this.

mod address_error;
mod connection_settings;
mod database_error;
pub(crate) mod mysql;
pub(crate) mod percent;
pub(crate) mod postgres;
mod server;
mod server_kind;
mod tls;

pub(crate) use address_error::AddressError;
pub use database_error::{DatabaseError, Trouble};
pub use server::Server;
pub(crate) use server_kind::ServerKind;
