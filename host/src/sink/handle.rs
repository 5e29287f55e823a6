//! The actor that owns a slave's sink: commits one group after the other, again and again while the sink is
//! not there. Sessions come and go, and it does not outlive their interest: what nobody waits for is left.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::destination::Destination;
use super::error::StoreError;
use super::group::{Fate, Group};
use super::store::Store;
use crate::ids::RunId;
use crate::limits::SILENCE_MAX;
use crate::wire::{Frame, SlaveToMaster};

/// Commands that may wait: there is one session at a time, with one commit and one conclusion.
const COMMANDS_MAX: usize = 8;

/// Pauses between tries while the sink is not there: doubled, up to the second.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How often the end of a run is noted in a sink that is not there: nothing is lost without it.
const CLOSE_TRIES: u32 = 3;

/// How long a server may take for it.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// What a sink is told.
#[derive(Debug)]
enum SinkCommand {
    Commit { group: Arc<Group>, reply: oneshot::Sender<Result<Vec<Fate>, String>> },
    Conclude { conclusion: Conclusion, alive: oneshot::Receiver<()>, out: mpsc::Sender<Frame<SlaveToMaster>> },
    EndSession { done: oneshot::Sender<()> },
}

/// The run gets no more from here.
#[derive(Debug)]
pub(crate) struct Conclusion {
    /// The run.
    pub run: RunId,
    /// Nothing of it will ever be run again, anywhere.
    pub run_is_over: bool,
    /// Where its files are to be delivered.
    pub harvest: Option<String>,
}

/// The way to a sink.
#[derive(Debug, Clone)]
pub(crate) struct SinkHandle {
    commands: mpsc::Sender<SinkCommand>,
    /// How long it is worth while to wait for more before a commit.
    pub gather: Duration,
}

/// Starts a sink's actor; it runs in `tasks` until all handles are gone.
pub(crate) fn start(store: Store, tasks: &mut JoinSet<()>) -> SinkHandle {
    let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
    let handle = SinkHandle { commands, gather: store.gather() };
    tasks.spawn(work(store, inbox));
    handle
}

impl SinkHandle {
    /// Commits a group, however long that takes.
    ///
    /// # Errors
    /// If the sink will never take it.
    pub(crate) async fn commit(&self, group: Arc<Group>) -> Result<Vec<Fate>, String> {
        let (reply, answer) = oneshot::channel();
        let gone = || "the sink ended unexpectedly".to_owned();
        self.commands.send(SinkCommand::Commit { group, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Puts away what there is of a run; the answer goes to the master by itself. Nobody waits for a delivery
    /// any more when what is returned is dropped.
    pub(crate) async fn conclude(
        &self,
        conclusion: Conclusion,
        out: mpsc::Sender<Frame<SlaveToMaster>>,
    ) -> oneshot::Sender<()> {
        let (session, alive) = oneshot::channel();
        // An actor that is gone means that the slave ends.
        let _ = self.commands.send(SinkCommand::Conclude { conclusion, alive, out }).await;
        session
    }

    /// The session is over, however it ended. Files are complete when this returns.
    pub(crate) async fn end_session(&self) {
        let (done, is_done) = oneshot::channel();
        if self.commands.send(SinkCommand::EndSession { done }).await.is_ok() {
            let _ = is_done.await;
        }
    }
}

async fn work(mut store: Store, mut inbox: mpsc::Receiver<SinkCommand>) {
    while let Some(command) = inbox.recv().await {
        match command {
            SinkCommand::Commit { group, mut reply } => {
                if let Some(result) = commit(&mut store, &group, &mut reply).await {
                    // Who is gone does not need it: its records are run elsewhere, and the ledger knows them.
                    let _ = reply.send(result);
                }
            }
            SinkCommand::Conclude { conclusion, mut alive, out } => {
                let answer = conclude(&mut store, conclusion, &mut alive).await;
                // A master that is gone needs no answer.
                let _ = tokio::time::timeout(SILENCE_MAX, out.send(answer.into())).await;
            }
            SinkCommand::EndSession { done } => {
                end_session(&mut store).await;
                let _ = done.send(());
            }
        }
    }
    end_session(&mut store).await;
}

/// Commits until it is done; `None` if nobody waits for it any more.
async fn commit(
    store: &mut Store,
    group: &Arc<Group>,
    reply: &mut oneshot::Sender<Result<Vec<Fate>, String>>,
) -> Option<Result<Vec<Fate>, String>> {
    let mut pause = PAUSE;
    let mut was_lost = false;
    loop {
        match commit_once(store, group, reply).await? {
            Ok(fates) => {
                if was_lost {
                    tracing::info!("the sink is back");
                }
                note_repeats(&fates);
                return Some(Ok(fates));
            }
            Err(StoreError::Broken(message)) => return Some(Err(message)),
            Err(StoreError::Lost(message)) => {
                if !std::mem::replace(&mut was_lost, true) {
                    tracing::warn!("the sink fails, trying again until it works: {message}");
                } else {
                    tracing::debug!("the sink still fails: {message}");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
            () = reply.closed() => return None,
        }
    }
}

/// `None` if nobody waits for it any more, and it could be left in its middle.
async fn commit_once(
    store: &mut Store,
    group: &Arc<Group>,
    reply: &mut oneshot::Sender<Result<Vec<Fate>, String>>,
) -> Option<Result<Vec<Fate>, StoreError>> {
    let can_be_abandoned = store.can_be_abandoned();
    tokio::select! {
        committed = store.commit(group) => return Some(committed),
        () = reply.closed(), if can_be_abandoned => {}
    }
    store.abandon();
    None
}

/// Says how many records were there already: whoever looks for a row that is missing, or there twice, wants
/// to know.
fn note_repeats(fates: &[Fate]) {
    let there = fates.iter().filter(|fate| **fate == Fate::AlreadyThere).count();
    if there > 0 {
        tracing::info!("records of earlier attempts were in the sink already: {there}");
    }
}

async fn conclude(
    store: &mut Store,
    conclusion: Conclusion,
    alive: &mut oneshot::Receiver<()>,
) -> SlaveToMaster {
    let Conclusion { run, run_is_over, harvest } = conclusion;
    let mut problem = None;
    if let Err(error) = store.end_session().await {
        problem = Some(error.to_string());
    }
    if run_is_over {
        close(store, run).await;
    }
    let mut delivered = None;
    if let Some(to) = harvest.filter(|_| problem.is_none()) {
        match harvest_to(store, run, &to, alive).await {
            Ok(what) => delivered = what,
            Err(message) => problem = Some(format!("the rows were not delivered to {to}: {message}")),
        }
    }
    if let Some(problem) = &problem {
        tracing::error!("{problem}");
    }
    SlaveToMaster::Concluded { delivered, problem }
}

/// Delivers the files of a run, as long as its session lives; says what was delivered where.
async fn harvest_to(
    store: &mut Store,
    run: RunId,
    to: &str,
    alive: &mut oneshot::Receiver<()>,
) -> Result<Option<String>, String> {
    let destination = to.parse::<Destination>().map_err(|error| error.to_string())?;
    let Some(package) = store.pack(run).await? else { return Ok(None) };
    tokio::select! {
        delivered = package.deliver(&destination) => delivered.map(Some),
        _ = alive => Err("the master is gone".to_owned()),
    }
}

/// Notes that a run is over. If that fails, the ledger keeps a few bytes more, and nothing is lost.
async fn close(store: &mut Store, run: RunId) {
    let mut pause = PAUSE;
    let mut trouble = String::new();
    for _ in 0..CLOSE_TRIES {
        match close_once(store, run).await {
            Ok(()) => return,
            Err(StoreError::Lost(message)) => trouble = message,
            Err(StoreError::Broken(message)) => {
                trouble = message;
                break;
            }
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    tracing::warn!("the sink's ledger keeps its pages of this run: {trouble}");
}

async fn close_once(store: &mut Store, run: RunId) -> Result<(), StoreError> {
    if !store.can_be_abandoned() {
        return store.close_run(run).await;
    }
    match tokio::time::timeout(CLOSE_MAX, store.close_run(run)).await {
        Ok(closed) => closed,
        Err(_) => {
            store.abandon();
            Err(StoreError::Lost(format!("the database has not answered for {} s", CLOSE_MAX.as_secs())))
        }
    }
}

async fn end_session(store: &mut Store) {
    if let Err(error) = store.end_session().await {
        tracing::error!("{error}");
    }
}
