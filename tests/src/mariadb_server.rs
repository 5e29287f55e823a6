//! How a throw-away MariaDB is made, started and queried. When that happens is not its business.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, Value};

use crate::database_server::{Account, Rows};
use crate::throwaway::{Throwaway, find_program};

/// Its programs, if they are installed.
pub(crate) fn programs() -> Result<[PathBuf; 2], String> {
    let hidden = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/libexec")];
    let find = |name| find_program(name, &hidden).ok_or_else(|| format!("there is no `{name}` here"));
    Ok([find("mariadb-install-db")?, find("mariadbd")?])
}

/// A directory in which it can be started.
pub(crate) fn prepare(files: impl FnOnce(&Throwaway)) -> Result<Throwaway, String> {
    let [install, mariadbd] = programs()?;
    let command = |directory: &Path| vec![mariadbd.into_os_string(), defaults_file(directory)];
    let place = Throwaway::new("KILL", command).map_err(|error| error.to_string())?;
    files(&place);
    configure(&place, 0).map_err(|error| error.to_string())?;
    // Without these flags, only the system's root could connect as root, and anyone could connect
    // anonymously.
    let words = "--auth-root-authentication-method=normal --skip-test-db --skip-name-resolve --skip-log-bin";
    let mut arguments = vec![defaults_file(place.directory())];
    arguments.extend(words.split(' ').map(OsString::from));
    place.run(&install, &arguments);
    Ok(place)
}

fn defaults_file(directory: &Path) -> OsString {
    let mut word = OsString::from("--defaults-file=");
    word.push(directory.join("my.cnf"));
    word
}

/// Tells it where to listen. Its data is not worth a write to a disk.
pub(crate) fn configure(place: &Throwaway, port: u16) -> std::io::Result<()> {
    let directory = place.directory().display();
    let settings = format!(
        "[mariadbd]
datadir = {directory}/data
tmpdir = {directory}
socket = {directory}/mysql.sock
pid-file = {directory}/pid
bind-address = 127.0.0.1
port = {port}
skip-name-resolve
skip-log-bin
innodb-flush-log-at-trx-commit = 2
innodb-flush-method = nosync
innodb-doublewrite = 0
innodb-buffer-pool-size = 16M
innodb-log-file-size = 8M
innodb-log-buffer-size = 2M
key-buffer-size = 1M
max-connections = 400
ssl-cert = {directory}/server.crt
ssl-key = {directory}/server.key
"
    );
    place.write("my.cnf", &settings).map(drop)
}

/// Runs a statement over its socket, as the administrator or a user.
pub(crate) async fn query(directory: &Path, account: Account<'_>, sql: &str) -> Result<Rows, String> {
    let (user, password) = account.user.unzip();
    let opts = OptsBuilder::default()
        .socket(Some(directory.join("mysql.sock").display().to_string()))
        .user(Some(user.unwrap_or("root")))
        .pass(password)
        .db_name(account.database);
    let in_words = |error: mysql_async::Error| error.to_string();
    let mut connection = Conn::new(opts).await.map_err(in_words)?;
    let rows: Vec<Row> = connection.query(sql).await.map_err(in_words)?;
    // The answer has arrived; a failed goodbye changes nothing.
    let _ = connection.disconnect().await;
    Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

/// The statements that make a user with its own database.
pub(crate) fn new_database(name: &str, user: &str, password: &str) -> Vec<String> {
    vec![
        format!("CREATE DATABASE `{name}`"),
        format!("CREATE USER `{user}`@`%` IDENTIFIED BY '{password}'"),
        format!("GRANT ALL ON `{name}`.* TO `{user}`@`%`"),
    ]
}
