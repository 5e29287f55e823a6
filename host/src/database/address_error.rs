//! What can be wrong with the name of a database, in words that say how it is written.

use super::server_kind::ServerKind;

/// Why a text does not name a database on a server. No text repeats what may be a password.
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
    #[error("the {kind} URL has `{value}` for its {part}, which is none")]
    Bad {
        /// The kind of server.
        kind: ServerKind,
        /// Which part.
        part: &'static str,
        /// What stands there.
        value: String,
    },
    /// It has a setting that means nothing here.
    #[error("there is no setting `{name}` for a {kind} URL; there are {}", known.join(", "))]
    UnknownSetting {
        /// The kind of server.
        kind: ServerKind,
        /// The setting.
        name: String,
        /// All settings that there are.
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
        /// What may stand there.
        expected: &'static str,
    },
    /// A certificate is to be checked, but nobody says who may have signed it.
    #[error(
        "the {kind} URL asks for a certificate to be verified and does not say by whom it must be signed; add \
         `{setting}=FILE`, a file of certificates in PEM form"
    )]
    NoAuthority {
        /// The kind of server.
        kind: ServerKind,
        /// The setting that is missing.
        setting: &'static str,
    },
}
