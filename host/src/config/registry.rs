//! From the settings to the registry's address, its password included.

use std::path::Path;

use super::{ConfigError, Pair, manager_args};
use crate::exit_code::UsageError;
use crate::registry::RegistryUrl;

/// The registry that the settings name. Perl's `username` and `password` count where the address has none, and the
/// file with a password where nobody says one.
///
/// # Errors
/// If the address is none, or the file cannot be read: the user's errors.
pub fn registry_url(
    address: &str,
    is_default: bool,
    manager_args: &[Pair],
    password_file: Option<&Path>,
) -> anyhow::Result<RegistryUrl> {
    let value = |name| manager_args::value(manager_args, name).map(str::to_owned);
    let mut url = address.parse::<RegistryUrl>().map_err(UsageError::mark)?;
    if let RegistryUrl::Sqlite { creates_directory, .. } = &mut url {
        // A directory that the user has named, and that is not there, is probably a typing error.
        *creates_directory = is_default;
    }
    let url = url.with_credentials(value("username"), value("password"));
    match (&url, password_file) {
        (RegistryUrl::Server(server), Some(file)) if server.password.is_none() => {
            let password = password_in(file).map_err(UsageError::mark)?;
            Ok(url.with_credentials(None, Some(password)))
        }
        _ => Ok(url),
    }
}

/// The first line of a file. Its end is no part of the password, whatever editor has written it.
fn password_in(file: &Path) -> Result<String, ConfigError> {
    let cannot = |reason: String| ConfigError::NoPassword { path: file.to_owned(), reason };
    let text = std::fs::read_to_string(file).map_err(|error| cannot(error.to_string()))?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        Err(cannot("its first line is empty".to_owned()))
    } else {
        Ok(password.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(address: &str, args: &[(&str, &str)], file: Option<&str>) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, file.unwrap_or_default()).unwrap();
        let args: Vec<Pair> = args.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        match registry_url(address, false, &args, file.map(|_| path.as_path())).unwrap() {
            RegistryUrl::Server(server) => server.password,
            RegistryUrl::Sqlite { .. } => None,
        }
    }

    #[test]
    fn the_password_comes_from_the_url_or_the_argument_or_the_file() {
        let args = [("password", "argument")];
        assert_eq!(password("mysql://u:url@h/d", &args, Some("file\n")).as_deref(), Some("url"));
        assert_eq!(password("mysql://u@h/d", &args, Some("file\n")).as_deref(), Some("argument"));
        assert_eq!(password("mysql://u@h/d", &[], Some("f le \r\nmore\n")).as_deref(), Some("f le "));
        assert_eq!(password("mysql://u@h/d", &[], None), None);
        // A file of SQLite needs none, so nothing is read.
        assert_eq!(password("sqlite:x", &[], Some("")), None);
    }

    #[test]
    fn a_file_without_a_password_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        let words = || registry_url("mysql://h/d", false, &[], Some(&path)).unwrap_err().to_string();
        assert!(words().contains(&path.display().to_string()), "{}", words());
        std::fs::write(&path, "\nhunter2\n").unwrap();
        assert!(words().contains("first line is empty") && !words().contains("hunter2"), "{}", words());
    }
}
