//! Where a registry is: URLs, file names and DBI strings, and the default. It owns their spelling, opens
//! nothing, and does not read the environment.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::dbi::{self, Dbi};
use crate::database::{AddressError, Server};

/// Endings of file names that mean a registry even without `sqlite:` before the name.
const SQLITE_SUFFIXES: [&str; 3] = [".db", ".sqlite", ".sqlite3"];

/// Where a registry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryUrl {
    /// A SQLite file.
    Sqlite {
        /// The file; a relative path is relative to the working directory.
        path: PathBuf,
        /// Whether to create the file's directory if it is missing: only for the default, so that a typing
        /// error in a path does not lead to a new, empty registry.
        creates_directory: bool,
    },
    /// A database server.
    Server(Server),
}

/// Why a text does not say where a registry is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It has none of the forms.
    #[error(
        "`{text}` is not a registry; write `sqlite:FILE`, a file that ends in .db, `dbi:SQLite:dbname=FILE`, \
         `postgres://HOST/DATABASE` or `mysql://HOST/DATABASE`"
    )]
    Unknown {
        /// The text, without a password.
        text: String,
    },
    /// It names no file.
    #[error("the registry names no file; write `sqlite:FILE`")]
    NoFile,
    /// It names a server in a way that cannot be used.
    #[error(transparent)]
    Server(#[from] AddressError),
    /// It names a database in memory, which no other process can see.
    #[error("no other process can see a registry in memory; name a file: `sqlite:FILE`")]
    InMemory,
    /// There is no directory in which the default could be.
    #[error(
        "there is no place for the default registry, because neither XDG_STATE_HOME nor HOME is set; name one \
         with `--registry sqlite:FILE`"
    )]
    NoHome,
}

impl RegistryUrl {
    /// The registry to use if none is named: `simplegrid/grid.db` in `XDG_STATE_HOME`, or in
    /// `~/.local/state` (XDG base directory specification, which says that relative paths are to be ignored).
    ///
    /// # Errors
    /// `UrlError::NoHome` if neither is given.
    pub fn default_for(xdg_state_home: Option<&OsStr>, home: Option<&OsStr>) -> Result<Self, UrlError> {
        let absolute = |value: Option<&OsStr>| value.map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute(xdg_state_home)
            .or_else(|| absolute(home).map(|home| home.join(".local/state")))
            .ok_or(UrlError::NoHome)?;
        Ok(Self::Sqlite { path: state.join("simplegrid/grid.db"), creates_directory: true })
    }

    /// A SQLite file.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self::Sqlite { path: path.into(), creates_directory: false }
    }

    /// The same with a user and a password that are given separately, as with `--manager-arg username=` and
    /// `password=` of Net::SimpleGrid. Those in the URL win; a SQLite file needs neither.
    #[must_use]
    pub fn with_credentials(mut self, username: Option<String>, password: Option<String>) -> Self {
        if let Self::Server(server) = self {
            self = Self::Server(server.with_credentials(username, password));
        }
        self
    }

    /// `sqlite:FILE`, `sqlite:///absolute` and `sqlite://relative`: the file is what follows the colon and,
    /// if they are there, two slashes.
    fn from_sqlite_url(rest: &str) -> Result<Self, UrlError> {
        Self::from_sqlite_file(rest.strip_prefix("//").unwrap_or(rest))
    }

    /// What follows `dbi:`.
    fn from_dbi(rest: &str) -> Result<Self, UrlError> {
        match dbi::parse(rest)? {
            Dbi::File(file) => Self::from_sqlite_file(file),
            Dbi::Server(server) => Ok(Self::Server(server)),
            // The settings are not repeated: a password could be among them.
            Dbi::Other { driver } => Err(UrlError::Unknown { text: format!("dbi:{driver}:…") }),
        }
    }

    /// A SQLite file named in a URL or a DBI string.
    fn from_sqlite_file(file: &str) -> Result<Self, UrlError> {
        match file {
            "" => Err(UrlError::NoFile),
            ":memory:" => Err(UrlError::InMemory),
            file => Ok(Self::sqlite(file)),
        }
    }
}

impl FromStr for RegistryUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if let Some(rest) = strip_scheme(text, "sqlite") {
            return Self::from_sqlite_url(rest);
        }
        if let Some(rest) = strip_scheme(text, "dbi") {
            return Self::from_dbi(rest);
        }
        if let Some(server) = Server::from_url(text) {
            let server = server?;
            server.check()?;
            return Ok(Self::Server(server));
        }
        let is_file = SQLITE_SUFFIXES.iter().any(|suffix| text.ends_with(suffix)) && !text.contains("://");
        if is_file { Ok(Self::sqlite(text)) } else { Err(UrlError::Unknown { text: without_password(text) }) }
    }
}

/// In a form that can be read back, without the password.
impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path, .. } => write!(f, "sqlite:{}", path.display()),
            Self::Server(server) => server.fmt(f),
        }
    }
}

/// What follows `scheme:`, in capital or small letters.
fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (before, after) = text.split_once(':')?;
    before.eq_ignore_ascii_case(scheme).then_some(after)
}

/// A text that could not be understood, fit to be shown: what stands before an `@` could be a password.
fn without_password(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, after)| format!("…@{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RegistryUrl, UrlError> {
        text.parse()
    }

    #[test]
    fn a_sqlite_file_can_be_written_in_these_ways() {
        for (text, path) in [
            ("sqlite:grid.db", "grid.db"),
            ("sqlite:/var/grid.db", "/var/grid.db"),
            ("sqlite:///var/grid.db", "/var/grid.db"),
            ("sqlite://dir/grid", "dir/grid"),
            ("SQLite:no-suffix", "no-suffix"),
            ("grid.db", "grid.db"),
            ("./a b/grid.sqlite3", "./a b/grid.sqlite3"),
            ("/x:y/grid.db", "/x:y/grid.db"),
        ] {
            assert_eq!(parse(text), Ok(RegistryUrl::sqlite(path)), "{text}");
        }
    }

    #[test]
    fn a_server_can_be_named_by_its_url() {
        for text in ["sqlite:/var/grid.db", "postgres://u@h:5/d", "mysql://h/d", "postgres://[::1]:5/d"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = parse("mysql://me:hunter2@h/d?password=hunter2").unwrap();
        assert!(!format!("{url} {url:?}").contains("hunter2"));
        let error = parse("mysqls://me:hunter2@h/d").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let error = parse("mysql://me:hunter2%@h/d").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn credentials_given_apart_fill_what_the_url_leaves_open() {
        let url = parse("mysql://me@h/d").unwrap();
        let url = url.with_credentials(Some("other".to_owned()), Some("secret".to_owned()));
        let RegistryUrl::Server(server) = url else { panic!("{url}") };
        assert_eq!(server.username.as_deref(), Some("me"));
        assert_eq!(server.password.as_deref(), Some("secret"));
    }

    #[test]
    fn what_is_no_registry_is_refused_with_a_reason() {
        for text in ["", "grid", "http://h/grid.db", "ftp:x", "é%", "postgres:grid"] {
            assert!(matches!(parse(text), Err(UrlError::Unknown { .. })), "{text}");
        }
        assert_eq!(parse("sqlite:"), Err(UrlError::NoFile));
        assert_eq!(parse("sqlite::memory:"), Err(UrlError::InMemory));
        assert!(matches!(parse("postgres://h"), Err(UrlError::Server(AddressError::Missing { .. }))));
        assert!(matches!(
            parse("postgres://h/d?table=nodes"),
            Err(UrlError::Server(AddressError::UnknownSetting { .. }))
        ));
    }

    #[test]
    fn the_default_is_in_the_users_state_directory() {
        let default = |state: Option<&str>, home: Option<&str>| {
            RegistryUrl::default_for(state.map(OsStr::new), home.map(OsStr::new)).map(|url| url.to_string())
        };
        assert_eq!(default(Some("/s"), Some("/h")).unwrap(), "sqlite:/s/simplegrid/grid.db");
        assert_eq!(default(None, Some("/h")).unwrap(), "sqlite:/h/.local/state/simplegrid/grid.db");
        assert_eq!(default(Some(""), Some("/h")).unwrap(), "sqlite:/h/.local/state/simplegrid/grid.db");
        assert_eq!(default(Some("rel"), None), Err(UrlError::NoHome));
    }

    fn shown(text: &str) -> String {
        parse(text).unwrap().to_string()
    }

    #[test]
    fn dbi_strings_as_net_simplegrid_has_them_are_understood() {
        for (text, url) in [
            ("dbi:SQLite:dbname=f", "sqlite:f"),
            ("dbi:SQLite:database=/x/f.db", "sqlite:/x/f.db"),
            ("dbi:SQLite:/x/f.db", "sqlite:/x/f.db"),
            ("DBI:SQLite(RaiseError=>1):dbname=f;sqlite_unicode=1", "sqlite:f"),
            ("dbi:mysql:database=g;host=h;port=3306", "mysql://h:3306/g"),
            ("dbi:mysql:g;hostname=localhost;port=3306", "mysql://localhost:3306/g"),
            ("dbi:mysql:g:hostname=mydb.example;port=3306", "mysql://mydb.example:3306/g"),
            ("dbi:MariaDB:database=g", "mysql:///g"),
            ("dbi:Pg:dbname=g;host=h;port=5432", "postgres://h:5432/g"),
            ("dbi:Pg:dbname=g host=h", "postgres://h/g"),
            ("dbi:mysql:database=g;mysql_socket=/run/m.sock;mysql_ssl=1", "mysql:///g"),
            ("dbi:Pg:dbname=g;host=/run/pg;sslmode=require", "postgres://%2Frun%2Fpg/g"),
        ] {
            assert_eq!(shown(text), url, "{text}");
        }
    }

    #[test]
    fn a_password_in_a_dbi_string_is_not_shown() {
        assert_eq!(shown("dbi:Pg:dbname=g;user=me;password=hunter2"), "postgres://me@/g");
    }

    #[test]
    fn a_dbi_string_that_cannot_be_used_is_refused() {
        assert!(matches!(parse("dbi:Oracle:x"), Err(UrlError::Unknown { .. })));
        assert!(matches!(parse("dbi:SQLite"), Err(UrlError::NoFile)));
        assert!(matches!(parse("dbi:SQLite:dbname="), Err(UrlError::NoFile)));
        assert_eq!(parse("dbi:SQLite:dbname=:memory:"), Err(UrlError::InMemory));
        assert!(matches!(parse("dbi:mysql:host=h"), Err(UrlError::Server(AddressError::Missing { .. }))));
        assert!(matches!(parse("dbi:Pg:dbname=g;port=x"), Err(UrlError::Server(AddressError::Bad { .. }))));
    }
}
