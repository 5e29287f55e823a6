//! One connection of a slave, from its first byte to its end. Past the door, a master and a client with lines
//! each get a session of their kind.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::door::{self, Admitted, Closed, Door, EndOrder, Guest, Inside};
use super::lines::{self, LineClient, LineService};
use super::master_session::{self, SessionEnd};
use super::pool::RunRequest;
use super::registration::RowEvent;
use crate::limits::SILENCE_MAX;
use crate::own_time;
use crate::registry::Reservation;
use crate::wire::{Frame, FrameReader, FrameWriter, ReadEnd, SlaveToMaster, WriteEnd, halves};

/// Frames that may wait for a connection: enough to write several with one call. More wait in the pool's
/// outbox, which is bounded by bytes.
const FRAMES_MAX: usize = 8;

/// Serves one connection to its end. Until it is a master's or sends lines, it may have to make room for
/// others. `lines` is there if clients with lines are served, too.
pub(super) async fn serve(stream: TcpStream, door: Arc<Door>, lines: Option<Arc<LineService>>, guest: Guest) {
    let peer = stream.peer_addr().map_or_else(|_| "a peer".to_owned(), |address| address.to_string());
    let Guest { make_room, has_spoken } = guest;
    let inside = tokio::select! {
        biased;
        inside = door::let_in(stream, &door, lines.is_some(), &has_spoken) => inside,
        Ok(()) = make_room => Err(Closed::MadeRoom),
    };
    match (inside, lines) {
        (Ok(Inside::Master(master)), _) => serve_master(master, &door).await,
        (Ok(Inside::Lines(stream, beginning)), Some(lines)) => {
            lines::serve(LineClient::new(stream, &beginning), &peer, &door, &lines).await;
        }
        (Ok(Inside::Lines(..) | Inside::Empty), _) => {}
        (Err(closed), _) => door.log.on_closed(&peer, &closed),
    }
}

/// Serves a master to its end.
pub(super) async fn serve_master(master: Admitted<'_>, door: &Door) {
    let Admitted { run, reservation, reader, writer, guard } = master;
    // If the row's task is gone, the slave is ending.
    let _ = door.row.send(RowEvent::Occupied).await;
    let is_logged = door.log.sessions.allows_one();
    if is_logged {
        tracing::info!("serving {reservation}");
    }
    let end = carry(run, reader, writer, door).await;
    if is_logged {
        log_end(&reservation, end.as_ref());
    }
    if matches!(end, Some(SessionEnd::Shutdown)) {
        door.order_end(EndOrder::Asked);
    }
    drop(guard);
    let _ = door.row.send(RowEvent::Free(Reservation::from_text(reservation))).await;
}

/// Carries frames between a master and its session, until one of them ends or the connection fails (`None`).
async fn carry(
    run: RunRequest,
    reader: FrameReader<ReadEnd>,
    writer: FrameWriter<WriteEnd>,
    door: &Door,
) -> Option<SessionEnd> {
    let (out, frames) = mpsc::channel(FRAMES_MAX);
    let (receiving, sending) = halves(reader, writer, frames);
    let announcing = announce_drain(door.draining.clone(), out.clone());
    let session = master_session::serve(run, receiving, out, &door.pool, &door.log.sessions);
    let mut sending = std::pin::pin!(sending.run());
    let mut session = std::pin::pin!(session);
    // What comes is bounded by credit, so the sending half has its turn.
    let end = tokio::select! {
        biased;
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
            // The session was cut off, so the pool has not been told yet to forget the run.
            door.pool.detach().await;
        }
        Some(SessionEnd::Bye | SessionEnd::Shutdown) => send_last(sending).await,
        Some(SessionEnd::Lost(_) | SessionEnd::Closed(_)) => {}
    }
    end
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

/// Sends what is still unsent, with the goodbye at its end, if the master still listens.
async fn send_last(sending: std::pin::Pin<&mut impl Future<Output = std::io::Result<()>>>) {
    if !matches!(own_time::within(SILENCE_MAX, sending).await, Some(Ok(()))) {
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
