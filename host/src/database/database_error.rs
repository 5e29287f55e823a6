//! Why a database server did not do what it was asked, in words that say what to do. It translates the
//! servers' codes, and knows no table.

use std::io;

use super::server::Server;

/// A server, and what went wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("the database {server} {trouble}")]
pub struct DatabaseError {
    /// The server, without a password.
    pub server: String,
    /// What went wrong.
    pub trouble: Trouble,
}

/// What can go wrong with a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing answers at that address.
    #[error("cannot be reached: {reason}; check that its server is running, and that this is its address")]
    Unreachable {
        /// In the system's words.
        reason: String,
    },
    /// It has not answered in time.
    #[error("has not answered for {seconds} s")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// It does not accept the user, or not with that password.
    #[error("does not accept this user with {}; check both", if *.with_password { "this password" } else { "no password" })]
    WrongPassword {
        /// Whether there was one.
        with_password: bool,
    },
    /// It does not let the user in, with any password.
    #[error("does not let this user in: {words}")]
    NotLetIn {
        /// In its own words.
        words: String,
    },
    /// The server has no such database, or hides it from this user.
    #[error(
        "does not exist on that server, or this user cannot see it; create it, grant the right, or name another"
    )]
    NoSuchDatabase,
    /// It has no TLS, which the URL asks for.
    #[error("offers no TLS, but its URL asks for it")]
    NoTls,
    /// Its certificate is not good enough, or TLS fails in another way.
    #[error("fails in the TLS handshake: {reason}")]
    Tls {
        /// In the library's words.
        reason: String,
    },
    /// The file of authorities cannot be used.
    #[error("cannot be verified: {reason}")]
    Authorities {
        /// Why not.
        reason: String,
    },
    /// It accepts no connections now.
    #[error("accepts no connection now: {words}")]
    NotNow {
        /// In its own words.
        words: String,
    },
    /// The connection broke.
    #[error("has lost the connection: {reason}")]
    Lost {
        /// In the library's words.
        reason: String,
    },
    /// The user may not do this.
    #[error("does not let this user do this: {words}; grant the right, or use another user")]
    Forbidden {
        /// In its own words.
        words: String,
    },
    /// There is no such table.
    #[error("lacks a table: {words}")]
    NoSuchTable {
        /// In its own words.
        words: String,
    },
    /// Another client was faster: the whole transaction can succeed if it is tried again.
    #[error("could not do it at the same time as others: {words}")]
    Conflict {
        /// In its own words.
        words: String,
    },
    /// Something else, in its own words.
    #[error("failed: {words}")]
    Other {
        /// Its words.
        words: String,
    },
}

impl DatabaseError {
    /// What went wrong with that server.
    pub fn new(server: &Server, trouble: Trouble) -> Self {
        Self { server: server.to_string(), trouble }
    }

    /// Whether the same can succeed later without anyone's help.
    pub fn is_temporary(&self) -> bool {
        match self.trouble {
            Trouble::Unreachable { .. } | Trouble::Silent { .. } | Trouble::NotNow { .. } => true,
            Trouble::Lost { .. } | Trouble::Conflict { .. } | Trouble::NoSuchTable { .. } => true,
            // A server that is being restored or set up can give any of these answers for a while.
            Trouble::WrongPassword { .. } | Trouble::NotLetIn { .. } | Trouble::NoSuchDatabase => true,
            Trouble::NoTls | Trouble::Tls { .. } => true,
            Trouble::Authorities { .. } | Trouble::Forbidden { .. } | Trouble::Other { .. } => false,
        }
    }
}

impl Trouble {
    /// What a code of PostgreSQL means (its manual, appendix A).
    pub(super) fn of_postgres(server: &Server, error: &tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else { return Self::without_an_answer(error) };
        let words = one_line(said.message());
        match said.code().code() {
            "28P01" => Self::WrongPassword { with_password: server.password.is_some() },
            "28000" => Self::NotLetIn { words },
            "3D000" => Self::NoSuchDatabase,
            "42501" => Self::Forbidden { words },
            "42P01" => Self::NoSuchTable { words },
            // Serialization, deadlock, a lock not available in time, a row with the same key, an outdated
            // plan.
            "40001" | "40P01" | "55P03" | "23505" | "0A000" => Self::Conflict { words },
            "53300" | "57P03" => Self::NotNow { words },
            code if code.starts_with("57P0") || code.starts_with("08") || code.starts_with("25P0") => {
                Self::Lost { reason: words }
            }
            _ => Self::Other { words },
        }
    }

    fn without_an_answer(error: &tokio_postgres::Error) -> Self {
        let cause = std::error::Error::source(error);
        let reason = cause.map_or_else(|| error.to_string(), ToString::to_string);
        if reason.contains("does not support TLS") {
            return Self::NoTls;
        }
        match cause.and_then(|cause| cause.downcast_ref::<io::Error>()) {
            Some(io) => Self::of_io(io),
            None if error.is_closed() => Self::Lost { reason },
            // The library itself refuses to go on without a password.
            None if reason.contains("password missing") => Self::WrongPassword { with_password: false },
            None => Self::Other { words: one_line(&reason) },
        }
    }

    /// What a code of MySQL or MariaDB means (`mysqld_error.h`).
    pub(super) fn of_mysql(server: &Server, error: &mysql_async::Error) -> Self {
        use mysql_async::{DriverError, Error, IoError};
        let said = match error {
            Error::Server(said) => said,
            Error::Driver(DriverError::NoClientSslFlagFromServer) => return Self::NoTls,
            Error::Driver(DriverError::ConnectionClosed | DriverError::PacketOutOfOrder) => {
                return Self::Lost { reason: "the connection was closed".to_owned() };
            }
            Error::Io(IoError::Io(io)) => return Self::of_io(io),
            Error::Io(IoError::Tls(tls)) => return Self::Tls { reason: one_line(&tls.to_string()) },
            other => return Self::Other { words: one_line(&other.to_string()) },
        };
        let words = one_line(&said.message);
        match said.code {
            1130 | 1251 | 1698 => Self::NotLetIn { words },
            1045 => Self::WrongPassword { with_password: server.password.is_some() },
            1044 | 1049 => Self::NoSuchDatabase,
            1142 | 1143 | 1227 => Self::Forbidden { words },
            1146 => Self::NoSuchTable { words },
            // Deadlock, a lock not available in time, a row with the same key, a table that is being changed.
            1213 | 1205 | 1062 | 1412 | 1020 | 1060 | 1061 | 1050 => Self::Conflict { words },
            1040 | 1203 | 1226 => Self::NotNow { words },
            1053 | 1077 | 1079 | 1080 | 1152 | 1927 | 4031 => Self::Lost { reason: words },
            _ => Self::Other { words },
        }
    }

    fn of_io(error: &io::Error) -> Self {
        let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        let reason = one_line(&error.to_string());
        match error.kind() {
            _ if is_tls => Self::Tls { reason },
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                Self::Lost { reason }
            }
            _ => Self::Unreachable { reason },
        }
    }
}

/// Each message is one line here, even if the server's has several.
fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
