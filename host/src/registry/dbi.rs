//! Perl's way of naming a database, `dbi:DRIVER:SETTINGS`, so that a Net::SimpleGrid command line works
//! unchanged. It owns that spelling (perldoc DBI, DBD::SQLite, DBD::Pg, DBD::mysql) and nothing else.

use super::url::{RegistryUrl, UrlError};
use crate::database::{AddressError, Server, ServerKind};

/// A database named in what stands after `dbi:`.
pub(super) fn parse(rest: &str) -> Result<RegistryUrl, UrlError> {
    let (driver, settings) = rest.split_once(':').unwrap_or((rest, ""));
    // Attributes of the handle may follow the driver, as in `dbi:SQLite(RaiseError=>1):…`; they mean nothing
    // here.
    let driver = driver.split('(').next().unwrap_or_default();
    match driver.to_ascii_lowercase().as_str() {
        "sqlite" => sqlite(settings),
        "pg" => Ok(RegistryUrl::Server(server(ServerKind::Postgres, settings)?)),
        "mysql" | "mariadb" => Ok(RegistryUrl::Server(server(ServerKind::Mysql, settings)?)),
        // The settings are not repeated: a password may be among them.
        _ => Err(UrlError::Unknown { text: format!("dbi:{driver}:…") }),
    }
}

/// The file is named by one of three keys, or stands alone.
fn sqlite(settings: &str) -> Result<RegistryUrl, UrlError> {
    let named = settings.split(';').filter_map(|setting| setting.split_once('='));
    let file = named.into_iter().find(|(key, _)| is_database(key)).map(|(_, file)| file);
    RegistryUrl::from_sqlite_file(file.unwrap_or(settings))
}

fn is_database(key: &str) -> bool {
    matches!(key, "dbname" | "database" | "db")
}

/// DBD::mysql separates settings by `:` too, and takes a first word without a key for the database.
fn server(kind: ServerKind, settings: &str) -> Result<Server, AddressError> {
    let mut server = Server::unnamed(kind);
    let separators: &[char] = if kind == ServerKind::Mysql { &[';', ':'] } else { &[';', ' '] };
    for setting in settings.split(separators).filter(|setting| !setting.is_empty()) {
        let (key, value) = setting.split_once('=').unwrap_or(("database", setting));
        server.set(key, value.to_owned())?;
    }
    let server = server.expect_database()?;
    server.check()?;
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<RegistryUrl>().unwrap().to_string()
    }

    #[test]
    fn the_perl_originals_examples_are_understood() {
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
    fn what_cannot_be_used_is_refused() {
        let parse = |text: &str| text.parse::<RegistryUrl>();
        assert!(matches!(parse("dbi:Oracle:x"), Err(UrlError::Unknown { .. })));
        assert!(matches!(parse("dbi:SQLite"), Err(UrlError::NoFile)));
        assert!(matches!(parse("dbi:SQLite:dbname="), Err(UrlError::NoFile)));
        assert_eq!(parse("dbi:SQLite:dbname=:memory:"), Err(UrlError::InMemory));
        assert!(matches!(parse("dbi:mysql:host=h"), Err(UrlError::Server(AddressError::Missing { .. }))));
        assert!(matches!(parse("dbi:Pg:dbname=g;port=x"), Err(UrlError::Server(AddressError::Bad { .. }))));
    }
}
