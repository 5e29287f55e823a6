//! The kinds of database servers. It owns their names, and knows no address.

use std::fmt;

/// The kinds of servers that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
}

impl ServerKind {
    /// The shortest URL of that kind.
    pub fn example(self) -> &'static str {
        match self {
            Self::Postgres => "postgres://HOST/DATABASE",
            Self::Mysql => "mysql://HOST/DATABASE",
        }
    }

    /// How its URLs begin.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
        })
    }
}
