//! Who is at the door, and whether it is let in: the handshake, and all that an administrator wants.

use std::time::Duration;

use tokio::net::TcpStream;

use super::closed::{Closed, RESERVATION_BYTES_MAX};
use super::first_bytes::{self, Caller};
use super::occupancy::Occupied;
use super::slave_door::{Door, EndOrder, Reloaded};
use super::waiting_room::HasSpoken;
use crate::limits::{HEARTBEAT_EVERY, SILENCE_MAX};
use crate::own_time;
use crate::slave::admin_command;
use crate::slave::pool::RunRequest;
use crate::wire::{
    Frame, FrameLimits, FrameReader, FrameWriter, Hello, MasterToSlave, PREAMBLE_BYTES, ReadEnd, Refusal,
    Role, SlaveToMaster, WriteEnd, answer_preamble, exchange_preambles,
};

/// A master that was let in.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    /// What its run asks for.
    pub run: RunRequest,
    /// The name of its reservation.
    pub reservation: String,
    /// What it says.
    pub reader: FrameReader<ReadEnd>,
    /// What it is told.
    pub writer: FrameWriter<WriteEnd>,
    /// The slave is the master's.
    pub guard: Occupied<'a>,
}

/// What is past the door, and no guest any more.
#[derive(Debug)]
pub(crate) enum Inside<'a> {
    /// A master.
    Master(Admitted<'a>),
    /// A client with lines, and what it has sent so far.
    Lines(TcpStream, Vec<u8>),
    /// Nothing: the peer has left again.
    Empty,
}

/// Finds out what kind of peer it is. `takes_lines` says whether clients with lines are let in, too;
/// `has_spoken` is noted when it turns out to speak our protocol.
///
/// # Errors
/// Why the connection is closed.
pub(crate) async fn let_in<'d>(
    mut stream: TcpStream,
    door: &'d Door,
    takes_lines: bool,
    has_spoken: &HasSpoken,
) -> Result<Inside<'d>, Closed> {
    let preamble = match takes_lines {
        false => None,
        true => match first_bytes::read(&mut stream).await? {
            Caller::Gone => return Ok(Inside::Empty),
            Caller::Ours(preamble) => Some(preamble),
            Caller::Lines(beginning) => return Ok(Inside::Lines(stream, beginning)),
        },
    };
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let_in_ours((ReadEnd::new(read), WriteEnd::new(write)), preamble, door, has_spoken).await
}

/// Shakes hands with a peer that speaks our protocol. An administrator is served here; a master is returned.
///
/// # Errors
/// Why the connection is closed.
pub(crate) async fn let_in_ours<'d>(
    (read, write): (ReadEnd, WriteEnd),
    preamble: Option<[u8; PREAMBLE_BYTES]>,
    door: &'d Door,
    has_spoken: &HasSpoken,
) -> Result<Inside<'d>, Closed> {
    let handshake = own_time::within(SILENCE_MAX, shake_hands(read, write, preamble, has_spoken));
    let (mut reader, mut writer, hello) = handshake.await.ok_or(Closed::Silent)??;
    match hello.role {
        Role::Administrator => {
            say(&mut writer, SlaveToMaster::Welcome(door.welcome())).await?;
            administrate(reader, writer, door).await?;
            Ok(Inside::Empty)
        }
        Role::Master { reservation, .. } if reservation.len() > RESERVATION_BYTES_MAX => {
            Err(Closed::LongName(reservation.len()))
        }
        Role::Master { reservation, format, record_timeout_ms, run, rows } => {
            let record_timeout = record_timeout_ms.map(Duration::from_millis);
            let run = RunRequest { run, format, rows, record_timeout };
            let guard = match door.occupancy.occupy(&reservation) {
                Ok(guard) => guard,
                Err(refusal) => {
                    say(&mut writer, SlaveToMaster::Refused(refusal.clone())).await?;
                    return Err(Closed::Refused(refusal));
                }
            };
            say(&mut writer, SlaveToMaster::Welcome(door.welcome())).await?;
            reader.set_limits(FrameLimits::SESSION);
            Ok(Inside::Master(Admitted { run, reservation, reader, writer, guard }))
        }
    }
}

async fn shake_hands(
    mut read: ReadEnd,
    mut write: WriteEnd,
    preamble: Option<[u8; PREAMBLE_BYTES]>,
    has_spoken: &HasSpoken,
) -> Result<(FrameReader<ReadEnd>, FrameWriter<WriteEnd>, Hello), Closed> {
    match preamble {
        Some(theirs) => answer_preamble(theirs, &mut write).await?,
        None => exchange_preambles(&mut read, &mut write).await?,
    }
    has_spoken.note();
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

async fn say(writer: &mut FrameWriter<WriteEnd>, message: SlaveToMaster) -> std::io::Result<()> {
    writer.push(&Frame::from(message));
    writer.flush().await
}

/// Takes commands, one after the other, until the administrator leaves.
async fn administrate(
    mut reader: FrameReader<ReadEnd>,
    mut writer: FrameWriter<WriteEnd>,
    door: &Door,
) -> Result<(), Closed> {
    loop {
        let next = own_time::within(SILENCE_MAX, reader.next::<MasterToSlave>());
        match next.await.ok_or(Closed::Silent)??.map(|frame| frame.head) {
            Some(MasterToSlave::Shutdown) => {
                tracing::info!("an administrator asks this slave to end");
                door.order_end(EndOrder::Asked);
                return Ok(say(&mut writer, SlaveToMaster::Bye).await?);
            }
            Some(MasterToSlave::Reload) => {
                tracing::info!("an administrator asks this slave to reload its library");
                let answer = reload(&mut writer, door).await?;
                return Ok(say(&mut writer, answer).await?);
            }
            Some(MasterToSlave::Command { name, value }) => {
                admin_command::note(&name, &value, &door.log.sessions);
            }
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

/// Reloads the library. That can take as long as the longest record, so the administrator hears signs of
/// life.
async fn reload(writer: &mut FrameWriter<WriteEnd>, door: &Door) -> std::io::Result<SlaveToMaster> {
    let mut reloading = std::pin::pin!(door.reload());
    let mut signs_of_life = tokio::time::interval(HEARTBEAT_EVERY);
    loop {
        tokio::select! {
            biased;
            result = &mut reloading => return Ok(match result {
                Ok(Reloaded { build, task_version }) => SlaveToMaster::Reloaded { build, task_version },
                Err(message) => SlaveToMaster::NotReloaded { message },
            }),
            _ = signs_of_life.tick() => say(writer, SlaveToMaster::Ping(0)).await?,
        }
    }
}
