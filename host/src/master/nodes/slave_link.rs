//! A link over TCP: carries frames both ways between the dispatcher and one slave, until one side is gone.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::link::LinkEvent;
use crate::ids::NodeId;
use crate::own_time;
use crate::wire::{Connection, Frame, Heard, MasterToSlave, ReadEnd, ReceivingHalf, SlaveToMaster, halves};

/// How a link ended.
#[derive(Debug)]
pub(super) enum LinkEnd {
    /// The slave answered our goodbye: it is free.
    Left,
    /// The slave is gone.
    Lost(String),
    /// The run is over, so no one listens to this link any more.
    NotWanted,
}

/// How long a slave that was told goodbye may take to answer. A silent one is given up sooner: this is for a
/// slave that sends heartbeats and nothing else.
const GOODBYE_MAX: Duration = Duration::from_secs(10);

/// Says goodbye to a slave that gets no work, and waits for its answer, or for its end.
pub(super) async fn part(mut connection: Connection) {
    let goodbye = async {
        connection.writer.push(&MasterToSlave::Bye.into());
        connection.writer.flush().await.ok()?;
        while let Ok(Some(frame)) = connection.reader.next().await {
            if matches!(frame.head, SlaveToMaster::Bye) {
                return Some(());
            }
        }
        None
    };
    if !matches!(tokio::time::timeout(GOODBYE_MAX, goodbye).await, Ok(Some(()))) {
        tracing::debug!("a slave that is not used did not answer the goodbye");
    }
}

/// Carries frames until the slave says goodbye, is lost, or is given up.
pub(super) async fn carry(
    node: NodeId,
    connection: Connection,
    frames: mpsc::Receiver<Frame<MasterToSlave>>,
    hung_up: oneshot::Receiver<String>,
    events: mpsc::Sender<LinkEvent>,
) -> LinkEnd {
    let (receiving, sending) = halves(connection.reader, connection.writer, frames);
    let mut sending = std::pin::pin!(sending.run());
    let mut receiving = std::pin::pin!(receive(node, receiving, &events));
    let talking = async {
        // A goodbye that has come counts, even if the connection can no longer be written to. What comes is
        // bounded by what the dispatcher takes, so the sending half has its turn.
        tokio::select! {
            biased;
            end = &mut receiving => end,
            sent = &mut sending => match sent {
                // Everything has been said; the slave's goodbye is still to come.
                Ok(()) => wait_for_goodbye(receiving).await,
                Err(error) => LinkEnd::Lost(error.to_string()),
            },
        }
    };
    tokio::select! {
        biased;
        Ok(reason) = hung_up => LinkEnd::Lost(reason),
        end = talking => end,
    }
}

async fn wait_for_goodbye(receiving: impl Future<Output = LinkEnd>) -> LinkEnd {
    let goodbye = own_time::within(GOODBYE_MAX, receiving).await;
    goodbye.unwrap_or_else(|| LinkEnd::Lost("it did not answer the goodbye".to_owned()))
}

async fn receive(
    node: NodeId,
    mut receiving: ReceivingHalf<ReadEnd, SlaveToMaster>,
    events: &mpsc::Sender<LinkEvent>,
) -> LinkEnd {
    loop {
        let event = match receiving.next().await {
            Ok(Some(Heard::RoundTrip(measured))) => LinkEvent::RoundTrip(node, measured),
            Ok(Some(Heard::Said(Frame { head: SlaveToMaster::Bye, .. }))) => return LinkEnd::Left,
            Ok(Some(Heard::Said(frame))) => LinkEvent::Said(node, frame),
            Ok(None) => return LinkEnd::Lost("it closed the connection".to_owned()),
            Err(error) => return LinkEnd::Lost(error.to_string()),
        };
        if events.send(event).await.is_err() {
            return LinkEnd::NotWanted;
        }
    }
}
