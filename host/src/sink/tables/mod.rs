//! Tables of databases, in which each record's rows are exactly once. PostgreSQL and MySQL are dialects of
//! one skeleton (`server_table`); SQLite has a course of its own.

mod bisection;
mod dialect;
mod mysql;
mod postgres;
mod server_table;
mod sqlite;
mod table_shape;

use mysql::MysqlTableConnection;
use postgres::PostgresTableConnection;
use server_table::ServerTable;

pub(super) use sqlite::SqliteTable;

/// A table in a PostgreSQL database.
pub(super) type PostgresTable = ServerTable<PostgresTableConnection>;

/// A table in a MySQL or MariaDB database.
pub(super) type MysqlTable = ServerTable<MysqlTableConnection>;
