//! A slave's side of a link, once the peer is known to be a master: what it sends goes to the pool.

use tokio::io::AsyncRead;
use tokio::sync::{mpsc, oneshot};

use super::line_limit::LineLimit;
use super::worker_link::WorkerId;
use super::worker_pool::{PoolCommand, PoolHandle, RunRequest};
use crate::wire::{
    BatchHead, Frame, Heard, HostToWorker, MasterToSlave, PeerError, ReceivingHalf, SlaveToMaster, is_yes,
};

/// Where a session's frames come from: a connection, or a master in the same process.
pub trait Incoming {
    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// If the peer is lost or breaks the protocol.
    fn next(&mut self) -> impl Future<Output = Result<Option<Frame<MasterToSlave>>, PeerError>> + Send;
}

impl<R: AsyncRead + Unpin + Send> Incoming for ReceivingHalf<R, MasterToSlave> {
    async fn next(&mut self) -> Result<Option<Frame<MasterToSlave>>, PeerError> {
        loop {
            match ReceivingHalf::next(self).await? {
                Some(Heard::Said(frame)) => return Ok(Some(frame)),
                Some(Heard::RoundTrip(_)) => {}
                None => return Ok(None),
            }
        }
    }
}

impl Incoming for mpsc::Receiver<Frame<MasterToSlave>> {
    async fn next(&mut self) -> Result<Option<Frame<MasterToSlave>>, PeerError> {
        Ok(self.recv().await)
    }
}

/// How a session ended.
#[derive(Debug)]
pub enum SessionEnd {
    /// The master said that its run is over.
    Bye,
    /// The master is lost.
    Lost(Option<PeerError>),
    /// The master asked the slave to end.
    Shutdown,
    /// The master broke the rules.
    Closed(String),
}

/// Serves one master until it says goodbye or is lost. The pool is free of its run when this returns. `lines`
/// bounds what it can put into the log.
pub async fn serve(
    run: RunRequest,
    mut incoming: impl Incoming,
    out: mpsc::Sender<Frame<SlaveToMaster>>,
    pool: &PoolHandle,
    lines: &LineLimit,
) -> SessionEnd {
    let (close, closed) = oneshot::channel();
    if pool.commands.send(PoolCommand::Attach { run, out: out.clone(), close }).await.is_err() {
        return SessionEnd::Lost(None);
    }
    let end = tokio::select! {
        end = relay(&mut incoming, pool, lines) => end,
        Ok(reason) = closed => SessionEnd::Closed(reason),
    };
    detach(pool).await;
    if matches!(end, SessionEnd::Bye | SessionEnd::Shutdown) {
        // The master may not wait for the answer.
        let _ = out.send(SlaveToMaster::Bye.into()).await;
    }
    end
}

/// Makes the pool forget the run.
pub async fn detach(pool: &PoolHandle) {
    let (done, detached) = oneshot::channel();
    if pool.commands.send(PoolCommand::Detach(done)).await.is_ok() {
        // A pool that ends instead is free of the run, too.
        let _ = detached.await;
    }
}

async fn relay(incoming: &mut impl Incoming, pool: &PoolHandle, lines: &LineLimit) -> SessionEnd {
    // Whether the slave is to end with the session (`-i done=1`), as in the original.
    let mut ends_slave = false;
    loop {
        let frame = match incoming.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return SessionEnd::Lost(None),
            Err(error) => return SessionEnd::Lost(Some(error)),
        };
        let sent = match frame.head {
            MasterToSlave::Batch(head) => {
                let BatchHead { batch, base, with_row_ends, .. } = head;
                let item = HostToWorker::Batch { item: batch, base, with_row_ends };
                let item = Frame { head: item, table: frame.table, body: frame.body };
                work(pool, WorkerId::new(head.slot, head.epoch), item).await
            }
            MasterToSlave::Flush { batch, slot, epoch } => {
                let item = HostToWorker::Flush { item: batch, last: true };
                work(pool, WorkerId::new(slot, epoch), item.into()).await
            }
            // The connection has answered these already.
            MasterToSlave::Ping(_) | MasterToSlave::Pong(_) => true,
            MasterToSlave::Command { name, value } => {
                if name.eq_ignore_ascii_case("done") {
                    ends_slave = is_yes(&value);
                }
                on_command(&name, &value, lines);
                true
            }
            MasterToSlave::Bye if ends_slave => return SessionEnd::Shutdown,
            MasterToSlave::Bye => return SessionEnd::Bye,
            MasterToSlave::Shutdown => return SessionEnd::Shutdown,
            MasterToSlave::Hello(_) => {
                tracing::warn!("the master said hello twice; its connection is closed");
                false
            }
        };
        if !sent {
            return SessionEnd::Lost(None);
        }
    }
}

async fn work(pool: &PoolHandle, id: WorkerId, item: Frame<HostToWorker>) -> bool {
    pool.commands.send(PoolCommand::Work(id, item)).await.is_ok()
}

/// Judges an administrative command (`-i NAME=VALUE`). Batches find their slots in the master, so the
/// original's commands for a slave's own scheduling have nothing left to do here.
///
/// The peer is not known: what it says is cut, and logged only as often as `lines` allows.
pub fn on_command(name: &str, value: &str, lines: &LineLimit) {
    if !lines.allows_one() {
        return;
    }
    let (name, value) = (&*format!("{name:.100}"), &*format!("{value:.100}"));
    match name {
        "done" => tracing::info!(value, "the master says whether this slave is to end with its run"),
        "scheduler" => tracing::info!(scheduler = value, "the master schedules"),
        _ => tracing::warn!(name, value, "unknown administrative command; ignored"),
    }
}
