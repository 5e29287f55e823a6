//! The first line of a file, as an address or a password.

use std::path::Path;

use super::error::ConfigError;

/// The text itself, or for `@FILE` the first line of that file: Net::SimpleGrid kept the address of its
/// server in a file.
pub(super) fn text_or_file(text: &str) -> Result<String, ConfigError> {
    let Some(file) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let cannot = |reason| ConfigError::NoAddress { path: file.into(), reason };
    let line = first_line_of(Path::new(file)).map_err(cannot)?;
    Ok(line.trim().to_owned())
}

/// The first line of a file, which must not be empty, without its line ending of either kind.
fn first_line_of(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err("its first line is empty".to_owned()),
    }
}

/// The password in a file.
pub(super) fn password_in(file: &Path) -> Result<String, ConfigError> {
    first_line_of(file).map_err(|reason| ConfigError::NoPassword { path: file.to_owned(), reason })
}
