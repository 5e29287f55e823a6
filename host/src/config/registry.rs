//! From the settings to the address of the registry, including its server and password.

use std::path::PathBuf;

use super::error::ConfigError;
use super::first_line::{password_in, text_or_file};
use super::layers::Settings;
use super::manager_args;
use super::source::Source;
use crate::cli::{Pair, RegistryFlags};
use crate::registry::RegistryUrl;

/// Where the registry is, in the words of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegistryChoice {
    /// Its address: a URL, a DSN of Perl's DBI, or a file that contains one.
    pub(super) address: String,
    /// Whether it is the default, whose directory may have to be created.
    pub(super) is_default: bool,
    server: Option<RegistryServer>,
    username: Option<String>,
    password: Option<String>,
    /// The file with the password for its server, if neither the address nor `password` has it.
    password_file: Option<PathBuf>,
}

/// Where the registry's server is, apart from the address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RegistryServer {
    /// `HOST`, `HOST:PORT`, or a file that contains one.
    text: String,
    /// Whether its source is weaker than that of the address: then it only counts if the address has no
    /// host.
    is_weak: bool,
}

impl RegistryChoice {
    /// Takes `--registry` or the argument `dsn`, whichever has the stronger source; of equal ones,
    /// `--registry`.
    ///
    /// # Errors
    /// If neither is given.
    pub(super) fn new(flags: &RegistryFlags, settings: &Settings) -> Result<Self, ConfigError> {
        let args = &flags.manager_arg;
        let value = |name| manager_args::value(args, name).map(str::to_owned);
        let dsn = value("dsn");
        let is_default = *settings.source("registry") == Source::Default && dsn.is_none();
        let dsn = dsn.filter(|_| manager_args::outranks(settings, "manager-arg", "registry"));
        let key = if dsn.is_some() { "manager-arg" } else { "registry" };
        let is_weak = manager_args::outranks(settings, key, "registry-server");
        Ok(Self {
            address: dsn.or_else(|| flags.registry.clone()).ok_or(ConfigError::NoRegistry)?,
            is_default,
            server: flags.registry_server.clone().map(|text| RegistryServer { text, is_weak }),
            username: value("username"),
            password: value("password"),
            password_file: choose_password_file(flags.password_file.clone(), args, settings),
        })
    }

    /// The URL of the registry. The arguments `username` and `password` count if the address has none, and
    /// the file with the password if neither has one.
    ///
    /// # Errors
    /// If the address is invalid, or a file cannot be read: mistakes of the user.
    pub(crate) fn url(&self) -> Result<RegistryUrl, ConfigError> {
        let address = text_or_file(&self.address)?;
        let mut url = address.parse::<RegistryUrl>().map_err(ConfigError::Registry)?;
        if let Some(server) = &self.server {
            server.set_in(&mut url)?;
        }
        if let RegistryUrl::Sqlite { creates_directory, .. } = &mut url {
            // If a directory that the user has named does not exist, that is probably a typing error.
            *creates_directory = self.is_default;
        }
        let url = url.with_credentials(self.username.clone(), self.password.clone());
        match (&url, &self.password_file) {
            (RegistryUrl::Server(server), Some(file)) if server.password.is_none() => {
                let password = password_in(file)?;
                Ok(url.with_credentials(None, Some(password)))
            }
            _ => Ok(url),
        }
    }
}

impl RegistryServer {
    fn set_in(&self, url: &mut RegistryUrl) -> Result<(), ConfigError> {
        let RegistryUrl::Server(server) = url else {
            return if self.is_weak { Ok(()) } else { Err(ConfigError::NoServer) };
        };
        if self.is_weak && server.host.is_some() {
            return Ok(());
        }
        let text = text_or_file(&self.text)?;
        let (host, port) = host_and_port(&text)?;
        server.host = Some(host.to_owned());
        server.port = port.or(server.port);
        Ok(())
    }
}

/// `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT`.
fn host_and_port(text: &str) -> Result<(&str, Option<u16>), ConfigError> {
    // There may be a password before an `@`.
    let shown = || text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, host)| format!("…@{host}"));
    let wrong = || ConfigError::WrongServer { text: shown() };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(wrong)?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_word = |c: char| c.is_ascii_graphic() && !"@/?#[]".contains(c);
    if host.is_empty() || !host.chars().all(is_word) {
        return Err(wrong());
    }
    Ok((host, port.map(|port| port.parse().map_err(|_| wrong())).transpose()?))
}

/// The file with the password: `--password-file` or the argument of that name, whichever has the stronger
/// source; of equal ones, `--password-file`.
fn choose_password_file(flag: Option<PathBuf>, args: &[Pair], settings: &Settings) -> Option<PathBuf> {
    let value = |name| manager_args::value(args, name);
    let named = value("password-file").or_else(|| value("password_file"));
    let outranked = flag.is_none() || manager_args::outranks(settings, "manager-arg", "password-file");
    named.filter(|_| outranked).map(PathBuf::from).or(flag)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn choice(address: &str, password_file: Option<&Path>) -> RegistryChoice {
        RegistryChoice {
            address: address.to_owned(),
            is_default: false,
            server: None,
            username: None,
            password: None,
            password_file: password_file.map(Path::to_owned),
        }
    }

    fn with_server(address: &str, text: &str, is_weak: bool) -> Result<String, String> {
        let server = Some(RegistryServer { text: text.to_owned(), is_weak });
        let url = RegistryChoice { server, ..choice(address, None) }.url();
        url.map(|url| url.to_string()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_server_can_be_named_apart_from_the_address() {
        for (address, server, url) in [
            ("mysql://u@old/d", "new", "mysql://u@new/d"),
            ("mysql://old:1/d", "new", "mysql://new:1/d"),
            ("postgres://old:1/d", "new:2", "postgres://new:2/d"),
            ("dbi:mysql:database=d;port=3306", "db.example.org", "mysql://db.example.org:3306/d"),
            ("mysql://old/d", "[::1]:5", "mysql://[::1]:5/d"),
        ] {
            assert_eq!(with_server(address, server, false).as_deref(), Ok(url), "{address} {server}");
        }
        // From a weaker source, it only fills in what is missing.
        assert_eq!(with_server("mysql://old/d", "new", true).as_deref(), Ok("mysql://old/d"));
        assert_eq!(with_server("mysql:///d", "new", true).as_deref(), Ok("mysql://new/d"));
        assert_eq!(with_server("sqlite:f", "new", true).as_deref(), Ok("sqlite:f"));
    }

    #[test]
    fn a_server_that_cannot_be_used_is_an_error_that_says_so() {
        assert!(with_server("sqlite:f", "new", false).unwrap_err().contains("the registry is a file"));
        for wrong in ["", "a b", "u@h", "h:port", "h:99999", "[::1", "mysql://h/d"] {
            assert!(
                with_server("mysql://h/d", wrong, false).unwrap_err().contains("HOST or HOST:PORT"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn address_and_server_can_stand_in_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            format!("@{}", path.display())
        };
        let (address, server) =
            (file("address", "mysql://u@old/d\n"), file("server.addr", "new  \r\nmore\n"));
        assert_eq!(with_server(&address, &server, false).as_deref(), Ok("mysql://u@new/d"));
        let empty = file("empty", "\n");
        assert!(with_server(&address, &empty, false).unwrap_err().contains("its first line is empty"));
        assert!(with_server("@/no/such/file", "h", false).unwrap_err().contains("/no/such/file"));
    }

    fn password(address: &str, argument: Option<&str>, file: Option<&str>) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, file.unwrap_or_default()).unwrap();
        let password = argument.map(str::to_owned);
        let choice = RegistryChoice { password, ..choice(address, file.map(|_| path.as_path())) };
        match choice.url().unwrap() {
            RegistryUrl::Server(server) => server.password,
            RegistryUrl::Sqlite { .. } => None,
        }
    }

    #[test]
    fn the_password_comes_from_the_url_or_the_argument_or_the_file() {
        let argument = Some("argument");
        assert_eq!(password("mysql://u:url@h/d", argument, Some("file\n")).as_deref(), Some("url"));
        assert_eq!(password("mysql://u@h/d", argument, Some("file\n")).as_deref(), Some("argument"));
        assert_eq!(password("mysql://u@h/d", None, Some("f le \r\nmore\n")).as_deref(), Some("f le "));
        assert_eq!(password("mysql://u@h/d", None, None), None);
        // A SQLite file needs no password, so nothing is read.
        assert_eq!(password("sqlite:x", None, Some("")), None);
    }

    #[test]
    fn a_file_without_a_password_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        let words = || choice("mysql://h/d", Some(&path)).url().unwrap_err().to_string();
        assert!(words().contains(&path.display().to_string()), "{}", words());
        std::fs::write(&path, "\nhunter2\n").unwrap();
        assert!(words().contains("first line is empty") && !words().contains("hunter2"), "{}", words());
    }
}
