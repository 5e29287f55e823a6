//! A link within one process: a session over channels, between a master's dispatcher and a slave's pool.

use tokio::sync::{mpsc, oneshot};

use crate::ids::NodeId;
use crate::master::{Joined, LinkEvent, frames_max};
use crate::slave::{self, Incoming, PoolHandle, RunRequest};
use crate::wire::{Frame, MasterToSlave, SlaveToMaster, Welcome};

/// The one node of such a run.
const NODE: NodeId = NodeId(0);

/// What that node is called in reports.
pub(crate) const NODE_NAME: &str = "local";

/// What a link needs.
pub(crate) struct LocalLink {
    /// What the master asks for.
    pub request: RunRequest,
    /// What the slave tells its master.
    pub welcome: Welcome,
    /// The slave's side.
    pub pool: PoolHandle,
    /// What the session is told before any data.
    pub commands: Vec<(String, String)>,
    /// The master's side.
    pub events: mpsc::Sender<LinkEvent>,
}

/// Carries frames until the run is over, or its workers can no longer be used. The session gets what
/// `listening` makes of the master's frames.
pub(crate) async fn carry<I: Incoming>(
    link: LocalLink,
    listening: impl FnOnce(mpsc::Receiver<Frame<MasterToSlave>>) -> I,
) {
    let LocalLink { request, welcome, pool, commands, events } = link;
    let room = frames_max(welcome.slots);
    let (out, from_master) = mpsc::channel(room + commands.len());
    let (to_master, frames) = mpsc::channel(room);
    for (name, value) in commands {
        let command = MasterToSlave::Command { name, value };
        out.try_send(command.into()).expect("the channel has room for the commands");
    }
    let (hang_up, mut hung_up) = oneshot::channel();
    let joined = Joined { node: NODE, name: NODE_NAME.to_owned(), welcome, out, hang_up };
    if events.send(LinkEvent::Joined(joined)).await.is_err() {
        return;
    }
    let log = slave::LogBudget::new(u32::MAX);
    let session = slave::serve(request, listening(from_master), to_master, &pool, &log);
    tokio::join!(session, pass_on(frames, events.clone()));
    if hung_up.try_recv().is_ok() {
        // The dispatcher gave up these workers, and there are no others. If it is gone, the run is over.
        let _ = events.send(LinkEvent::NoNodes("there are no other workers".to_owned())).await;
    }
}

async fn pass_on(mut frames: mpsc::Receiver<Frame<SlaveToMaster>>, events: mpsc::Sender<LinkEvent>) {
    while let Some(frame) = frames.recv().await {
        let event = match frame.head {
            SlaveToMaster::Bye => LinkEvent::Left(NODE),
            SlaveToMaster::Failed { message } => LinkEvent::NoNodes(message),
            _ => LinkEvent::Said(NODE, frame),
        };
        // If the dispatcher is gone, the run is over.
        if events.send(event).await.is_err() {
            return;
        }
    }
}
