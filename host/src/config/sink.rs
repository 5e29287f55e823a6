//! From the settings to the address of a sink, including its password.

use super::error::ConfigError;
use super::first_line::password_in;
use crate::cli::SinkFlags;
use crate::sink::SinkUrl;

/// The sink that the settings name. The file with a password counts if the address needs a password and has
/// none.
///
/// # Errors
/// If the address is invalid, or the file cannot be read.
pub(super) fn choose(flags: SinkFlags) -> Result<Option<SinkUrl>, ConfigError> {
    let Some(address) = flags.sink else { return Ok(None) };
    let url: SinkUrl = address.parse().map_err(ConfigError::Sink)?;
    match flags.sink_password_file.filter(|_| url.wants_password()) {
        Some(path) => Ok(Some(url.with_password(&password_in(&path)?))),
        None => Ok(Some(url)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(address: &str, file: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, file).unwrap();
        let flags = SinkFlags { sink: Some(address.to_owned()), sink_password_file: Some(path) };
        match choose(flags).unwrap().unwrap() {
            SinkUrl::Server { server, .. } => server.password,
            _ => None,
        }
    }

    #[test]
    fn the_password_comes_from_the_url_or_from_the_file() {
        assert_eq!(password("mysql://u:url@h/d?table=t", "file\n").as_deref(), Some("url"));
        assert_eq!(password("mysql://u@h/d?table=t", "file\nmore\n").as_deref(), Some("file"));
        // For a sink that needs no password, no file is read.
        assert_eq!(password("csv:rows", ""), None);
    }
}
