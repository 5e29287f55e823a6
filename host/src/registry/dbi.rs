//! Databases named as Perl's DBI names them, `dbi:DRIVER:SETTINGS`, so that a command line of Net::SimpleGrid
//! works unchanged. It owns that spelling (perldoc DBI, DBD::SQLite, DBD::Pg, DBD::mysql) and nothing else.

use crate::database::{AddressError, Server, ServerKind};

/// What a DBI string names.
pub(super) enum Dbi<'a> {
    /// A SQLite file, as it is written.
    File(&'a str),
    /// A database on a server.
    Server(Server),
    /// Something that needs a driver we do not know.
    Other {
        /// The driver.
        driver: &'a str,
    },
}

/// What the text after `dbi:` names.
pub(super) fn parse(rest: &str) -> Result<Dbi<'_>, AddressError> {
    let (driver, settings) = rest.split_once(':').unwrap_or((rest, ""));
    // Attributes of the handle may follow the driver, as in `dbi:SQLite(RaiseError=>1):…`; they have no
    // meaning here.
    let driver = driver.split('(').next().unwrap_or_default();
    match driver.to_ascii_lowercase().as_str() {
        "sqlite" => Ok(Dbi::File(file(settings))),
        "pg" => Ok(Dbi::Server(server(ServerKind::Postgres, settings)?)),
        "mysql" | "mariadb" => Ok(Dbi::Server(server(ServerKind::Mysql, settings)?)),
        _ => Ok(Dbi::Other { driver }),
    }
}

/// The file, which has one of three keys before it, or none.
fn file(settings: &str) -> &str {
    let mut named = settings.split(';').filter_map(|setting| setting.split_once('='));
    named.find(|(key, _)| is_database(key)).map_or(settings, |(_, file)| file)
}

fn is_database(key: &str) -> bool {
    matches!(key, "dbname" | "database" | "db")
}

/// DBD::mysql separates settings with `:` too, and takes a first word without a key to be the database.
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
