//! Connects to a slave and shakes hands, as a master or as an administrator.

use std::pin::Pin;
use std::sync::Arc;
use std::{fmt, io};

use tokio::net::TcpStream;

use super::ends::{ReadEnd, WriteEnd};
use super::frame::{Frame, FrameError, FrameLimits};
use super::frame_reader::FrameReader;
use super::frame_writer::FrameWriter;
use super::handshake::{HandshakeError, exchange_preambles};
use super::message::{Hello, MasterToSlave, Refusal, Role, SlaveToMaster, Welcome};
use crate::build::Build;
use crate::limits::{SILENCE_MAX, SLOTS_MAX};
use crate::own_time;

/// Why a slave cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// No connection.
    #[error("no connection to {address}: {cause}")]
    Connect {
        /// Where to.
        address: String,
        /// Why not.
        cause: io::Error,
    },
    /// It did not answer in time.
    #[error("{address} does not answer")]
    Silent {
        /// Which slave.
        address: String,
    },
    /// It does not speak our protocol.
    #[error("{address}: {cause}")]
    Handshake {
        /// Which slave.
        address: String,
        /// Why.
        cause: HandshakeError,
    },
    /// It broke the protocol.
    #[error("{address}: {cause}")]
    Frame {
        /// Which slave.
        address: String,
        /// How.
        cause: FrameError,
    },
    /// It refused.
    #[error("{address} does not take this run: {refusal}")]
    Refused {
        /// Which slave.
        address: String,
        /// Why.
        refusal: Refusal,
    },
    /// It claims a number of slots that no slave can have.
    #[error("{address} says that it has {slots} slots; a slave has 1 to {SLOTS_MAX}")]
    Slots {
        /// Which slave.
        address: String,
        /// How many.
        slots: u16,
    },
    /// It has not reloaded its library, and goes on as before.
    #[error("{address} was not reloaded: {message}")]
    NotReloaded {
        /// Which slave.
        address: String,
        /// Why.
        message: String,
    },
    /// It closed the connection instead of reloading.
    #[error(
        "{address} closed the connection and did not say what came of the reload: its slave has ended, or is of a \
         version that cannot reload and must be started anew"
    )]
    NoReload {
        /// Which slave.
        address: String,
    },
    /// It sent something other than an answer.
    #[error("{address} answered the hello with an unexpected message")]
    NoAnswer {
        /// Which slave.
        address: String,
    },
}

/// A connection after the handshake.
#[derive(Debug)]
pub(crate) struct Connection {
    /// What the slave says about itself; `None` for an administrator.
    pub welcome: Option<Welcome>,
    /// What it says.
    pub reader: FrameReader<ReadEnd>,
    /// What it is told.
    pub writer: FrameWriter<WriteEnd>,
}

/// A stream that is being made.
type Dialing = Pin<Box<dyn Future<Output = io::Result<(ReadEnd, WriteEnd)>> + Send>>;

/// Makes streams to addresses.
#[derive(Clone)]
pub(crate) struct Dialer(Arc<dyn Fn(&str) -> Dialing + Send + Sync>);

impl Dialer {
    /// Over TCP.
    pub(crate) fn tcp() -> Self {
        Self(Arc::new(|address| Box::pin(dial_tcp(address.to_owned()))))
    }

    /// Over another network.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn new(dial: impl Fn(&str) -> Dialing + Send + Sync + 'static) -> Self {
        Self(Arc::new(dial))
    }

    /// Connects to a slave and shakes hands.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub(crate) async fn connect(&self, address: &str, role: Role) -> Result<Connection, ConnectError> {
        let silent = || ConnectError::Silent { address: address.to_owned() };
        own_time::within(SILENCE_MAX, shake_hands(self, address, role)).await.ok_or_else(silent)?
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}

async fn dial_tcp(address: String) -> io::Result<(ReadEnd, WriteEnd)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    Ok((ReadEnd::new(read), WriteEnd::new(write)))
}

async fn shake_hands(dialer: &Dialer, address: &str, role: Role) -> Result<Connection, ConnectError> {
    let refused = |cause| ConnectError::Connect { address: address.to_owned(), cause };
    let frame_error = |cause| ConnectError::Frame { address: address.to_owned(), cause };
    let (mut read, mut write) = (dialer.0)(address).await.map_err(refused)?;
    exchange_preambles(&mut read, &mut write)
        .await
        .map_err(|cause| ConnectError::Handshake { address: address.to_owned(), cause })?;
    let mut reader = FrameReader::new(read, FrameLimits::HANDSHAKE);
    let mut writer = FrameWriter::new(write);
    let administers = role == Role::Administrator;
    let hello = Hello { role, program: env!("CARGO_PKG_VERSION").to_owned() };
    writer.push(&Frame::from(MasterToSlave::Hello(hello)));
    writer.flush().await.map_err(|error| frame_error(error.into()))?;
    let answer = reader.next::<SlaveToMaster>().await.map_err(frame_error)?;
    let welcome = match answer.map(|frame| frame.head) {
        Some(SlaveToMaster::Welcome(Welcome { slots, .. })) if !(1..=SLOTS_MAX).contains(&slots) => {
            return Err(ConnectError::Slots { address: address.to_owned(), slots });
        }
        Some(SlaveToMaster::Welcome(welcome)) => (!administers).then_some(welcome),
        Some(SlaveToMaster::Refused(refusal)) => {
            return Err(ConnectError::Refused { address: address.to_owned(), refusal });
        }
        _ => return Err(ConnectError::NoAnswer { address: address.to_owned() }),
    };
    reader.set_limits(FrameLimits::SESSION);
    Ok(Connection { welcome, reader, writer })
}

/// Tells a slave one thing, as an administrator, and waits for its goodbye.
///
/// # Errors
/// See [`ConnectError`].
pub(crate) async fn tell(address: &str, message: MasterToSlave) -> Result<(), ConnectError> {
    let mut connection = Dialer::tcp().connect(address, Role::Administrator).await?;
    let frame_error = |cause| ConnectError::Frame { address: address.to_owned(), cause };
    connection.writer.push(&Frame::from(message));
    connection.writer.flush().await.map_err(|error| frame_error(error.into()))?;
    let answer = own_time::within(SILENCE_MAX, connection.reader.next::<SlaveToMaster>());
    match answer.await {
        None => Err(ConnectError::Silent { address: address.to_owned() }),
        Some(Ok(Some(Frame { head: SlaveToMaster::Bye, .. }))) => Ok(()),
        Some(Ok(_)) => Err(ConnectError::NoAnswer { address: address.to_owned() }),
        Some(Err(cause)) => Err(frame_error(cause)),
    }
}

/// Asks a slave to reload its library, as an administrator, and waits until all its workers have done so,
/// which can take as long as its longest record. Returns which build that is, and its version.
///
/// # Errors
/// See [`ConnectError`].
pub(crate) async fn reload(address: &str) -> Result<(Build, String), ConnectError> {
    let mut connection = Dialer::tcp().connect(address, Role::Administrator).await?;
    let address = || address.to_owned();
    connection.writer.push(&Frame::from(MasterToSlave::Reload));
    if connection.writer.flush().await.is_err() {
        return Err(ConnectError::NoReload { address: address() });
    }
    loop {
        let heard = own_time::within(SILENCE_MAX, connection.reader.next::<SlaveToMaster>()).await;
        match heard.ok_or_else(|| ConnectError::Silent { address: address() })? {
            Ok(Some(Frame { head: SlaveToMaster::Ping(_), .. })) => {}
            Ok(Some(Frame { head: SlaveToMaster::Reloaded { build, task_version }, .. })) => {
                return Ok((build, task_version));
            }
            Ok(Some(Frame { head: SlaveToMaster::NotReloaded { message }, .. })) => {
                return Err(ConnectError::NotReloaded { address: address(), message });
            }
            Ok(Some(_)) => return Err(ConnectError::NoAnswer { address: address() }),
            Ok(None) | Err(FrameError::Truncated | FrameError::Io(_)) => {
                return Err(ConnectError::NoReload { address: address() });
            }
            Err(cause) => return Err(ConnectError::Frame { address: address(), cause }),
        }
    }
}
