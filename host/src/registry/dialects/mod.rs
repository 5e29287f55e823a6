//! What differs between the databases: how a session is opened and set up, how values travel, and how the
//! catalogue is read. No file here knows what is in the tables.

pub(super) mod mysql;
pub(super) mod postgres;
pub(super) mod server_session;
pub(super) mod sqlite;
pub(super) mod sqlite_error;
mod sqlite_files;
