//! Where a registry is: URLs, file names and DBI strings, and the default. It owns their spelling; it opens
//! nothing and does not read the environment.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::dbi;

/// Names of files that are taken for a registry without `sqlite:` before them.
const SQLITE_SUFFIXES: [&str; 3] = [".db", ".sqlite", ".sqlite3"];

/// Where a registry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryUrl {
    /// A SQLite file.
    Sqlite {
        /// The file; a relative path is relative to the working directory.
        path: PathBuf,
        /// Whether to make the file's directory if need be: only for the default, so that a typing error in a
        /// path does not end in a new, empty registry.
        creates_directory: bool,
    },
    /// A database server.
    Server(Server),
}

/// A database on a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Which server.
    pub kind: ServerKind,
    /// The host; `None` means the server's own default.
    pub host: Option<String>,
    /// The port; `None` means the server's own default.
    pub port: Option<u16>,
    /// The database.
    pub database: String,
    /// The user.
    pub username: Option<String>,
    /// The password. It is never shown.
    pub password: Option<String>,
    /// Further settings, as they were written.
    pub settings: Vec<(String, String)>,
}

/// The kinds of servers that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
}

/// Why a text does not say where a registry is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is in none of the forms.
    #[error(
        "`{text}` is no registry; write `sqlite:FILE`, a file that ends in .db, `dbi:SQLite:dbname=FILE`, \
         `postgres://HOST/DATABASE` or `mysql://HOST/DATABASE`"
    )]
    Unknown {
        /// The text, without a password.
        text: String,
    },
    /// It lacks a part.
    #[error("the registry URL names no {part}; write `{example}`")]
    Missing {
        /// Which part.
        part: &'static str,
        /// How it is written.
        example: &'static str,
    },
    /// A part of it cannot be read.
    #[error("the registry URL has `{value}` for its {part}, which is none")]
    Bad {
        /// Which part.
        part: &'static str,
        /// What stands there.
        value: String,
    },
    /// It names a database in memory, which no other process could see.
    #[error("a registry in memory would be seen by no other process; name a file: `sqlite:FILE`")]
    InMemory,
    /// There is no directory in which the default could be.
    #[error(
        "there is no place for the default registry because neither XDG_STATE_HOME nor HOME is set; name one \
         with `--registry sqlite:FILE`"
    )]
    NoHome,
}

impl RegistryUrl {
    /// The registry that is used if none is named: `simplegrid/grid.db` in `XDG_STATE_HOME`, or in
    /// `~/.local/state` (XDG base directory specification, which says to ignore relative paths).
    ///
    /// # Errors
    /// [`UrlError::NoHome`] if neither is given.
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

    /// The same with a user and a password that are given apart from it, as Perl's `--manager-arg username=`
    /// and `password=` do. What the URL says itself stays; a SQLite file needs neither.
    #[must_use]
    pub fn with_credentials(mut self, username: Option<String>, password: Option<String>) -> Self {
        if let Self::Server(server) = &mut self {
            server.username = server.username.take().or(username);
            server.password = server.password.take().or(password);
        }
        self
    }

    /// `sqlite:FILE`, `sqlite:///absolute` and `sqlite://relative`: whatever stands after the colon and, if
    /// they are there, two slashes.
    fn from_sqlite_url(rest: &str) -> Result<Self, UrlError> {
        Self::from_sqlite_file(rest.strip_prefix("//").unwrap_or(rest))
    }

    /// A SQLite file named in a URL or a DBI string.
    pub(super) fn from_sqlite_file(file: &str) -> Result<Self, UrlError> {
        match file {
            "" => Err(UrlError::Missing { part: "file", example: "sqlite:FILE" }),
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
            return dbi::parse(rest);
        }
        for (scheme, kind) in [
            ("postgres", ServerKind::Postgres),
            ("postgresql", ServerKind::Postgres),
            ("mysql", ServerKind::Mysql),
            ("mariadb", ServerKind::Mysql),
        ] {
            if let Some(rest) = strip_scheme(text, scheme).and_then(|rest| rest.strip_prefix("//")) {
                return Server::from_url(kind, rest).map(Self::Server);
            }
        }
        let is_file = SQLITE_SUFFIXES.iter().any(|suffix| text.ends_with(suffix)) && !text.contains("://");
        if is_file { Ok(Self::sqlite(text)) } else { Err(UrlError::Unknown { text: without_password(text) }) }
    }
}

/// In a form that can be read back, except for the password, which is left out.
impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path, .. } => write!(f, "sqlite:{}", path.display()),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl Server {
    /// `[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?SETTING=VALUE&…]`, each part percent-encoded.
    fn from_url(kind: ServerKind, rest: &str) -> Result<Self, UrlError> {
        let (rest, settings) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        if database.is_empty() {
            return Err(UrlError::Missing { part: "database", example: kind.example() });
        }
        let (credentials, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (username, password) = match credentials.split_once(':') {
            Some((username, password)) => (username, Some(password)),
            None => (credentials, None),
        };
        let (host, port) = split_port(address)?;
        Ok(Self {
            kind,
            host: not_empty(decoded(host, "host")?),
            port,
            database: decoded(database, "database")?,
            username: not_empty(decoded(username, "user")?),
            password: password.map(|password| decoded(password, "password")).transpose()?,
            settings: settings.split('&').filter_map(|setting| setting.split_once('=')).map(owned).collect(),
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.kind.scheme())?;
        if let Some(username) = &self.username {
            write!(f, "{username}@")?;
        }
        match &self.host {
            Some(host) if host.contains(':') => write!(f, "[{host}]")?,
            host => f.write_str(host.as_deref().unwrap_or_default())?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "/{}", self.database)
    }
}

/// The settings are left out too: some of them are secrets.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

impl ServerKind {
    fn scheme(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Postgres => "postgres://HOST/DATABASE",
            Self::Mysql => "mysql://HOST/DATABASE",
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
        })
    }
}

/// What stands after `scheme:`, however the scheme's letters are written.
fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (before, after) = text.split_once(':')?;
    before.eq_ignore_ascii_case(scheme).then_some(after)
}

/// A host and a port, where the host may be an IPv6 address in brackets.
fn split_port(address: &str) -> Result<(&str, Option<u16>), UrlError> {
    if let Some((host, after)) = address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return Ok((host, after.strip_prefix(':').map(parse_port).transpose()?));
    }
    match address.split_once(':') {
        Some((host, port)) => Ok((host, Some(parse_port(port)?))),
        None => Ok((address, None)),
    }
}

/// A port, as a number from 1 on.
pub(super) fn parse_port(text: &str) -> Result<u16, UrlError> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| UrlError::Bad { part: "port", value: text.to_owned() })
}

/// A part of a URL without its percent-encoding. The message does not repeat the part: it may be a password.
fn decoded(text: &str, part: &'static str) -> Result<String, UrlError> {
    let bad = || UrlError::Bad { part, value: "a broken %-encoding".to_owned() };
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        bytes.push(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(bad)?);
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

/// A text that could not be understood, fit to be shown: what stands before an `@` may be a password.
fn without_password(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, after)| format!("…@{after}"))
}

fn not_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RegistryUrl, UrlError> {
        text.parse()
    }

    fn server(text: &str) -> Server {
        match parse(text).unwrap() {
            RegistryUrl::Server(server) => server,
            other => panic!("{text} is {other}"),
        }
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
    fn what_it_prints_can_be_read_back() {
        for text in ["sqlite:/var/grid.db", "postgres://u@h:5/d", "mysql://h/d", "postgres://[::1]:5/d"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_server_url_is_taken_apart() {
        let server = server("postgresql://an%40a:p%3Ass@db.example:5433/grid?sslmode=require");
        assert_eq!(server.kind, ServerKind::Postgres);
        assert_eq!(server.host.as_deref(), Some("db.example"));
        assert_eq!(server.port, Some(5433));
        assert_eq!(server.database, "grid");
        assert_eq!(server.username.as_deref(), Some("an@a"));
        assert_eq!(server.password.as_deref(), Some("p:ss"));
        assert_eq!(server.settings, [("sslmode".to_owned(), "require".to_owned())]);
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
        assert!(matches!(parse("sqlite:"), Err(UrlError::Missing { part: "file", .. })));
        assert_eq!(parse("sqlite::memory:"), Err(UrlError::InMemory));
        assert!(matches!(parse("postgres://h"), Err(UrlError::Missing { part: "database", .. })));
        assert!(matches!(parse("mysql://h:x/d"), Err(UrlError::Bad { part: "port", .. })));
        assert!(matches!(parse("mysql://h:0/d"), Err(UrlError::Bad { part: "port", .. })));
        assert!(matches!(parse("mysql://h/%é"), Err(UrlError::Bad { part: "database", .. })));
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
}
