//! The link to one worker process, from its start to its end. It decides nothing; it reports what happened.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::record_watch::{Expected, RecordWatch, TimeVerdict};
use super::worker_event::{Lost, Steering, WorkerEvent, WorkerId};
use crate::ids::BatchId;
use crate::limits::{BEGIN_MAX, STOP_GRACE};
use crate::scoreboard::BoardReader;
use crate::time;
use crate::wire::{
    Blame, Frame, FrameError, FrameReader, FrameWriter, HostToWorker, ItemDone, LossKind, ReadEnd,
    WorkerToHost, WriteEnd,
};
use crate::worker::{Hatchery, Launch, ProcessHandle, WorkerLabel, WorkerProcess};

/// What a link must know.
#[derive(Debug)]
pub(super) struct LinkSettings {
    /// Which worker this is.
    pub id: WorkerId,
    /// What to load.
    pub launch: Launch,
    /// Where it comes from.
    pub hatchery: Hatchery,
    /// What `ps` and the log call it.
    pub label: WorkerLabel,
    /// How long each step of its start may take.
    pub start_timeout: Duration,
    /// The limit of one record; changes when a run begins.
    pub record_timeout: watch::Receiver<Option<Duration>>,
}

/// Runs one worker to its end.
pub(super) async fn run(
    settings: LinkSettings,
    items: mpsc::Receiver<Frame<HostToWorker>>,
    mut steering: mpsc::Receiver<Steering>,
    events: mpsc::Sender<(WorkerId, WorkerEvent)>,
) {
    let id = settings.id;
    let LinkSettings { hatchery, label, launch, start_timeout, .. } = &settings;
    let killed = until_kill(&mut steering);
    let started = WorkerProcess::start(hatchery, label, launch, *start_timeout, killed).await;
    let event = match started {
        Ok(process) => {
            // A receiver that is gone means that the pool is gone, too.
            let _ = events.send((id, WorkerEvent::Created)).await;
            WorkerEvent::Lost(serve(process, settings, items, steering, &events).await)
        }
        Err(error) => WorkerEvent::NotCreated(error),
    };
    let _ = events.send((id, event)).await;
}

/// Why serving ended.
enum Ended {
    /// It is dead, its socket closed, or it broke the protocol.
    Gone(Option<String>),
    Killed,
    Overdue,
    NotBegun,
    Lingering,
}

/// How far the worker is: items that it has handed over whole, and parts of the one in hand.
#[derive(Debug, Default)]
struct Hand {
    turn: AtomicU64,
    part: AtomicU64,
    /// Items that were written to it and that it has not handed over whole, in order.
    items: Mutex<VecDeque<BatchId>>,
    /// What it has handed over is being passed on: it may be waiting for its receipt.
    is_taking: AtomicBool,
    told_to_stop: AtomicBool,
    /// It has said that it goes no further.
    is_leaving: AtomicBool,
}

impl Hand {
    fn items(&self) -> MutexGuard<'_, VecDeque<BatchId>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has before it.
    fn expected(&self) -> Expected {
        let has_item = !self.items().is_empty();
        if self.is_taking.load(Relaxed) {
            // It can wait for its receipt, or for us to take what it had last.
            Expected::Nothing
        } else if self.is_leaving.load(Relaxed) || (self.told_to_stop.load(Relaxed) && !has_item) {
            Expected::End
        } else if has_item {
            Expected::Record
        } else {
            Expected::Nothing
        }
    }
}

async fn serve(
    process: WorkerProcess,
    settings: LinkSettings,
    items: mpsc::Receiver<Frame<HostToWorker>>,
    steering: mpsc::Receiver<Steering>,
    events: &mpsc::Sender<(WorkerId, WorkerEvent)>,
) -> Lost {
    let WorkerProcess { input, output, board, mut handle, .. } = process;
    let hand = Hand::default();
    let mut reading = ReportReader {
        input,
        process: &handle,
        board: &board,
        settings: &settings,
        events,
        hand: &hand,
        leaving: None,
    };
    // A worker reports on what it was fed and on nothing else, so the others have their turn.
    let ended = tokio::select! {
        biased;
        ended = reading.run() => ended,
        ended = steer(steering, &handle) => ended,
        ended = keep_watch(&board, &settings, &hand) => ended,
        ended = feed(items, output, &hand) => ended,
    };
    let leaving = reading.leaving.take();
    let end = handle.end().await;
    let mut lost = autopsy(&board, &hand);
    lost.was_killed = end.is_kill();
    let ended_as_told = hand.told_to_stop.load(Relaxed) && !matches!(ended, Ended::Lingering);
    lost.was_expected = matches!(ended, Ended::Killed) || ended_as_told;
    match (ended, leaving) {
        (_, Some((kind, message))) => {
            (lost.kind, lost.message) = (kind, message);
            // It has reported how a single record has ended, but cannot say which one of several is to blame.
            lost.blame = lost.blame.filter(|blame| blame.records > 1);
        }
        (Ended::Overdue, _) => {
            lost.kind = LossKind::Timeout;
            let limit = settings.record_timeout.borrow().unwrap_or_default();
            lost.message = format!("it took longer than the limit of {}", humantime::format_duration(limit));
        }
        (Ended::NotBegun, _) => {
            // One that begins just now was not begun when it was judged, and is not to blame.
            lost.blame = None;
            let limit = humantime::format_duration(BEGIN_MAX);
            lost.message = format!("it had records and began none for {limit}");
        }
        (Ended::Lingering, _) => {
            let limit = humantime::format_duration(STOP_GRACE);
            lost.message = format!("it had nothing left to do, and did not end within {limit}");
        }
        (Ended::Killed, _) => "its slave ended it".clone_into(&mut lost.message),
        (Ended::Gone(Some(broken)), _) => lost.message = broken,
        (Ended::Gone(None), _) => lost.message = format!("the worker {end}"),
    }
    lost
}

/// Reads what the worker reports, until it reports nothing more.
struct ReportReader<'a> {
    input: FrameReader<ReadEnd>,
    process: &'a ProcessHandle,
    board: &'a BoardReader,
    settings: &'a LinkSettings,
    events: &'a mpsc::Sender<(WorkerId, WorkerEvent)>,
    hand: &'a Hand,
    leaving: Option<(LossKind, String)>,
}

impl ReportReader<'_> {
    async fn run(&mut self) -> Ended {
        loop {
            let message = match self.process.hear(&mut self.input).await {
                Ok(Some(frame)) => frame.head,
                // It does not matter whether a worker dies in the middle of a message or between two.
                Ok(None) | Err(FrameError::Truncated | FrameError::Io(_)) => return Ended::Gone(None),
                Err(error) => return Ended::Gone(Some(error.to_string())),
            };
            match message {
                // A plugin's code runs in the worker, so it can report anything. In its scoreboard we would
                // look at the wrong place.
                WorkerToHost::Done(done) if self.hand.items().front() != Some(&done.item) => {
                    let item = done.item;
                    return Ended::Gone(Some(format!("it reported on item {item}, which it did not have")));
                }
                WorkerToHost::Done(done) => {
                    self.hand.is_taking.store(true, Relaxed);
                    let taken = self.take(done).await;
                    self.hand.is_taking.store(false, Relaxed);
                    if let Err(error) = taken {
                        return Ended::Gone(Some(format!("its scoreboard cannot be read: {error}")));
                    }
                }
                WorkerToHost::Leaving { kind, message } => {
                    self.hand.is_leaving.store(true, Relaxed);
                    self.leaving = Some((kind, message));
                }
                WorkerToHost::Fatal { message } => {
                    self.hand.is_leaving.store(true, Relaxed);
                    self.tell(WorkerEvent::Fatal { message }).await;
                }
                other => return Ended::Gone(Some(format!("it broke the protocol with {other:?}"))),
            }
        }
    }

    /// Takes an item, or a part of one, out of the scoreboard.
    async fn take(&mut self, done: ItemDone) -> std::io::Result<()> {
        let turn = self.hand.turn.load(Relaxed);
        let table =
            if done.all_done { Bytes::new() } else { self.board.outcomes(turn, done.outcomes as usize)? };
        let body = self.board.rows(turn, done.rows_bytes)?;
        if done.last {
            self.hand.turn.store(turn + 1, Relaxed);
            self.hand.part.store(0, Relaxed);
            self.hand.items().pop_front();
        } else {
            self.hand.part.fetch_add(1, Relaxed);
        }
        let last = done.last;
        self.tell(WorkerEvent::Done { done, table, body }).await;
        if !last {
            self.process.acknowledge()?;
        }
        Ok(())
    }

    async fn tell(&self, event: WorkerEvent) {
        // A receiver that is gone means that the pool is gone, too.
        let _ = self.events.send((self.settings.id, event)).await;
    }
}

/// Writes items to the worker. When no more can come, it tells the worker to stop, and lets it end by itself.
async fn feed(
    mut items: mpsc::Receiver<Frame<HostToWorker>>,
    mut output: FrameWriter<WriteEnd>,
    hand: &Hand,
) -> Ended {
    loop {
        let item = items.recv().await;
        let closed = item.is_none();
        hand.told_to_stop.store(closed, Relaxed);
        hand.items().extend(item.as_ref().and_then(item_of));
        output.push(&item.unwrap_or_else(|| HostToWorker::Stop.into()));
        // If a worker cannot be written to, the reading side is about to find it dead.
        if output.flush().await.is_err() || closed {
            std::future::pending::<()>().await;
        }
    }
}

/// The item on which the worker will report, if this is one.
fn item_of(frame: &Frame<HostToWorker>) -> Option<BatchId> {
    match frame.head {
        HostToWorker::Batch { item, .. } | HostToWorker::Flush { item, .. } => Some(item),
        _ => None,
    }
}

/// Waits until the worker is to be killed, or the pool is gone. While it starts, there is no task to hurry.
async fn until_kill(steering: &mut mpsc::Receiver<Steering>) {
    while let Some(Steering::Hurry) = steering.recv().await {}
}

/// Does to the process what the pool wants. Returns when it is to be killed, or the pool is gone.
async fn steer(mut steering: mpsc::Receiver<Steering>, process: &ProcessHandle) -> Ended {
    while let Some(Steering::Hurry) = steering.recv().await {
        process.terminate();
    }
    Ended::Killed
}

/// Looks at the record in hand now and then. Returns when it is overdue, when there should be one and is
/// none, or when the worker should have ended and has not.
async fn keep_watch(board: &BoardReader, settings: &LinkSettings, hand: &Hand) -> Ended {
    let mut watch = RecordWatch::new(None, time::now());
    let mut limit = settings.record_timeout.clone();
    loop {
        watch.set_limit(*limit.borrow_and_update());
        tokio::select! {
            biased;
            Ok(()) = limit.changed() => continue,
            () = tokio::time::sleep(watch.look_every()) => {}
        }
        let turn = hand.turn.load(Relaxed);
        let snapshot = match board.snapshot(turn) {
            Ok(snapshot) => snapshot,
            Err(error) => return Ended::Gone(Some(format!("its scoreboard cannot be read: {error}"))),
        };
        match watch.on_look(turn, snapshot.as_ref(), hand.expected(), time::now()) {
            TimeVerdict::Fine => {}
            TimeVerdict::Overdue => return Ended::Overdue,
            TimeVerdict::NotBegun => return Ended::NotBegun,
            TimeVerdict::NotEnded => return Ended::Lingering,
            TimeVerdict::Slow { batch, index } => {
                let WorkerId { slot, .. } = settings.id;
                let record = index.map_or_else(|| "a flush".to_owned(), |index| format!("record {index}"));
                tracing::warn!(%slot, "{record} of batch {batch} has been running for a minute");
            }
        }
    }
}

/// Finds out what a dead worker had finished, and what it died on.
fn autopsy(board: &BoardReader, hand: &Hand) -> Lost {
    let mut lost = Lost {
        kind: LossKind::Crash,
        message: String::new(),
        was_killed: false,
        was_expected: false,
        blame: None,
        remains: None,
    };
    let (turn, part) = (hand.turn.load(Relaxed), hand.part.load(Relaxed));
    let snapshot = match board.snapshot(turn) {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => return lost,
        Err(error) => {
            log_unreadable(&error);
            return lost;
        }
    };
    lost.blame = snapshot.in_hand().map(|in_hand| Blame {
        batch: snapshot.item,
        index: in_hand.first,
        records: in_hand.records,
    });
    if snapshot.flushing {
        (lost.kind, lost.blame) = (LossKind::Flush, None);
    }
    // A part that was handed over stays in the scoreboard until the worker goes on.
    if snapshot.part == part {
        match board.remains(turn, &snapshot) {
            Ok((outcomes, rows)) => lost.remains = Some((snapshot.item, outcomes, rows)),
            Err(error) => log_unreadable(&error),
        }
    }
    lost
}

fn log_unreadable(error: &std::io::Error) {
    tracing::error!(%error, "the scoreboard of a dead worker cannot be read; what it had finished is run again");
}
