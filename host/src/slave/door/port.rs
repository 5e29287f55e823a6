//! The port of a slave: taking it, and accepting connections there.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::time;

/// Connections that the system keeps until they are accepted. It drops those that come beyond that, and a
/// master tries again only after a second: the usual 128 are soon filled.
const BACKLOG: u32 = 1024;

/// How long a port may still be in use after its last slave was killed.
const IN_USE_MAX: Duration = Duration::from_secs(2);

/// How often a port in use is asked for again: a person does not notice the delay.
const RETRY_EVERY: Duration = Duration::from_millis(50);

/// Takes the port. One that is in use is asked for again for a while: after a slave was killed, the system
/// needs a moment before it gives its port to another.
///
/// # Errors
/// Those of the system.
pub(crate) async fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let began = time::now();
    loop {
        match listen(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && time::now() < began + IN_USE_MAX => {
                tokio::time::sleep(RETRY_EVERY).await;
            }
            result => return result,
        }
    }
}

/// A socket that listens on that port.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of the last slave there may still be closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts the next connection, but not before that time. Cancel safe: a connection that was not accepted
/// waits in the system.
///
/// # Errors
/// Those of the system.
pub(crate) async fn accept(listener: &TcpListener, not_before: Option<Instant>) -> io::Result<TcpStream> {
    if let Some(not_before) = not_before {
        tokio::time::sleep_until(not_before.into()).await;
    }
    Ok(listener.accept().await?.0)
}
