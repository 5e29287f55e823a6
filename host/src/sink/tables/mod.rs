//! Tables of databases, in which each record's rows are exactly once: SQLite, PostgreSQL and MySQL.

mod bisection;
mod dialect;
pub(super) mod mysql;
pub(super) mod postgres;
pub(super) mod server_table;
pub(super) mod sqlite;
mod table_shape;
