//! The door of a slave: who connects, who is let in, and one master (or client with lines) at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc, watch};

use super::first_bytes::{self, Caller};
use super::waiting_room::{GUESTS_MAX, MakeRoom};
use crate::limits::SILENCE_MAX;
use crate::registry::Reservation;
use crate::slave::line_limit::LineLimit;
use crate::slave::lines::{self, LineClient, LineDoor};
use crate::slave::master_session::{self, SessionEnd, on_command};
use crate::slave::pool::{PoolHandle, RunRequest};
use crate::slave::registration::RowEvent;
use crate::wire::{
    Frame, FrameLimits, FrameReader, FrameWriter, Hello, MasterToSlave, PREAMBLE_BYTES, Refusal, Role,
    SlaveToMaster, Welcome, answer_preamble, exchange_preambles, halves,
};

/// Frames that may wait for a connection: enough to write several with one call. More wait in the pool's
/// outbox, which is bounded by bytes.
const FRAMES_MAX: usize = 8;

/// Lines of one kind that peers may cause in a second.
const LINES_A_SECOND_MAX: u32 = 20;

/// Bytes of a reservation's name: ours have about forty, and it is repeated to others, and in the log.
const RESERVATION_BYTES_MAX: usize = 256;

/// What all connections of a slave share.
#[derive(Debug)]
pub(crate) struct Door {
    /// What masters are told.
    pub welcome: Welcome,
    /// Where work goes.
    pub pool: PoolHandle,
    /// Where the row is.
    pub row: mpsc::Sender<RowEvent>,
    /// Who is in.
    pub occupant: Mutex<Option<String>>,
    /// Tells one who waits that nobody is in any more.
    pub left: Notify,
    /// There if clients of Net::SimpleGrid are let in, too.
    pub lines: Option<LineDoor>,
    /// Whether the slave is about to end.
    pub draining: watch::Receiver<bool>,
    /// Asks the slave to end.
    pub end: mpsc::Sender<EndOrder>,
    /// Bounds what peers can put into the log.
    pub log: DoorLog,
}

/// Why the slave is to end.
#[derive(Debug)]
pub(crate) enum EndOrder {
    /// Someone who may do so has asked for it.
    Asked,
    /// It cannot do what it is there for.
    CannotGoOn(String),
}

/// How much the log says of peers, whoever they are and however many.
#[derive(Debug)]
pub(crate) struct DoorLog {
    /// Of connections that were closed.
    closings: LineLimit,
    /// Of masters and what they and administrators say.
    pub sessions: LineLimit,
}

impl Default for DoorLog {
    fn default() -> Self {
        Self { closings: LineLimit::new(LINES_A_SECOND_MAX), sessions: LineLimit::new(LINES_A_SECOND_MAX) }
    }
}

impl DoorLog {
    /// A second has passed: what was left out is said as a number.
    pub(crate) fn on_second(&self) {
        let (closings, sessions) = (self.closings.start_period(), self.sessions.start_period());
        if closings > 0 {
            tracing::warn!("… and {closings} more connections were closed");
        }
        if sessions > 0 {
            tracing::warn!("… and {sessions} more lines about masters and administrators");
        }
    }

    fn on_closed(&self, peer: &str, closed: &Closed) {
        match closed {
            // Whoever comes only to see whether the port is open does no harm.
            Closed::Handshake(crate::wire::HandshakeError::Io(error)) => {
                tracing::debug!(peer, "a connection was closed: {error}");
            }
            closed if self.closings.allows_one() => tracing::warn!(peer, "a connection was closed: {closed}"),
            _ => {}
        }
    }
}

/// Why a connection was closed.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("it did not say who it is within {} s", SILENCE_MAX.as_secs())]
    Silent,
    #[error(transparent)]
    Handshake(#[from] crate::wire::HandshakeError),
    #[error(transparent)]
    Frame(#[from] crate::wire::FrameError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("it was one of more than {GUESTS_MAX}, and the oldest")]
    MadeRoom,
    #[error("its name for its reservation has {0} bytes, more than the {RESERVATION_BYTES_MAX} allowed")]
    LongName(usize),
}

/// A master that was let in.
struct Admitted<'a> {
    run: RunRequest,
    reservation: String,
    reader: FrameReader<OwnedReadHalf>,
    writer: FrameWriter<OwnedWriteHalf>,
    guard: Occupied<'a>,
}

/// Who has got through the door, and is no guest any more.
enum Inside<'a> {
    Master(Admitted<'a>),
    Lines(LineClient, &'a LineDoor),
    /// It has left again.
    Nobody,
}

/// Serves one connection to its end. Until it is a master's or sends lines, it may have to make room for
/// others.
pub(crate) async fn serve(stream: TcpStream, door: Arc<Door>, make_room: MakeRoom) {
    let peer = stream.peer_addr().map_or_else(|_| "a peer".to_owned(), |address| address.to_string());
    let inside = tokio::select! {
        inside = let_in(stream, &door) => inside,
        Ok(()) = make_room => Err(Closed::MadeRoom),
    };
    match inside {
        Ok(Inside::Nobody) => {}
        Ok(Inside::Lines(client, lines)) => lines::serve(client, &peer, &door, lines).await,
        Ok(Inside::Master(Admitted { run, reservation, reader, writer, guard })) => {
            serve_master(run, &reservation, reader, writer, &door).await;
            drop(guard);
            // A row task that is gone means that the slave ends.
            let _ = door.row.send(RowEvent::Free(Reservation::from_text(reservation))).await;
        }
        Err(closed) => door.log.on_closed(&peer, &closed),
    }
}

/// Finds out who is there.
async fn let_in(mut stream: TcpStream, door: &Door) -> Result<Inside<'_>, Closed> {
    let Some(lines) = &door.lines else { return let_in_ours(stream, None, door).await };
    match first_bytes::read(&mut stream).await? {
        Caller::Nobody => Ok(Inside::Nobody),
        Caller::Ours(preamble) => let_in_ours(stream, Some(preamble), door).await,
        Caller::Lines(beginning) => Ok(Inside::Lines(LineClient::new(stream, &beginning), lines)),
    }
}

/// Shakes hands, and serves an administrator; a master is returned.
async fn let_in_ours(
    stream: TcpStream,
    preamble: Option<[u8; PREAMBLE_BYTES]>,
    door: &Door,
) -> Result<Inside<'_>, Closed> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let handshake = tokio::time::timeout(SILENCE_MAX, shake_hands(read, write, preamble));
    let (mut reader, mut writer, hello) = handshake.await.map_err(|_| Closed::Silent)??;
    match hello.role {
        Role::Administrator => {
            say(&mut writer, SlaveToMaster::Welcome(door.welcome.clone())).await?;
            administrate(reader, writer, door).await?;
            Ok(Inside::Nobody)
        }
        Role::Master { reservation, .. } if reservation.len() > RESERVATION_BYTES_MAX => {
            Err(Closed::LongName(reservation.len()))
        }
        Role::Master { reservation, format, record_timeout_ms, run } => {
            let record_timeout = record_timeout_ms.map(Duration::from_millis);
            let run = RunRequest { run, format, record_timeout };
            let guard = match occupy(door, &reservation) {
                Ok(guard) => guard,
                Err(refusal) => {
                    say(&mut writer, SlaveToMaster::Refused(refusal.clone())).await?;
                    return Err(Closed::Refused(refusal));
                }
            };
            say(&mut writer, SlaveToMaster::Welcome(door.welcome.clone())).await?;
            reader.set_limits(FrameLimits::SESSION);
            Ok(Inside::Master(Admitted { run, reservation, reader, writer, guard }))
        }
    }
}

async fn shake_hands(
    mut read: OwnedReadHalf,
    mut write: OwnedWriteHalf,
    preamble: Option<[u8; PREAMBLE_BYTES]>,
) -> Result<(FrameReader<OwnedReadHalf>, FrameWriter<OwnedWriteHalf>, Hello), Closed> {
    match preamble {
        Some(theirs) => answer_preamble(theirs, &mut write).await?,
        None => exchange_preambles(&mut read, &mut write).await?,
    }
    let mut reader = FrameReader::new(read, FrameLimits::HANDSHAKE);
    let mut writer = FrameWriter::new(write);
    match reader.next::<MasterToSlave>().await? {
        Some(Frame { head: MasterToSlave::Hello(hello), .. }) => Ok((reader, writer, hello)),
        _ => {
            say(&mut writer, SlaveToMaster::Refused(Refusal::NoHello)).await?;
            Err(Closed::Refused(Refusal::NoHello))
        }
    }
}

async fn say(writer: &mut FrameWriter<OwnedWriteHalf>, message: SlaveToMaster) -> std::io::Result<()> {
    writer.push(&Frame::from(message));
    writer.flush().await
}

/// Takes commands, one after the other, until the administrator leaves.
async fn administrate(
    mut reader: FrameReader<OwnedReadHalf>,
    mut writer: FrameWriter<OwnedWriteHalf>,
    door: &Door,
) -> Result<(), Closed> {
    loop {
        let next = tokio::time::timeout(SILENCE_MAX, reader.next::<MasterToSlave>());
        match next.await.map_err(|_| Closed::Silent)??.map(|frame| frame.head) {
            Some(MasterToSlave::Shutdown) => {
                tracing::info!("an administrator asks this slave to end");
                // Asked twice, it ends once.
                let _ = door.end.try_send(EndOrder::Asked);
                return Ok(say(&mut writer, SlaveToMaster::Bye).await?);
            }
            Some(MasterToSlave::Command { name, value }) => on_command(&name, &value, &door.log.sessions),
            Some(MasterToSlave::Bye) => return Ok(say(&mut writer, SlaveToMaster::Bye).await?),
            Some(_) if door.log.sessions.allows_one() => {
                tracing::warn!("an administrator said what only a master may say; ignored");
            }
            Some(_) => {}
            None => return Ok(()),
        }
        if *door.draining.borrow() {
            return Ok(());
        }
    }
}

/// Frees the slave when the session is over, however it ends.
#[derive(Debug)]
pub(crate) struct Occupied<'a>(&'a Door);

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        *self.0.occupant.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.left.notify_one();
    }
}

impl Door {
    /// Waits until nobody is in, and goes in. To be asked by one at a time: it is one that is told. While the
    /// slave drains, it waits for ever.
    pub(crate) async fn occupy_when_free(&self, name: &str) -> Occupied<'_> {
        loop {
            if let Ok(occupied) = occupy(self, name) {
                return occupied;
            }
            self.left.notified().await;
        }
    }
}

fn occupy<'a>(door: &'a Door, reservation: &str) -> Result<Occupied<'a>, Refusal> {
    if *door.draining.borrow() {
        return Err(Refusal::Draining);
    }
    let mut occupant = door.occupant.lock().unwrap_or_else(PoisonError::into_inner);
    match &*occupant {
        Some(other) => Err(Refusal::Busy { reservation: other.clone() }),
        None => {
            *occupant = Some(reservation.to_owned());
            Ok(Occupied(door))
        }
    }
}

async fn serve_master(
    run: RunRequest,
    reservation: &str,
    reader: FrameReader<OwnedReadHalf>,
    writer: FrameWriter<OwnedWriteHalf>,
    door: &Door,
) {
    let _ = door.row.send(RowEvent::Occupied).await;
    let is_logged = door.log.sessions.allows_one();
    if is_logged {
        tracing::info!("serving {reservation}");
    }
    let (out, frames) = mpsc::channel(FRAMES_MAX);
    let (receiving, sending) = halves(reader, writer, frames);
    let announcing = announce_drain(door.draining.clone(), out.clone());
    let session = master_session::serve(run, receiving, out, &door.pool, &door.log.sessions);
    let mut sending = std::pin::pin!(sending.run());
    let mut session = std::pin::pin!(session);
    let end = tokio::select! {
        end = &mut session => Some(end),
        sent = &mut sending => {
            if let Err(error) = sent {
                tracing::debug!("the connection to the master failed: {error}");
            }
            None
        }
        () = announcing => None,
    };
    match &end {
        None => {
            // Whatever the session waited for does not come any more; the pool must forget the run.
            door.pool.detach().await;
        }
        Some(SessionEnd::Bye | SessionEnd::Shutdown) => send_last(sending).await,
        Some(SessionEnd::Lost(_) | SessionEnd::Closed(_)) => {}
    }
    if is_logged {
        log_end(reservation, end.as_ref());
    }
    if matches!(end, Some(SessionEnd::Shutdown)) {
        let _ = door.end.try_send(EndOrder::Asked);
    }
}

/// Says how a session ended.
fn log_end(reservation: &str, end: Option<&SessionEnd>) {
    match end {
        None | Some(SessionEnd::Lost(None)) => {
            tracing::warn!("{reservation} is lost; its work is dropped");
        }
        Some(SessionEnd::Lost(Some(reason))) => {
            tracing::warn!("{reservation} is lost ({reason}); its work is dropped");
        }
        Some(SessionEnd::Closed(reason)) => {
            tracing::warn!("the connection of {reservation} was closed: {reason}; its work is dropped");
        }
        Some(SessionEnd::Bye) => tracing::info!("{reservation} is done"),
        Some(SessionEnd::Shutdown) => {
            tracing::info!("{reservation} is done, and asks this slave to end");
        }
    }
}

/// Sends what is left to say, the goodbye at last, if the master still listens.
async fn send_last(sending: std::pin::Pin<&mut impl Future<Output = std::io::Result<()>>>) {
    if !matches!(tokio::time::timeout(SILENCE_MAX, sending).await, Ok(Ok(()))) {
        tracing::debug!("the master did not wait for the goodbye");
    }
}

/// Tells the master when the slave is about to end. Never returns: the master says goodbye.
async fn announce_drain(mut draining: watch::Receiver<bool>, out: mpsc::Sender<Frame<SlaveToMaster>>) {
    if draining.wait_for(|draining| *draining).await.is_ok() {
        // A master that is gone needs no announcement.
        let _ = out.send(SlaveToMaster::Draining.into()).await;
    }
    drop(out);
    std::future::pending::<()>().await;
}
