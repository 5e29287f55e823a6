//! The name of a database on a server. It owns the spelling of the URL, and opens nothing.

use std::fmt;

use super::address_error::AddressError;
use super::connection_settings::ConnectionSettings;
use super::percent;
use super::server_kind::ServerKind;

/// A database on a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Which kind of server.
    pub kind: ServerKind,
    /// The host, or for PostgreSQL the directory of its socket. `None` means this machine, by the usual
    /// socket if it exists.
    pub host: Option<String>,
    /// The port. `None` means the server's default.
    pub port: Option<u16>,
    /// The database.
    pub database: String,
    /// The user. `None` means the user who runs this process.
    pub username: Option<String>,
    /// The password. It is never shown.
    pub password: Option<String>,
    /// Further settings, as they were written.
    pub settings: Vec<(String, String)>,
}

impl Server {
    /// What a URL names, or `None` if it is not the URL of a server. Settings are taken as they are: a caller
    /// that has settings of its own takes them out with [`Server::take_setting`], and then has the rest
    /// checked with [`Server::check`].
    pub fn from_url(text: &str) -> Option<Result<Self, AddressError>> {
        let (scheme, rest) = text.split_once("://")?;
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "postgres" | "postgresql" => ServerKind::Postgres,
            "mysql" | "mariadb" => ServerKind::Mysql,
            _ => return None,
        };
        Some(Self::from_parts(kind, rest))
    }

    /// A server of which only the kind is known.
    pub fn unnamed(kind: ServerKind) -> Self {
        Self {
            kind,
            host: None,
            port: None,
            database: String::new(),
            username: None,
            password: None,
            settings: Vec::new(),
        }
    }

    /// Takes out a setting that only the caller knows.
    pub fn take_setting(&mut self, name: &str) -> Option<String> {
        let at = self.settings.iter().position(|(other, _)| other == name)?;
        Some(self.settings.remove(at).1)
    }

    /// Checks that every setting has a meaning and can be obeyed. Nothing is opened.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn check(&self) -> Result<(), AddressError> {
        self.connection_settings().map(drop)
    }

    /// What the settings ask for.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub(super) fn connection_settings(&self) -> Result<ConnectionSettings, AddressError> {
        ConnectionSettings::of(self.kind, &self.settings)
    }

    /// The user to connect as: the one that is named, or the one who runs this process, as with the servers'
    /// own clients.
    pub(super) fn user(&self) -> Option<String> {
        let current = || Some(nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??.name);
        self.username.clone().or_else(current)
    }

    /// The same with a user and a password that are given separately. Those that it has already stay.
    #[must_use]
    pub fn with_credentials(mut self, username: Option<String>, password: Option<String>) -> Self {
        self.username = self.username.or(username);
        self.password = self.password.or(password);
        self
    }

    /// Notes a part that is written as a setting, as libpq and DBI allow, or else keeps the setting.
    ///
    /// # Errors
    /// If the part cannot be read.
    pub fn set(&mut self, name: &str, value: String) -> Result<(), AddressError> {
        match name {
            "dbname" | "database" | "db" => self.database = value,
            "host" | "hostname" => self.host = Some(value),
            "port" => self.port = Some(parse_port(self.kind, &value)?),
            "user" | "username" => self.username = Some(value),
            "password" => self.password = Some(value),
            _ => self.settings.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// `[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?SETTING=VALUE&…]`, each part percent-encoded.
    fn from_parts(kind: ServerKind, rest: &str) -> Result<Self, AddressError> {
        let (rest, settings) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (username, password) = match credentials.split_once(':') {
            Some((username, password)) => (username, Some(password)),
            None => (credentials, None),
        };
        let (host, port) = split_port(kind, address)?;
        let mut server = Self {
            host: not_empty(decoded(kind, host, "host")?),
            port,
            database: decoded(kind, database, "database")?,
            username: not_empty(decoded(kind, username, "user")?),
            password: password.map(|password| decoded(kind, password, "password")).transpose()?,
            ..Self::unnamed(kind)
        };
        for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            server.set(&decoded(kind, name, "setting")?, decoded(kind, value, "setting")?)?;
        }
        server.expect_database()
    }

    /// The server, if it names a database.
    ///
    /// # Errors
    /// If it does not.
    pub fn expect_database(self) -> Result<Self, AddressError> {
        if self.database.is_empty() {
            return Err(AddressError::Missing { kind: self.kind, part: "database" });
        }
        Ok(self)
    }
}

/// In a form that can be read back, without the password, and without the settings, since some of them are
/// secrets.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.kind.scheme())?;
        if let Some(username) = &self.username {
            write!(f, "{}@", percent::encoded(username))?;
        }
        match &self.host {
            Some(host) if host.contains(':') => write!(f, "[{host}]")?,
            host => f.write_str(&percent::encoded(host.as_deref().unwrap_or_default()))?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "/{}", percent::encoded(&self.database))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

/// A host and a port. The host can be an IPv6 address in brackets.
fn split_port(kind: ServerKind, address: &str) -> Result<(&str, Option<u16>), AddressError> {
    let port = |text| parse_port(kind, text);
    if let Some((host, after)) = address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return Ok((host, after.strip_prefix(':').map(port).transpose()?));
    }
    match address.split_once(':') {
        Some((host, text)) => Ok((host, Some(port(text)?))),
        None => Ok((address, None)),
    }
}

/// A port, as a number from 1 on.
fn parse_port(kind: ServerKind, text: &str) -> Result<u16, AddressError> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| AddressError::Bad { kind, part: "port", value: text.to_owned() })
}

/// A part of a URL without its percent-encoding. The message does not repeat the part, which could be a
/// password.
fn decoded(kind: ServerKind, text: &str, part: &'static str) -> Result<String, AddressError> {
    let bad = || AddressError::Bad { kind, part, value: "a broken %-encoding".to_owned() };
    percent::decoded(text).ok_or_else(bad)
}

fn not_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Server, AddressError> {
        Server::from_url(text).expect("it is a server's URL")
    }

    #[test]
    fn a_url_is_taken_apart() {
        let server = parse("postgresql://an%40a:p%3Ass@db.example:5433/grid?sslmode=require").unwrap();
        assert_eq!(server.kind, ServerKind::Postgres);
        assert_eq!(server.host.as_deref(), Some("db.example"));
        assert_eq!(server.port, Some(5433));
        assert_eq!(server.database, "grid");
        assert_eq!(server.username.as_deref(), Some("an@a"));
        assert_eq!(server.password.as_deref(), Some("p:ss"));
        assert_eq!(server.settings, [("sslmode".to_owned(), "require".to_owned())]);
    }

    #[test]
    fn what_it_prints_can_be_read_back() {
        for text in [
            "postgres://u@h:5/d",
            "mysql://h/d",
            "postgres://[::1]:5/d",
            "postgres://%2Frun%2Fpostgresql/d",
            "mysql://a%40b%25@h/d%2Fe",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn parts_may_be_written_as_settings() {
        let server = parse("postgres:///d?host=/run/pg%20sql&user=me&password=hunter2&port=5433").unwrap();
        assert_eq!(server.host.as_deref(), Some("/run/pg sql"));
        assert_eq!((server.username.as_deref(), server.port), (Some("me"), Some(5433)));
        assert_eq!(server.password.as_deref(), Some("hunter2"));
        assert!(server.settings.is_empty());
    }

    #[test]
    fn settings_of_the_caller_are_taken_out() {
        let mut server = parse("mysql://h/d?table=rows&ssl-mode=required").unwrap();
        assert!(server.check().is_err());
        assert_eq!(server.take_setting("table").as_deref(), Some("rows"));
        assert_eq!(server.take_setting("table"), None);
        assert_eq!(server.check(), Ok(()));
    }

    #[test]
    fn a_password_is_never_shown() {
        let server = parse("mysql://me:hunter2@h/d?secret=hunter2").unwrap();
        assert!(!format!("{server} {server:?} {:?}", server.check()).contains("hunter2"));
        let error = parse("mysql://me:hunter2%@h/d").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn what_names_no_database_is_refused() {
        assert!(Server::from_url("http://h/d").is_none());
        assert!(Server::from_url("postgres:grid").is_none());
        assert!(matches!(parse("postgres://h"), Err(AddressError::Missing { part: "database", .. })));
        assert!(matches!(parse("mysql://h:x/d"), Err(AddressError::Bad { part: "port", .. })));
        assert!(matches!(parse("mysql://h:0/d"), Err(AddressError::Bad { part: "port", .. })));
        assert!(matches!(parse("mysql://h/%é"), Err(AddressError::Bad { part: "database", .. })));
    }
}
