//! Connecting to PostgreSQL. What is said over the connection is the caller's business.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection_settings::{CONNECT_MAX, ConnectionSettings};
use super::database_error::{DatabaseError, Trouble};
use super::server::Server;
use super::tls::{self, TlsMode};
use crate::owned_task::spawn_in;

/// Its default port, and where distributions put its socket.
const PORT: u16 = 5432;
const SOCKET_DIRECTORIES: [&str; 2] = ["/run/postgresql", "/tmp"];

/// How long a connection can be quiet before the system asks whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Makes a connection's commits survive a server that is killed, even where its administrator has turned that
/// off: what was acknowledged must not be gone.
pub(crate) const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
                                  WHERE current_setting('synchronous_commit') = 'off'";

/// A connection. The task that carries its bytes ends with it.
#[derive(Debug)]
pub struct PostgresConnection {
    client: Client,
    _carrier: JoinSet<()>,
}

/// Connects.
///
/// # Errors
/// In words that name the server and say what to do.
pub async fn connect(server: &Server) -> Result<PostgresConnection, DatabaseError> {
    let connecting = tokio::time::timeout(CONNECT_MAX, connect_patiently(server));
    let silent = Trouble::Silent { seconds: CONNECT_MAX.as_secs() };
    connecting.await.unwrap_or(Err(silent)).map_err(|trouble| DatabaseError::new(server, trouble))
}

/// What a failure of a statement means.
pub(crate) fn in_words(server: &Server, error: &tokio_postgres::Error) -> DatabaseError {
    DatabaseError::new(server, Trouble::of_postgres(server, error))
}

async fn connect_patiently(server: &Server) -> Result<PostgresConnection, Trouble> {
    let settings =
        server.connection_settings().map_err(|error| Trouble::Other { words: error.to_string() })?;
    let config = config(server)?;
    match (socket_directory(server), &server.host) {
        (Some(directory), _) => {
            let mut config = config;
            // A socket needs no TLS.
            connect_plainly(server, config.host_path(directory)).await
        }
        (None, Some(host)) => connect_over_tcp(server, &settings, config, host).await,
        (None, None) => connect_over_tcp(server, &settings, config, "localhost").await,
    }
}

/// The directory of the socket that is named, or else, if no host is named, the usual one with a socket in
/// it.
fn socket_directory(server: &Server) -> Option<PathBuf> {
    let file = format!(".s.PGSQL.{}", server.port.unwrap_or(PORT));
    match &server.host {
        Some(host) => host.starts_with('/').then(|| PathBuf::from(host)),
        None => SOCKET_DIRECTORIES.iter().map(PathBuf::from).find(|directory| directory.join(&file).exists()),
    }
}

async fn connect_over_tcp(
    server: &Server,
    settings: &ConnectionSettings,
    mut config: Config,
    host: &str,
) -> Result<PostgresConnection, Trouble> {
    config.host(host);
    let authorities: Option<&Path> = settings.authorities.as_deref();
    if settings.tls == TlsMode::Disable {
        return connect_plainly(server, &config).await;
    }
    let tls =
        tls::client_config(settings.tls, authorities).map_err(|reason| Trouble::Authorities { reason })?;
    config.ssl_mode(if settings.tls == TlsMode::Prefer { SslMode::Prefer } else { SslMode::Require });
    match config.connect(MakeRustlsConnect::new(tls)).await {
        Ok((client, connection)) => Ok(carried(client, connection)),
        Err(error) => match Trouble::of_postgres(server, &error) {
            // As in libpq: if TLS is only preferred and does not work, go on without it.
            Trouble::Tls { .. } if settings.tls == TlsMode::Prefer => connect_plainly(server, &config).await,
            trouble => Err(trouble),
        },
    }
}

async fn connect_plainly(server: &Server, config: &Config) -> Result<PostgresConnection, Trouble> {
    let mut config = config.clone();
    config.ssl_mode(SslMode::Disable);
    let (client, connection) =
        config.connect(NoTls).await.map_err(|error| Trouble::of_postgres(server, &error))?;
    Ok(carried(client, connection))
}

fn config(server: &Server) -> Result<Config, Trouble> {
    let mut config = Config::new();
    config
        .dbname(&server.database)
        .port(server.port.unwrap_or(PORT))
        .application_name("simplegrid")
        .keepalives_idle(KEEPALIVE);
    match server.user() {
        Some(user) => config.user(user),
        None => return Err(Trouble::WrongPassword { with_password: false }),
    };
    if let Some(password) = &server.password {
        config.password(password);
    }
    Ok(config)
}

/// The client, with the task that reads and writes for it. The client learns of what goes wrong there.
fn carried<F>(client: Client, connection: F) -> PostgresConnection
where
    F: Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
{
    let mut carrier = JoinSet::new();
    spawn_in(&mut carrier, async move {
        if let Err(error) = connection.await {
            tracing::debug!("a connection to PostgreSQL has ended: {error}");
        }
    });
    PostgresConnection { client, _carrier: carrier }
}

impl Deref for PostgresConnection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for PostgresConnection {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}
