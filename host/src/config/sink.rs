//! From the settings to a sink's address.

use std::fs;

use super::ConfigError;
use crate::cli::SinkFlags;
use crate::sink::SinkUrl;

/// The sink that the settings name, with its password.
///
/// # Errors
/// If the address is none, or the file with the password cannot be read.
pub fn choose(flags: SinkFlags) -> Result<Option<SinkUrl>, ConfigError> {
    let Some(address) = flags.sink else { return Ok(None) };
    let url: SinkUrl = address.parse().map_err(ConfigError::Sink)?;
    let Some(path) = flags.sink_password_file else { return Ok(Some(url)) };
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(url.with_password(text.lines().next().unwrap_or_default()))),
        Err(source) => Err(ConfigError::SinkPassword { path, source }),
    }
}
