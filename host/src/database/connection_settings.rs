//! What the settings in a database's URL ask for: TLS, and where the socket is. It owns their names, which
//! are those of libpq, of MySQL's client and of Perl's DBD::mysql, and opens nothing.

use std::path::PathBuf;
use std::time::Duration;

use super::address_error::AddressError;
use super::server_kind::ServerKind;
use super::tls::TlsMode;

/// How long making a connection can take, names and handshakes included: as long as a whole operation on the
/// registry.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The settings for PostgreSQL, as libpq has them. Parts of the URL can be written as settings, too.
const POSTGRES: [&str; 6] = ["host", "password", "port", "sslmode", "sslrootcert", "user"];

/// The settings for MySQL, as its client and DBD::mysql have them.
const MYSQL: [&str; 11] = [
    "host",
    "password",
    "port",
    "socket",
    "ssl-ca",
    "ssl-mode",
    "user",
    "mysql_socket",
    "mysql_ssl",
    "mysql_ssl_ca_file",
    "mysql_ssl_verify_server_cert",
];

/// The ways to ask for TLS, strongest last.
const MODES: &str = "disable, prefer, require, verify-ca or verify-full";
const MYSQL_MODES: &str = "disabled, preferred, required, verify_ca or verify_identity";
const SWITCH: &str = "0 or 1";

/// How a connection is made, beyond host, port and user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConnectionSettings {
    /// Whether there is TLS, and how much of the certificate is checked.
    pub(super) tls: TlsMode,
    /// The certificates of the authorities that can sign the server's.
    pub(super) authorities: Option<PathBuf>,
    /// MySQL's socket; that of PostgreSQL is named by its host.
    pub(super) socket: Option<PathBuf>,
}

impl ConnectionSettings {
    /// What these settings of a server ask for.
    pub(super) fn of(kind: ServerKind, settings: &[(String, String)]) -> Result<Self, AddressError> {
        let mut asked = Asked::default();
        for (name, value) in settings {
            match kind {
                ServerKind::Postgres => asked.postgres(name, value)?,
                ServerKind::Mysql => asked.mysql(name, value)?,
            }
        }
        let Asked { mode, authorities, socket, verify } = asked;
        let tls = match (mode.unwrap_or(TlsMode::Prefer), verify) {
            (TlsMode::Disable, _) => TlsMode::Disable,
            (mode, true) => mode.max(TlsMode::VerifyFull),
            // As in libpq: authorities that are named are meant to be used.
            (TlsMode::Require, _) if authorities.is_some() => TlsMode::VerifyCa,
            (mode, false) => mode,
        };
        if tls >= TlsMode::VerifyCa && authorities.is_none() {
            let setting = match kind {
                ServerKind::Postgres => "sslrootcert",
                ServerKind::Mysql => "ssl-ca",
            };
            return Err(AddressError::NoAuthority { kind, setting });
        }
        Ok(Self { tls, authorities, socket })
    }
}

#[derive(Default)]
struct Asked {
    mode: Option<TlsMode>,
    authorities: Option<PathBuf>,
    socket: Option<PathBuf>,
    verify: bool,
}

impl Asked {
    fn postgres(&mut self, name: &str, value: &str) -> Result<(), AddressError> {
        let kind = ServerKind::Postgres;
        match name {
            "sslmode" => self.mode = Some(mode(kind, name, value, MODES)?),
            "sslrootcert" => self.authorities = Some(PathBuf::from(value)),
            _ => return Err(unknown(kind, name, &POSTGRES)),
        }
        Ok(())
    }

    fn mysql(&mut self, name: &str, value: &str) -> Result<(), AddressError> {
        let kind = ServerKind::Mysql;
        match name {
            "ssl-mode" | "ssl_mode" => self.mode = Some(mode(kind, name, value, MYSQL_MODES)?),
            "ssl-ca" | "ssl_ca" | "mysql_ssl_ca_file" => self.authorities = Some(PathBuf::from(value)),
            "socket" | "mysql_socket" => self.socket = Some(PathBuf::from(value)),
            "mysql_ssl" => {
                let asked = if switch(name, value)? { TlsMode::Require } else { TlsMode::Disable };
                self.mode = Some(asked);
            }
            "mysql_ssl_verify_server_cert" => self.verify = switch(name, value)?,
            _ => return Err(unknown(kind, name, &MYSQL)),
        }
        Ok(())
    }
}

/// The words of both kinds of servers, in capital or small letters.
fn mode(kind: ServerKind, name: &str, value: &str, expected: &'static str) -> Result<TlsMode, AddressError> {
    Ok(match value.to_ascii_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" => TlsMode::Disable,
        "prefer" | "preferred" => TlsMode::Prefer,
        "require" | "required" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" | "verify-identity" => TlsMode::VerifyFull,
        _ => return Err(bad(kind, name, value, expected)),
    })
}

fn switch(name: &str, value: &str) -> Result<bool, AddressError> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(bad(ServerKind::Mysql, name, value, SWITCH)),
    }
}

fn bad(kind: ServerKind, name: &str, value: &str, expected: &'static str) -> AddressError {
    AddressError::BadSetting { kind, name: name.to_owned(), value: value.to_owned(), expected }
}

fn unknown(kind: ServerKind, name: &str, known: &[&'static str]) -> AddressError {
    AddressError::UnknownSetting { kind, name: name.to_owned(), known: known.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<ConnectionSettings, AddressError> {
        let (kind, settings) = match url.split_once("://").unwrap() {
            ("postgres", rest) => (ServerKind::Postgres, rest),
            (_, rest) => (ServerKind::Mysql, rest),
        };
        let settings = settings.split_once('?').map_or("", |(_, settings)| settings);
        let settings = settings.split('&').filter_map(|setting| setting.split_once('='));
        let settings: Vec<_> = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        ConnectionSettings::of(kind, &settings)
    }

    #[test]
    fn every_way_to_ask_for_tls_is_understood() {
        use TlsMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
        for (url, tls) in [
            ("postgres://h/d", Prefer),
            ("postgres://h/d?sslmode=disable", Disable),
            ("postgres://h/d?sslmode=require", Require),
            ("postgres://h/d?sslmode=require&sslrootcert=/ca", VerifyCa),
            ("postgres://h/d?sslmode=verify-ca&sslrootcert=/ca", VerifyCa),
            ("postgres://h/d?sslrootcert=/ca&sslmode=verify-full", VerifyFull),
            ("mysql://h/d", Prefer),
            ("mysql://h/d?ssl-mode=DISABLED", Disable),
            ("mysql://h/d?ssl_mode=Required", Require),
            ("mysql://h/d?ssl-mode=VERIFY_CA&ssl-ca=/ca", VerifyCa),
            ("mysql://h/d?ssl-mode=VERIFY_IDENTITY&ssl_ca=/ca", VerifyFull),
            ("mysql://h/d?mysql_ssl=0", Disable),
            ("mysql://h/d?mysql_ssl=1", Require),
            ("mysql://h/d?mysql_ssl=1&mysql_ssl_ca_file=/ca&mysql_ssl_verify_server_cert=1", VerifyFull),
        ] {
            assert_eq!(of(url).map(|settings| settings.tls), Ok(tls), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused_with_what_can() {
        let words = |url: &str| of(url).unwrap_err().to_string();
        assert_eq!(
            words("postgres://h/d?sslcert=x"),
            "a PostgreSQL URL has no setting `sslcert`; it can have host, password, port, sslmode, sslrootcert, user"
        );
        assert_eq!(
            words("postgres://h/d?sslmode=on"),
            "the PostgreSQL URL has `on` for `sslmode`; it can be disable, prefer, require, verify-ca or \
             verify-full"
        );
        assert!(words("mysql://h/d?sslmode=require").contains("ssl-mode"));
        assert!(words("mysql://h/d?mysql_ssl=yes").contains("0 or 1"));
        assert!(words("mysql://h/d?ssl-mode=verify_ca").contains("`ssl-ca=FILE`"));
        assert!(words("postgres://h/d?sslmode=verify-full").contains("`sslrootcert=FILE`"));
    }

    #[test]
    fn a_socket_can_be_named() {
        for name in ["socket", "mysql_socket"] {
            let settings = of(&format!("mysql:///d?{name}=/run/my.sock")).unwrap();
            assert_eq!(settings.socket, Some(PathBuf::from("/run/my.sock")));
        }
    }
}
