//! How a throw-away PostgreSQL is made, started and queried. When that happens is not its business.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use crate::database_server::{Account, Rows};
use crate::throwaway::{Throwaway, find_program};

/// The administrator needs no password, but must be on this machine and able to open the socket.
const WHO_MAY_CONNECT: &str = "local all postgres trust
local all all scram-sha-256
host all rejected 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
";

/// Its programs, if they are installed.
pub(crate) fn programs() -> Result<[PathBuf; 2], String> {
    let mut hidden: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    hidden.sort();
    hidden.reverse();
    let find = |name| find_program(name, &hidden).ok_or_else(|| format!("there is no `{name}` here"));
    Ok([find("initdb")?, find("postgres")?])
}

/// A directory in which it can be started.
pub(crate) fn prepare(files: impl FnOnce(&Throwaway)) -> Result<Throwaway, String> {
    let [initdb, postgres] = programs()?;
    let command =
        |directory: &Path| vec![postgres.into_os_string(), "-D".into(), directory.join("data").into()];
    // INT would wait for clients; QUIT leaves at once, and takes the shared memory along.
    let place = Throwaway::new("QUIT", command).map_err(|error| error.to_string())?;
    files(&place);
    let words = "--no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C --pgdata";
    let mut arguments: Vec<OsString> = words.split(' ').map(OsString::from).collect();
    arguments.push(place.directory().join("data").into());
    place.run(&initdb, &arguments);
    place.write("data/pg_hba.conf", WHO_MAY_CONNECT).map_err(|error| error.to_string())?;
    Ok(place)
}

/// Tells it where to listen. Its data is not worth a write to a disk.
pub(crate) fn configure(place: &Throwaway, port: u16) -> std::io::Result<()> {
    let directory = place.directory().display();
    let settings = format!(
        "listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{directory}'
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
shared_buffers = 16MB
max_connections = 400
ssl = on
ssl_cert_file = '{directory}/server.crt'
ssl_key_file = '{directory}/server.key'
"
    );
    place.write("data/postgresql.auto.conf", &settings).map(drop)
}

/// Runs a statement over its socket, as the administrator or a user.
pub(crate) async fn query(
    directory: &Path,
    port: u16,
    account: Account<'_>,
    sql: &str,
) -> Result<Rows, String> {
    let mut config = Config::new();
    config.host_path(directory).port(port).dbname(account.database.unwrap_or("postgres"));
    match account.user {
        Some((name, password)) => config.user(name).password(password),
        None => config.user("postgres"),
    };
    let in_words = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(error) => error.to_string(),
        None => error.to_string(),
    };
    let (client, connection) = config.connect(NoTls).await.map_err(in_words)?;
    let talk = async move {
        let messages = client.simple_query(sql).await.map_err(in_words)?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    };
    let (rows, _) = tokio::join!(talk, connection);
    rows
}

/// The statements that make a user with its own database.
pub(crate) fn new_database(name: &str, user: &str, password: &str) -> Vec<String> {
    vec![
        format!("CREATE ROLE \"{user}\" LOGIN PASSWORD '{password}'"),
        format!("CREATE DATABASE \"{name}\" OWNER \"{user}\""),
    ]
}
