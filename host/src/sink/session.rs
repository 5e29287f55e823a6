//! What stands between a slave's workers and a master's link when the slave has a sink: it gathers reports,
//! has their rows committed, and passes on what is left. It decides nothing (see `report_books` and
//! `judgement`).

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::group::{GROUP_BYTES_MAX, GROUP_ENTRIES_MAX, Group};
use super::handle::{Conclusion, SinkHandle};
use super::report_books::{EndedRecords, Parcel, ReportBooks, settled};
use crate::ids::RunId;
use crate::wire::{BatchHead, Frame, SlaveToMaster};

/// Messages at which gathering stops: those without rows never fill a group.
const PARCELS_MAX: usize = 256;

/// Why a session with a sink cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SinkTrouble {
    /// The sink accepts no more rows.
    #[error("its sink: {0}")]
    Sink(String),
    /// The master's link is gone.
    #[error("the master is gone")]
    MasterGone,
}

/// One master's run, on its way into the sink.
#[derive(Debug)]
pub(crate) struct SinkSession {
    sink: SinkHandle,
    run: RunId,
    books: Arc<Mutex<ReportBooks>>,
    /// Present while the master waits for files; dropping it tells the actor that delivers them that the
    /// session is over.
    concluding: Mutex<Option<oneshot::Sender<()>>>,
}

impl SinkSession {
    /// A session without records.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn new(sink: SinkHandle, run: RunId) -> std::io::Result<Self> {
        let books = Arc::new(Mutex::new(ReportBooks::new(RunId::random()?)));
        Ok(Self { sink, run, books, concluding: Mutex::new(None) })
    }

    /// A batch is about to go to a worker.
    ///
    /// # Errors
    /// The rule that the master broke with it.
    pub(crate) fn on_batch(&self, head: &BatchHead, records: usize) -> Result<(), &'static str> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).on_batch(head, records)
    }

    /// Called when the master is done with this slave; the answer goes to `out`.
    pub(crate) async fn conclude(
        &self,
        run_is_over: bool,
        harvest: Option<String>,
        out: mpsc::Sender<Frame<SlaveToMaster>>,
    ) {
        let conclusion = Conclusion { run: self.run, run_is_over, harvest };
        let session = self.sink.conclude(conclusion, out).await;
        *self.concluding.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    /// Passes on the pool's messages in order, each when everything before it is committed, until no more
    /// come. `count` is told what the master was told.
    ///
    /// # Errors
    /// If the sink accepts no more rows, or the master is gone.
    pub(crate) async fn pass_on(
        &self,
        frames: &mut mpsc::Receiver<Frame<SlaveToMaster>>,
        out: &mpsc::Sender<Frame<SlaveToMaster>>,
        count: impl Fn(EndedRecords),
    ) -> Result<(), SinkTrouble> {
        while let Some(first) = frames.recv().await {
            let (parcels, group) = self.gather(first, frames).await;
            let group = Arc::new(group);
            let fates = match group.entries.is_empty() {
                true => Vec::new(),
                false => self.sink.commit(group.clone()).await.map_err(SinkTrouble::Sink)?,
            };
            for parcel in parcels {
                let ended = parcel.ended(&fates);
                for frame in settled(parcel, &group, &fates) {
                    out.send(frame).await.map_err(|_| SinkTrouble::MasterGone)?;
                }
                count(ended);
            }
        }
        Ok(())
    }

    /// Gathers the messages of a few milliseconds. A message that needs no commit is not kept waiting.
    async fn gather(
        &self,
        first: Frame<SlaveToMaster>,
        frames: &mut mpsc::Receiver<Frame<SlaveToMaster>>,
    ) -> (Vec<Parcel>, Group) {
        let mut group = Group::new(self.run);
        let mut parcels = vec![self.take(first, &mut group)];
        let deadline = Instant::now() + self.sink.gather;
        while !group.entries.is_empty()
            && group.bytes < GROUP_BYTES_MAX
            && group.entries.len() < GROUP_ENTRIES_MAX
            && parcels.len() < PARCELS_MAX
        {
            let next = match frames.try_recv() {
                Ok(frame) => Some(frame),
                Err(_) => timeout_at(deadline, frames.recv()).await.ok().flatten(),
            };
            let Some(frame) = next else { break };
            parcels.push(self.take(frame, &mut group));
        }
        (parcels, group)
    }

    fn take(&self, frame: Frame<SlaveToMaster>, group: &mut Group) -> Parcel {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).on_frame(frame, group)
    }
}
