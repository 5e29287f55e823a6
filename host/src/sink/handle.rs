//! The actor that owns a slave's sink: it commits one group after the other, and retries while the sink
//! cannot be reached. Sessions come and go; when a session is gone, what it had asked for is dropped.

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
use crate::own_time;
use crate::owned_task::spawn_in;
use crate::wire::{Frame, SlaveToMaster};

/// Commands that can wait: there is one session at a time, with one commit and one conclusion.
const COMMANDS_MAX: usize = 8;

/// The first pause between tries while the sink cannot be reached; each one is twice as long as the last.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest pause: a sink that is back is noticed after this long at most.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Tries to note the end of a run in a sink that cannot be reached. If all fail, nothing is lost.
const CLOSE_TRIES: u32 = 3;

/// How long a server may take to note it: a master waits meanwhile, and nothing is lost without it.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// What the actor is asked to do.
#[derive(Debug)]
enum SinkCommand {
    Commit { group: Arc<Group>, reply: oneshot::Sender<Result<Vec<Fate>, String>> },
    Conclude { conclusion: Conclusion, alive: oneshot::Receiver<()>, out: mpsc::Sender<Frame<SlaveToMaster>> },
    EndSession { done: oneshot::Sender<()> },
}

/// The end of a run at this slave: it will send no more rows.
#[derive(Debug)]
pub(crate) struct Conclusion {
    /// The run.
    pub run: RunId,
    /// Whether none of its records will ever run again, on any slave.
    pub run_is_over: bool,
    /// Where to deliver its files.
    pub harvest: Option<String>,
}

/// The way to a sink.
#[derive(Debug, Clone)]
pub(crate) struct SinkHandle {
    commands: mpsc::Sender<SinkCommand>,
    /// How long it pays to wait for more records before a commit.
    pub gather: Duration,
}

/// Starts a sink's actor, which runs in `tasks` until all handles are gone.
pub(crate) fn start(store: Store, tasks: &mut JoinSet<()>) -> SinkHandle {
    let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
    let handle = SinkHandle { commands, gather: store.gather() };
    spawn_in(tasks, work(store, inbox));
    handle
}

impl SinkHandle {
    /// Commits a group, however long that takes.
    ///
    /// # Errors
    /// If the sink will never accept it.
    pub(crate) async fn commit(&self, group: Arc<Group>) -> Result<Vec<Fate>, String> {
        let (reply, answer) = oneshot::channel();
        let gone = || "the sink ended unexpectedly".to_owned();
        self.commands.send(SinkCommand::Commit { group, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Completes the run's files, notes that the run is over, and delivers its files, as asked; the actor
    /// sends the answer to the master. Dropping the returned sender cancels a delivery.
    pub(crate) async fn conclude(
        &self,
        conclusion: Conclusion,
        out: mpsc::Sender<Frame<SlaveToMaster>>,
    ) -> oneshot::Sender<()> {
        let (session, alive) = oneshot::channel();
        // If the actor is gone, the slave is ending.
        let _ = self.commands.send(SinkCommand::Conclude { conclusion, alive, out }).await;
        session
    }

    /// Ends the session, whatever ended it. Its files are complete when this returns.
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
                    // A session that is gone does not need it: its records run elsewhere, and the ledger
                    // knows them.
                    let _ = reply.send(result);
                }
            }
            SinkCommand::Conclude { conclusion, mut alive, out } => {
                let answer = conclude(&mut store, conclusion, &mut alive).await;
                // A master that is gone needs no answer.
                let _ = own_time::within(SILENCE_MAX, out.send(answer.into())).await;
            }
            SinkCommand::EndSession { done } => {
                end_session(&mut store).await;
                let _ = done.send(());
            }
        }
    }
    end_session(&mut store).await;
}

/// Tries until the group is committed; `None` if the session no longer waits for it.
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
            biased;
            () = reply.closed() => return None,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
        }
    }
}

/// One try; `None` if the session no longer waits for it and the sink can abandon it.
async fn commit_once(
    store: &mut Store,
    group: &Arc<Group>,
    reply: &mut oneshot::Sender<Result<Vec<Fate>, String>>,
) -> Option<Result<Vec<Fate>, StoreError>> {
    let can_be_abandoned = store.can_be_abandoned();
    tokio::select! {
        biased;
        committed = store.commit(group) => return Some(committed),
        () = reply.closed(), if can_be_abandoned => {}
    }
    store.abandon();
    None
}

/// Logs how many records were there already, for a user who looks for a row that is missing or there twice.
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

/// Delivers the files of a run while its session lives, and returns what was delivered where.
async fn harvest_to(
    store: &mut Store,
    run: RunId,
    to: &str,
    alive: &mut oneshot::Receiver<()>,
) -> Result<Option<String>, String> {
    let destination = to.parse::<Destination>().map_err(|error| error.to_string())?;
    let Some(package) = store.pack(run).await? else { return Ok(None) };
    tokio::select! {
        biased;
        delivered = package.deliver(&destination) => delivered.map(Some),
        _ = alive => Err("the master is gone".to_owned()),
    }
}

/// Notes that a run is over. If that fails, the ledger keeps a few more bytes, and nothing is lost.
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
