//! What a plugin said when a call into it failed.

use simplegrid_plugin_api::Status;

/// A failed call: what to do about it, and why it failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// Never `Ok` or `Held`.
    pub status: Status,
    /// Why it failed, in the plugin's own words.
    pub message: String,
}

impl CallError {
    /// A failure that the host noticed itself, without asking the plugin.
    pub(super) fn fatal(message: impl Into<String>) -> Self {
        Self { status: Status::Fatal, message: message.into() }
    }
}
