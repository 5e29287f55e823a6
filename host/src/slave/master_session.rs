//! A slave's side of a link, once the peer is known to be a master: work goes to the pool, and reports go
//! back.

use tokio::io::AsyncRead;
use tokio::sync::{mpsc, oneshot};

use super::admin_command;
use super::log_budget::LogBudget;
use super::pool::{PoolHandle, RunRequest, WorkerId};
use crate::record::RawRecords;
use crate::sink::{SinkSession, SinkTrouble};
use crate::wire::{
    Frame, Heard, HostToWorker, MasterToSlave, PIN_BUILD, PeerError, ReceivingHalf, SlaveToMaster, is_yes,
    worker_item,
};

/// Messages that may wait to go through a sink: enough for the next commit. More wait in the pool's outbox,
/// which is bounded by bytes.
const FRAMES_TO_SINK: usize = 8;

/// Where a session's frames come from: a connection, or a master in the same process.
pub(crate) trait Incoming {
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
pub(crate) enum SessionEnd {
    /// The master said that its run is over.
    Bye,
    /// The master is lost.
    Lost(Option<PeerError>),
    /// The master asked the slave to end.
    Shutdown,
    /// The master broke the rules.
    Closed(String),
}

/// Serves one master until it says goodbye or is lost. The pool is free of its run when this returns. `log`
/// bounds what it can put into the log.
pub(crate) async fn serve(
    run: RunRequest,
    mut incoming: impl Incoming,
    out: mpsc::Sender<Frame<SlaveToMaster>>,
    pool: &PoolHandle,
    log: &LogBudget,
) -> SessionEnd {
    let (close, closed) = oneshot::channel();
    // Without a sink, what the pool says goes to the master as it is.
    let through_sink = match pool.sink.as_ref().map(|sink| SinkSession::new(sink.clone(), run.run)) {
        None => None,
        Some(Ok(session)) => Some(session),
        Some(Err(error)) => {
            return SessionEnd::Closed(format!("this slave cannot get random numbers: {error}"));
        }
    };
    let (to_sink, mut from_pool) = mpsc::channel(FRAMES_TO_SINK);
    let pool_out = if through_sink.is_some() { to_sink } else { out.clone() };
    if pool.attach(run, pool_out, close).await.is_err() {
        return SessionEnd::Lost(None);
    }
    // What the pool says comes before new work, which is bounded by credit.
    let end = tokio::select! {
        biased;
        Ok(reason) = closed => SessionEnd::Closed(reason),
        end = pass_on(through_sink.as_ref(), &mut from_pool, &out, pool) => end,
        end = relay(&mut incoming, pool, through_sink.as_ref(), &out, log) => end,
    };
    // No one is waiting for the sink any more, so pending requests are dropped.
    drop(through_sink);
    pool.detach().await;
    if matches!(end, SessionEnd::Bye | SessionEnd::Shutdown) {
        // The master may have left without waiting for the answer.
        let _ = out.send(SlaveToMaster::Bye.into()).await;
    }
    end
}

/// Passes on what the pool says, through the sink. Never returns if there is no sink, or if everything was
/// said.
async fn pass_on(
    session: Option<&SinkSession>,
    from_pool: &mut mpsc::Receiver<Frame<SlaveToMaster>>,
    out: &mpsc::Sender<Frame<SlaveToMaster>>,
    pool: &PoolHandle,
) -> SessionEnd {
    if let Some(session) = session {
        match session.pass_on(from_pool, out, |ended| pool.counters.add(ended.done, ended.rejected)).await {
            Ok(()) => {}
            Err(SinkTrouble::MasterGone) => return SessionEnd::Lost(None),
            Err(trouble @ SinkTrouble::Sink(_)) => {
                let message = trouble.to_string();
                // A master that is gone does not need to be told.
                let _ = out.send(SlaveToMaster::Failed { message: message.clone() }.into()).await;
                pool.give_up(message).await;
            }
        }
    }
    std::future::pending().await
}

async fn relay(
    incoming: &mut impl Incoming,
    pool: &PoolHandle,
    through_sink: Option<&SinkSession>,
    out: &mpsc::Sender<Frame<SlaveToMaster>>,
    log: &LogBudget,
) -> SessionEnd {
    // Whether the slave ends with the session (`-i done=1`), as in Net::SimpleGrid.
    let mut ends_slave = false;
    loop {
        let frame = match incoming.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return SessionEnd::Lost(None),
            Err(error) => return SessionEnd::Lost(Some(error)),
        };
        let sent = match frame.head {
            MasterToSlave::Batch(head) => {
                if let Some(session) = through_sink
                    && let Err(reason) =
                        session.on_batch(&head, RawRecords::new(head.base, &frame.table, &frame.body).len())
                {
                    return SessionEnd::Closed(reason.to_owned());
                }
                // A sink must know which rows belong to which record.
                let with_row_ends = head.with_row_ends || through_sink.is_some();
                let item = worker_item(&head, with_row_ends, frame.table, frame.body);
                work(pool, WorkerId::new(head.slot, head.epoch), item).await
            }
            MasterToSlave::Flush { batch, slot, epoch } => {
                let item = HostToWorker::Flush { item: batch, last: true };
                work(pool, WorkerId::new(slot, epoch), item.into()).await
            }
            // The connection has answered these already.
            MasterToSlave::Ping(_) | MasterToSlave::Pong(_) => true,
            MasterToSlave::Command { name, value } if name == PIN_BUILD => match value.parse() {
                Ok(file) => pool.pin(file).await.is_ok(),
                Err(error) => return SessionEnd::Closed(format!("{name}={value:.100}: {error}")),
            },
            MasterToSlave::Command { name, value } => {
                if name.eq_ignore_ascii_case("done") {
                    ends_slave = is_yes(&value);
                }
                admin_command::note(&name, &value, log);
                true
            }
            MasterToSlave::Conclude { run_is_over, harvest } => {
                match through_sink {
                    Some(session) => session.conclude(run_is_over, harvest, out.clone()).await,
                    None => {
                        let problem = Some("it has no sink".to_owned());
                        let _ = out.send(SlaveToMaster::Concluded { delivered: None, problem }.into()).await;
                    }
                }
                true
            }
            MasterToSlave::GaveUp(records) => {
                pool.counters.add(0, records);
                true
            }
            MasterToSlave::Bye if ends_slave => return SessionEnd::Shutdown,
            MasterToSlave::Bye => return SessionEnd::Bye,
            MasterToSlave::Shutdown => return SessionEnd::Shutdown,
            MasterToSlave::Reload => {
                tracing::warn!(
                    "the master said what only an administrator may say; its connection is closed"
                );
                false
            }
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
    pool.work(id, item).await.is_ok()
}
