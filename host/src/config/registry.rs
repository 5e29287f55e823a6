//! From the settings to the registry's address.

use super::{Pair, manager_args};
use crate::exit_code::UsageError;
use crate::registry::RegistryUrl;

/// The registry that the settings name; Perl's `username` and `password` count where the address has none.
///
/// # Errors
/// If the address is none: the user's error.
pub fn registry_url(address: &str, is_default: bool, manager_args: &[Pair]) -> anyhow::Result<RegistryUrl> {
    let value = |name| manager_args::value(manager_args, name).map(str::to_owned);
    let mut url = address.parse::<RegistryUrl>().map_err(UsageError::mark)?;
    if let RegistryUrl::Sqlite { creates_directory, .. } = &mut url {
        // A directory that the user has named, and that is not there, is probably a typing error.
        *creates_directory = is_default;
    }
    Ok(url.with_credentials(value("username"), value("password")))
}
