//! From the settings to the registry's address, its server and its password included.

use std::path::{Path, PathBuf};

use super::layers::{Settings, Source};
use super::{ConfigError, Pair, manager_args};
use crate::exit_code::UsageError;
use crate::registry::RegistryUrl;

/// Where the registry is, as the user said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegistryChoice {
    /// Its address: a URL, or a DSN as Perl's DBI has it, or a file that holds one.
    pub address: String,
    /// Whether nobody named it, so that its directory may have to be made.
    pub is_default: bool,
    /// The file with the password for its server, if it has one and nobody says the password.
    pub password_file: Option<PathBuf>,
    server: Option<RegistryServer>,
}

/// Where the registry's server is, apart from the address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RegistryServer {
    /// `HOST`, `HOST:PORT`, or a file that holds one.
    text: String,
    /// Whether it was said in a weaker place than the address: then it only counts where that names no host.
    is_weak: bool,
}

impl RegistryChoice {
    /// `--registry` or the argument `dsn`, whichever was said in the stronger place; in the same place,
    /// `--registry`.
    ///
    /// # Errors
    /// If there is neither.
    pub(super) fn new(
        registry: Option<String>,
        server: Option<String>,
        password_file: Option<PathBuf>,
        args: &[Pair],
        settings: &Settings,
    ) -> Result<Self, ConfigError> {
        let dsn = manager_args::value(args, "dsn");
        let is_default = *settings.source("registry") == Source::Default && dsn.is_none();
        let dsn = dsn.filter(|_| manager_args::outranks(settings, "manager-arg", "registry"));
        let key = if dsn.is_some() { "manager-arg" } else { "registry" };
        let is_weak = manager_args::outranks(settings, key, "registry-server");
        let address = dsn.map(str::to_owned).or(registry).ok_or(ConfigError::NoRegistry)?;
        let server = server.map(|text| RegistryServer { text, is_weak });
        let password_file = choose_password_file(password_file, args, settings);
        Ok(Self { address, is_default, password_file, server })
    }

    /// The registry itself. Perl's `username` and `password` count where the address has none, and the file
    /// with a password where nobody says one.
    ///
    /// # Errors
    /// If the address is none, or a file cannot be read: the user's errors.
    pub(crate) fn url(&self, manager_args: &[Pair]) -> anyhow::Result<RegistryUrl> {
        let value = |name| manager_args::value(manager_args, name).map(str::to_owned);
        let address = text_or_file(&self.address).map_err(UsageError::mark)?;
        let mut url = address.parse::<RegistryUrl>().map_err(UsageError::mark)?;
        if let Some(server) = &self.server {
            server.set_in(&mut url).map_err(UsageError::mark)?;
        }
        if let RegistryUrl::Sqlite { creates_directory, .. } = &mut url {
            // A directory that the user has named, and that is not there, is probably a typing error.
            *creates_directory = self.is_default;
        }
        let url = url.with_credentials(value("username"), value("password"));
        match (&url, &self.password_file) {
            (RegistryUrl::Server(server), Some(file)) if server.password.is_none() => {
                let password = password_in(file).map_err(UsageError::mark)?;
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
    // Before an `@` there may be a password.
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

/// The file with the password: `--password-file` or the argument of that name, whichever was said in the
/// stronger place; in the same place, `--password-file`.
fn choose_password_file(flag: Option<PathBuf>, args: &[Pair], settings: &Settings) -> Option<PathBuf> {
    let value = |name| manager_args::value(args, name);
    let named = value("password-file").or_else(|| value("password_file"));
    let outranked = flag.is_none() || manager_args::outranks(settings, "manager-arg", "password-file");
    named.filter(|_| outranked).map(PathBuf::from).or(flag)
}

/// What is written, or for `@FILE` what stands in the first line of that file, as the original had its
/// server's address in one.
fn text_or_file(text: &str) -> Result<String, ConfigError> {
    let Some(file) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let cannot = |reason| ConfigError::NoAddress { path: file.into(), reason };
    let line = first_line_of(Path::new(file)).map_err(cannot)?;
    Ok(line.trim().to_owned())
}

/// The first line of a file, which is not empty. Its end is no part of it, whatever editor has written it.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(address: &str, password_file: Option<&Path>) -> RegistryChoice {
        let password_file = password_file.map(Path::to_owned);
        RegistryChoice { address: address.to_owned(), is_default: false, password_file, server: None }
    }

    fn with_server(address: &str, text: &str, is_weak: bool) -> Result<String, String> {
        let server = Some(RegistryServer { text: text.to_owned(), is_weak });
        let url = RegistryChoice { server, ..choice(address, None) }.url(&[]);
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
        // Said in a weaker place, it only fills in what is missing.
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

    fn password(address: &str, args: &[(&str, &str)], file: Option<&str>) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, file.unwrap_or_default()).unwrap();
        let args: Vec<Pair> = args.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        match choice(address, file.map(|_| path.as_path())).url(&args).unwrap() {
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
        let words = || choice("mysql://h/d", Some(&path)).url(&[]).unwrap_err().to_string();
        assert!(words().contains(&path.display().to_string()), "{}", words());
        std::fs::write(&path, "\nhunter2\n").unwrap();
        assert!(words().contains("first line is empty") && !words().contains("hunter2"), "{}", words());
    }
}
