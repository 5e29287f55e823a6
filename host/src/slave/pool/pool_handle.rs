//! The way to a pool, and its life as its owner sees it: it gets ready, works for one master at a time, and
//! is stopped or killed. Every wait for a pool is written here, and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::counters::Counters;
use super::worker_event::WorkerId;
use crate::build::Digest;
use crate::ids::RunId;
use crate::plugin::RowFormat;
use crate::record::Format;
use crate::sink::SinkHandle;
use crate::wire::{Frame, HostToWorker, SlaveToMaster};
use crate::worker::Launch;

/// How long killed workers may take to be reaped when the program is to stop at once: what is to be put away
/// after them has the rest of a second.
const REAP_AT_ONCE_MAX: Duration = Duration::from_millis(500);

/// What a master's run asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunRequest {
    /// Its name.
    pub run: RunId,
    /// How its records end.
    pub format: Format,
    /// How its rows are written, unless they go to a sink.
    pub rows: RowFormat,
    /// The limit of one record.
    pub record_timeout: Option<Duration>,
}

/// What a pool is told.
#[derive(Debug)]
pub(super) enum PoolCommand {
    /// A master is there.
    Attach {
        /// What it asks for.
        run: RunRequest,
        /// Takes what the master must be told.
        out: mpsc::Sender<Frame<SlaveToMaster>>,
        /// Takes the reason if the master's link must be closed.
        close: oneshot::Sender<String>,
    },
    /// An item for a worker.
    Work(WorkerId, Frame<HostToWorker>),
    /// The master is gone, or done. Answered when nothing of its run is left.
    Detach(oneshot::Sender<()>),
    /// The master's run must not see another build than this file.
    Pin(Digest),
    /// Workers that start from now on load this, and those that are there make room for them.
    Reload {
        /// What they load.
        launch: Box<Launch>,
        /// Takes whether that is possible, and if not, why.
        accepted: oneshot::Sender<Result<(), String>>,
        /// Is used when every worker has loaded it.
        done: oneshot::Sender<()>,
    },
    /// The slave is about to end: tasks are told.
    Hurry,
    /// All workers must end after what they have.
    Stop,
    /// All workers must end at once.
    Kill,
    /// The slave cannot go on, for a reason outside its workers.
    GiveUp {
        /// Why.
        message: String,
    },
}

/// How a pool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PoolStatus {
    /// Its first workers are being started.
    Starting,
    /// It can be given to a master.
    Ready,
    /// It cannot go on.
    Failed {
        /// Why.
        message: String,
    },
    /// All workers have ended.
    Stopped,
}

/// Why a pool did not get ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReady {
    /// Its workers do not start: the library, its task or the arguments cannot be used.
    #[error("{0}")]
    Failed(String),
    /// It has ended.
    #[error(transparent)]
    Gone(#[from] PoolGone),
}

/// The pool has ended, so it takes no more.
#[derive(Debug, thiserror::Error)]
#[error("the workers' pool is gone")]
pub(crate) struct PoolGone;

/// How long a pool's owner waits for its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopPatience {
    /// Until when workers may finish what they have.
    pub finish_by: Instant,
    /// How long workers that were killed after that may take to be reaped.
    pub reap_max: Duration,
}

/// The way to a pool.
#[derive(Debug, Clone)]
pub(crate) struct PoolHandle {
    /// What it has done.
    pub counters: Arc<Counters>,
    /// Where the rows of its workers go, if not to the master.
    pub sink: Option<SinkHandle>,
    commands: mpsc::Sender<PoolCommand>,
    status: watch::Receiver<PoolStatus>,
}

impl PoolHandle {
    /// The way to a pool that takes these commands and shows this status.
    pub(super) fn new(
        commands: mpsc::Sender<PoolCommand>,
        status: watch::Receiver<PoolStatus>,
        counters: Arc<Counters>,
        sink: Option<SinkHandle>,
    ) -> Self {
        Self { counters, sink, commands, status }
    }

    /// Waits until it can be given to a master.
    ///
    /// # Errors
    /// If it never will.
    pub(crate) async fn ready(&self) -> Result<(), NotReady> {
        let mut status = self.status.clone();
        match status.wait_for(|status| *status != PoolStatus::Starting).await.as_deref() {
            Ok(PoolStatus::Failed { message }) => Err(NotReady::Failed(message.clone())),
            Ok(_) => Ok(()),
            Err(_) => Err(PoolGone.into()),
        }
    }

    /// Waits until it cannot go on, and returns why. For ever if it ends otherwise.
    pub(crate) async fn failed(&self) -> String {
        let mut status = self.status.clone();
        let failed = status.wait_for(|status| matches!(status, PoolStatus::Failed { .. })).await;
        let failed = failed.map(|status| status.clone());
        if let Ok(PoolStatus::Failed { message }) = failed {
            return message;
        }
        std::future::pending().await
    }

    /// Gives it to a master. What the master must be told goes to `out`, and the reason to `close` if its
    /// link must be closed.
    ///
    /// # Errors
    /// If the pool is gone.
    pub(crate) async fn attach(
        &self,
        run: RunRequest,
        out: mpsc::Sender<Frame<SlaveToMaster>>,
        close: oneshot::Sender<String>,
    ) -> Result<(), PoolGone> {
        self.tell(PoolCommand::Attach { run, out, close }).await
    }

    /// An item for a worker.
    ///
    /// # Errors
    /// If the pool is gone.
    pub(crate) async fn work(&self, id: WorkerId, item: Frame<HostToWorker>) -> Result<(), PoolGone> {
        self.tell(PoolCommand::Work(id, item)).await
    }

    /// Makes it forget the master's run, and the sink complete what it has of it. Both are done when this
    /// returns.
    pub(crate) async fn detach(&self) {
        let (done, detached) = oneshot::channel();
        if self.tell(PoolCommand::Detach(done)).await.is_ok() {
            // A pool that ends instead is free of the run, too.
            let _ = detached.await;
        }
        if let Some(sink) = &self.sink {
            sink.end_session().await;
        }
    }

    /// The master's run is pinned to the build with this file. If the pool has another by now, the master's
    /// link is closed.
    ///
    /// # Errors
    /// If the pool is gone.
    pub(crate) async fn pin(&self, file: Digest) -> Result<(), PoolGone> {
        self.tell(PoolCommand::Pin(file)).await
    }

    /// Has workers that start from now on load this, and lets those that are there finish what they have and
    /// end. What is returned is used when every worker has loaded it, and dropped if the pool ends before
    /// that.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(crate) async fn reload(&self, launch: Launch) -> Result<oneshot::Receiver<()>, String> {
        let (accepted, is_accepted) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        let command = PoolCommand::Reload { launch: Box::new(launch), accepted, done };
        self.tell(command).await.map_err(|gone| gone.to_string())?;
        is_accepted.await.map_err(|_| PoolGone.to_string())??;
        Ok(is_done)
    }

    /// Tells its tasks that the slave is about to end.
    pub(crate) async fn hurry(&self) {
        // A pool that is gone has no tasks.
        let _ = self.tell(PoolCommand::Hurry).await;
    }

    /// Makes it fail, for a reason outside its workers.
    pub(crate) async fn give_up(&self, message: String) {
        // A pool that is gone need not fail.
        let _ = self.tell(PoolCommand::GiveUp { message }).await;
    }

    /// Lets its workers end after what they have. Those that are still there when the patience is over, or
    /// when `cut_short` is, are killed. Returns whether all have ended.
    pub(crate) async fn stop(&self, patience: StopPatience, cut_short: impl Future) -> bool {
        // A pool that is gone has stopped.
        let _ = self.tell(PoolCommand::Stop).await;
        tokio::select! {
            biased;
            () = self.stopped() => true,
            _ = cut_short => self.kill(patience.reap_max.min(REAP_AT_ONCE_MAX)).await,
            () = tokio::time::sleep_until(patience.finish_by) => self.kill(patience.reap_max).await,
        }
    }

    /// Ends its workers at once. Returns whether all have been reaped in time.
    pub(crate) async fn kill(&self, reap_max: Duration) -> bool {
        // A pool that is gone has killed them.
        let _ = self.tell(PoolCommand::Kill).await;
        tokio::time::timeout(reap_max, self.stopped()).await.is_ok()
    }

    async fn stopped(&self) {
        let mut status = self.status.clone();
        // A pool that is gone has stopped.
        let _ = status.wait_for(|status| *status == PoolStatus::Stopped).await;
    }

    async fn tell(&self, command: PoolCommand) -> Result<(), PoolGone> {
        self.commands.send(command).await.map_err(|_| PoolGone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handle, what it says to its pool, and how the pool seems to be.
    fn pool() -> (PoolHandle, mpsc::Receiver<PoolCommand>, watch::Sender<PoolStatus>) {
        let (commands, inbox) = mpsc::channel(8);
        let (status, status_out) = watch::channel(PoolStatus::Starting);
        (PoolHandle::new(commands, status_out, Arc::default(), None), inbox, status)
    }

    fn patience() -> StopPatience {
        let finish_by = Instant::now() + Duration::from_secs(30);
        StopPatience { finish_by, reap_max: Duration::from_secs(5) }
    }

    #[tokio::test]
    async fn a_pool_gets_ready_or_says_why_it_does_not() {
        let (handle, _inbox, status) = pool();
        status.send_replace(PoolStatus::Ready);
        assert!(handle.ready().await.is_ok());
        status.send_replace(PoolStatus::Failed { message: "no library".into() });
        assert_eq!(handle.ready().await.unwrap_err().to_string(), "no library");
        assert_eq!(handle.failed().await, "no library");
        let (handle, _inbox, status) = pool();
        drop(status);
        assert_eq!(handle.ready().await.unwrap_err().to_string(), "the workers' pool is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn workers_that_end_in_time_are_not_killed() {
        let (handle, mut inbox, status) = pool();
        let ending = async {
            assert!(matches!(inbox.recv().await, Some(PoolCommand::Stop)));
            tokio::time::sleep(Duration::from_secs(29)).await;
            status.send_replace(PoolStatus::Stopped);
        };
        let (has_stopped, ()) = tokio::join!(handle.stop(patience(), std::future::pending::<()>()), ending);
        assert!(has_stopped && inbox.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn workers_that_do_not_end_in_time_are_killed_and_those_that_stay_are_left() {
        let (handle, mut inbox, _status) = pool();
        let began = Instant::now();
        assert!(!handle.stop(patience(), std::future::pending::<()>()).await, "they are not reaped");
        assert_eq!(began.elapsed().as_secs(), 35);
        assert!(matches!(inbox.recv().await, Some(PoolCommand::Stop)));
        assert!(matches!(inbox.recv().await, Some(PoolCommand::Kill)));
    }

    #[tokio::test(start_paused = true)]
    async fn workers_are_killed_at_once_when_the_wait_is_cut_short() {
        let (handle, mut inbox, status) = pool();
        let began = Instant::now();
        let ending = async {
            while !matches!(inbox.recv().await, Some(PoolCommand::Kill)) {}
            status.send_replace(PoolStatus::Stopped);
        };
        let (has_stopped, ()) = tokio::join!(handle.stop(patience(), std::future::ready(())), ending);
        assert!(has_stopped && began.elapsed() < Duration::from_secs(1));
    }
}
