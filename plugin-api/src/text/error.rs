//! What can be wrong when a text becomes a value, or a value a text.

use std::fmt;

use serde::{de, ser};

/// Why a text is not the value that a type expects, or why a value cannot be a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TextError {
    /// A field that has no default was not given. This is a variant of its own because a schema finds out
    /// from it which fields are optional.
    Missing(&'static str),
    /// There are fewer values than the type has members, in serde's words. A variant of its own because those
    /// who know what the values are have better words.
    TooFew(String),
    /// Anything else, in words.
    Other(String),
}

impl TextError {
    /// An error in words.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self::Other(message.to_string())
    }

    /// The error with its place in front.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        Self::Other(format!("{place}: {self}"))
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "`{name}` is missing"),
            Self::TooFew(message) | Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for TextError {}

impl de::Error for TextError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }

    fn invalid_length(len: usize, expected: &dyn de::Expected) -> Self {
        Self::TooFew(format!("invalid length {len}, expected {expected}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

impl ser::Error for TextError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }
}
