//! Connecting to MySQL and MariaDB. What is said over the connection is the caller's business.

use std::path::PathBuf;

use mysql_async::{Conn, Error, IoError, OptsBuilder, SslOpts};
use rustls::CertificateError;

use super::connection_settings::{CONNECT_MAX, ConnectionSettings};
use super::database_error::{DatabaseError, Trouble};
use super::server::Server;
use super::tls::{self, TlsMode};

/// Its default port, and where distributions put its socket.
const PORT: u16 = 3306;
const SOCKETS: [&str; 3] = ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];

/// Connects.
///
/// # Errors
/// In words that name the server and say what to do.
pub async fn connect(server: &Server) -> Result<Conn, DatabaseError> {
    let connecting = tokio::time::timeout(CONNECT_MAX, connect_patiently(server));
    let silent = Trouble::Silent { seconds: CONNECT_MAX.as_secs() };
    connecting.await.unwrap_or(Err(silent)).map_err(|trouble| DatabaseError::new(server, trouble))
}

/// What a failure of a statement means.
pub(crate) fn in_words(server: &Server, error: &Error) -> DatabaseError {
    DatabaseError::new(server, Trouble::of_mysql(server, error))
}

async fn connect_patiently(server: &Server) -> Result<Conn, Trouble> {
    let settings =
        server.connection_settings().map_err(|error| Trouble::Other { words: error.to_string() })?;
    let opts = opts(server);
    let in_words = |error: Error| Trouble::of_mysql(server, &error);
    if let Some(socket) = socket(server, &settings) {
        // A socket needs no TLS.
        return Conn::new(opts.socket(Some(socket.display().to_string()))).await.map_err(in_words);
    }
    if settings.tls == TlsMode::Disable {
        return Conn::new(opts).await.map_err(in_words);
    }
    let ssl = ssl_opts(&settings)?;
    let error = match Conn::new(opts.clone().ssl_opts(ssl.clone())).await {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    match (settings.tls, Trouble::of_mysql(server, &error)) {
        // As in its own client: if TLS is only preferred and does not work, go on without it.
        (TlsMode::Prefer, Trouble::NoTls | Trouble::Tls { .. }) => Conn::new(opts).await.map_err(in_words),
        // A good certificate for another host is good enough. The library cannot be told so (it looks for a
        // word that rustls no longer uses), but it can be told which host to expect: one for which the
        // certificate is.
        (TlsMode::VerifyCa, trouble) => match name_in_certificate(&error) {
            Some(name) => {
                let ssl = ssl.with_danger_tls_hostname_override(Some(name));
                Conn::new(opts.ssl_opts(ssl)).await.map_err(in_words)
            }
            None => Err(trouble),
        },
        (_, trouble) => Err(trouble),
    }
}

fn opts(server: &Server) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(server.host.as_deref().unwrap_or("localhost"))
        .tcp_port(server.port.unwrap_or(PORT))
        .user(server.user())
        .pass(server.password.clone())
        .db_name(Some(&server.database))
        // An address that is named is meant, even if the server has a socket too.
        .prefer_socket(false)
        // A row that is found counts as changed, even if it stays the same.
        .client_found_rows(true)
}

/// The socket that is named, or else the usual one, if it exists and is meant. To all clients of MySQL,
/// `localhost` means the socket. Here it does not if another port is named, or if TLS is required.
fn socket(server: &Server, settings: &ConnectionSettings) -> Option<PathBuf> {
    let usual = || SOCKETS.iter().map(PathBuf::from).find(|socket| socket.exists());
    let is_local = server.host.as_deref().is_none_or(|host| host == "localhost");
    let is_meant = is_local && server.port.unwrap_or(PORT) == PORT && settings.tls < TlsMode::Require;
    settings.socket.clone().or_else(|| is_meant.then(usual).flatten())
}

fn ssl_opts(settings: &ConnectionSettings) -> Result<SslOpts, Trouble> {
    tls::install_provider();
    let ssl = SslOpts::default();
    match &settings.authorities {
        Some(file) if settings.tls >= TlsMode::VerifyCa => {
            tls::read_authorities(file).map_err(|reason| Trouble::Authorities { reason })?;
            Ok(ssl.with_root_certs(vec![file.clone().into()]).with_disable_built_in_roots(true))
        }
        _ => Ok(ssl.with_danger_accept_invalid_certs(true)),
    }
}

/// A host for which the server's certificate is, if the host is all that is wrong with it.
fn name_in_certificate(error: &Error) -> Option<String> {
    let Error::Io(IoError::Io(io)) = error else { return None };
    let inner = io.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) = inner
    else {
        return None;
    };
    // Each is written as `DnsName("localhost")`.
    presented.iter().find_map(|name| Some(name.split_once('"')?.1.split_once('"')?.0.replace("*.", "any.")))
}
