//! What can be wrong with the name of a database, in words that say how to write it.

use super::server_kind::ServerKind;

/// Why a text does not name a database on a server. No message repeats what could be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It lacks a part.
    #[error("the {kind} URL names no {part}; write `{}`", kind.example())]
    Missing {
        /// The kind of server.
        kind: ServerKind,
        /// Which part.
        part: &'static str,
    },
    /// A part of it cannot be read.
    #[error("the {kind} URL has an invalid {part}: `{value}`")]
    Bad {
        /// The kind of server.
        kind: ServerKind,
        /// Which part.
        part: &'static str,
        /// What stands there.
        value: String,
    },
    /// It has a setting that has no meaning here.
    #[error("a {kind} URL has no setting `{name}`; it can have {}", known.join(", "))]
    UnknownSetting {
        /// The kind of server.
        kind: ServerKind,
        /// The setting.
        name: String,
        /// All settings that it can have.
        known: Vec<&'static str>,
    },
    /// A setting has a value that it cannot have.
    #[error("the {kind} URL has `{value}` for `{name}`; it can be {expected}")]
    BadSetting {
        /// The kind of server.
        kind: ServerKind,
        /// The setting.
        name: String,
        /// What stands there.
        value: String,
        /// What can stand there.
        expected: &'static str,
    },
    /// A certificate is to be verified, but no authority is named.
    #[error(
        "the {kind} URL asks for a verified certificate, but names no authority that can sign it; add \
         `{setting}=FILE`, a file of certificates in PEM form"
    )]
    NoAuthority {
        /// The kind of server.
        kind: ServerKind,
        /// The setting that is missing.
        setting: &'static str,
    },
}
