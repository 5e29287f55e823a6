//! The process that computes partition keys with a plugin: it is asked for the keys of records, and started
//! again if a record has ended it. A plugin can abort, or never return, and must not take the run with it.
//!
//! The process is a worker that runs a partitioner instead of a task, and its scoreboard says which record it
//! was on. So exactly that record has no key, and the others do not suffer.

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;

use crate::ids::{BatchId, KeyHash};
use crate::limits::{BATCH_RECORDS_MAX, BEGIN_MAX, KEY_MAX, KEY_PROCESS_START_MAX};
use crate::own_time::{self, OwnTime};
use crate::plugin::{LibraryFile, LoadError};
use crate::record::{Format, NoKey, NoKeyCause, Parts, RecordKeys, Records};
use crate::scoreboard::{BoardReader, Outcome, Spans, Status};
use crate::time;
use crate::wire::{Frame, HostToWorker, ItemDone, KeyStart, WorkerToHost};
use crate::worker::{LaunchError, WorkerLabel, WorkerProcess, open_library};

/// Deaths in succession on no record at all, after which there is no point in starting another process.
const VAIN_DEATHS_MAX: u32 = 5;

/// Bytes of what stands for a key.
const HASH_BYTES: usize = size_of::<u64>();

/// Bytes of a record that its message shows.
const SHOWN_BYTES_MAX: usize = 60;

/// What is wanted of the process.
#[derive(Debug, Clone)]
pub(super) struct KeyPlan {
    /// The library that it loads.
    pub library: PathBuf,
    /// The partitioner in it; `None` for the only one.
    pub partitioner: Option<String>,
    /// How the records end.
    pub format: Format,
    /// How long one key may take.
    pub limit: Option<Duration>,
    /// How often a key is tried again.
    pub retries: u32,
}

/// Why no more keys can be computed.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyProcessError {
    /// The library cannot be opened.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The process cannot be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// It does not come up.
    #[error("{library}: it was not loaded within {limit}")]
    Slow {
        /// The library.
        library: String,
        /// The limit, for people.
        limit: humantime::FormattedDuration,
    },
    /// It ends again and again, whatever it is asked.
    #[error(
        "the process that computes partition keys ended {VAIN_DEATHS_MAX} times on no record, the last time because {0}"
    )]
    InVain(String),
}

/// The process, from its first start to its end.
#[derive(Debug)]
pub(super) struct KeyProcess {
    plan: KeyPlan,
    /// The library as it was when the run began: each process loads this file.
    library: LibraryFile,
    running: Option<Running>,
    /// Records of which something is known, for the messages.
    records_before: u64,
    vain_deaths: u32,
}

#[derive(Debug)]
struct Running {
    process: WorkerProcess,
    /// Items that it has done.
    turn: u64,
}

/// What an item has come to.
struct KeyAnswer {
    /// Of the records that were got through, from the first on.
    keys: RecordKeys,
    /// Why it did not get through all of them.
    loss: Option<Loss>,
}

/// How the process was lost.
struct Loss {
    cause: NoKeyCause,
    /// What it did: the rest of a sentence about it.
    message: String,
    /// Whether it was on a record.
    on_record: bool,
}

impl KeyProcess {
    /// Starts the process.
    ///
    /// # Errors
    /// If it cannot be started, or the plugin has no such partitioner.
    pub(super) async fn start(plan: KeyPlan) -> Result<Self, KeyProcessError> {
        let library = open_library(plan.library.clone()).await?;
        let running = Some(Running::start(&plan, &library).await?);
        Ok(Self { plan, library, running, records_before: 0, vain_deaths: 0 })
    }

    /// Records go by that need no key.
    pub(super) fn pass_over(&mut self, records: u64) {
        self.records_before += records;
    }

    /// The keys of records.
    ///
    /// # Errors
    /// If no process can be had that computes them.
    pub(super) async fn keys_of(&mut self, records: &Records) -> Result<RecordKeys, KeyProcessError> {
        let mut keys = RecordKeys::default();
        // How often the first record without a key has ended the process.
        let mut faults = 0;
        while keys.len() < records.len() {
            let from = keys.len();
            let end = records.len().min(from + BATCH_RECORDS_MAX);
            let KeyAnswer { keys: some, loss } = self.ask(records.slice(from..end)).await?;
            if some.len() > 0 {
                (faults, self.vain_deaths) = (0, 0);
            }
            keys.append(some);
            let Some(loss) = loss else { continue };
            self.note(&loss, records, keys.len())?;
            faults += u32::from(loss.on_record);
            if faults > self.plan.retries {
                keys.push_missing(NoKey { cause: loss.cause, message: loss.said_of_a_record() });
                faults = 0;
            }
        }
        self.pass_over(records.len() as u64);
        Ok(keys)
    }

    /// Ends the process, which has nothing left to do.
    pub(super) async fn end(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.process.handle.end().await;
        }
    }

    /// Says that the process was lost, and on which record.
    fn note(&mut self, loss: &Loss, records: &Records, index: usize) -> Result<(), KeyProcessError> {
        if loss.on_record {
            self.vain_deaths = 0;
            let number = self.records_before + index as u64 + 1;
            tracing::warn!(
                "the process that computes partition keys {} on record {number}: {}",
                loss.message,
                beginning(records.get(index))
            );
            return Ok(());
        }
        self.vain_deaths += 1;
        if self.vain_deaths >= VAIN_DEATHS_MAX {
            return Err(KeyProcessError::InVain(format!("it {}", loss.message)));
        }
        tracing::warn!("the process that computes partition keys {}, on no record", loss.message);
        Ok(())
    }

    async fn ask(&mut self, records: Records) -> Result<KeyAnswer, KeyProcessError> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => Running::start(&self.plan, &self.library).await?,
        };
        let asked = records.len();
        match running.ask(records, self.plan.limit.unwrap_or(KEY_MAX)).await {
            Ok(done) => match running.read(&done, asked) {
                Some(keys) => {
                    running.turn += 1;
                    self.running = Some(running);
                    Ok(KeyAnswer { keys, loss: None })
                }
                None => Ok(running.autopsy(Some("said something impossible")).await),
            },
            Err(Unanswered::Gone) => Ok(running.autopsy(None).await),
            Err(Unanswered::Overdue(limit)) => {
                let message = format!("took longer than the limit of {}", humantime::format_duration(limit));
                let mut answer = running.autopsy(Some(&message)).await;
                if let Some(loss) = &mut answer.loss {
                    loss.cause = NoKeyCause::Timeout;
                }
                Ok(answer)
            }
        }
    }
}

/// Why there is no answer.
enum Unanswered {
    Gone,
    Overdue(Duration),
}

impl Running {
    async fn start(plan: &KeyPlan, library: &LibraryFile) -> Result<Self, KeyProcessError> {
        let KeyPlan { partitioner, format, .. } = plan;
        let start =
            KeyStart { library: library.id().clone(), partitioner: partitioner.clone(), format: *format };
        let name = partitioner.as_deref().unwrap_or("partitioner");
        let label = WorkerLabel { node: String::new(), slot: None, task: name.to_owned() };
        match WorkerProcess::start_keys(&label, library, &start, KEY_PROCESS_START_MAX).await {
            Ok(process) => Ok(Self { process, turn: 0 }),
            Err(LaunchError::TooSlow { library, limit, .. }) => {
                Err(KeyProcessError::Slow { library, limit: humantime::format_duration(limit) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Hands records over, and waits until it is through.
    async fn ask(&mut self, records: Records, limit: Duration) -> Result<ItemDone, Unanswered> {
        let Parts { base, table, data } = records.into_parts();
        let head = HostToWorker::Batch { item: BatchId(self.turn), base, with_row_ends: false };
        let WorkerProcess { input, output, board, handle, .. } = &mut self.process;
        output.push(&Frame { head, table, body: data });
        let talk = pin!(async {
            tokio::select! {
                biased;
                // One that cannot be written to is about to be found dead.
                _ = output.flush() => {}
                () = handle.death() => {}
            }
            handle.hear(input).await
        });
        tokio::select! {
            biased;
            said = talk => match said {
                Ok(Some(Frame { head: WorkerToHost::Done(done), .. })) => Ok(done),
                Ok(_) | Err(_) => Err(Unanswered::Gone),
            },
            limit = stands_still(board, self.turn, limit) => Err(Unanswered::Overdue(limit)),
        }
    }

    /// What it has put into its scoreboard; `None` if that cannot be.
    fn read(&self, done: &ItemDone, asked: usize) -> Option<RecordKeys> {
        let board = &self.process.board;
        let rows = board.rows(self.turn, done.rows_bytes).ok()?;
        let keys = if done.all_done {
            all_keys(&rows)
        } else {
            keys_by_outcome(&board.outcomes(self.turn, done.outcomes as usize).ok()?, rows)
        };
        keys.filter(|keys| keys.len() == asked)
    }

    /// Ends it, and finds out what it had done, and which record it was on.
    async fn autopsy(mut self, broken: Option<&str>) -> KeyAnswer {
        let end = self.process.handle.end().await;
        let board = &self.process.board;
        let message = broken.map_or_else(|| end.to_string(), str::to_owned);
        let mut answer = KeyAnswer {
            keys: RecordKeys::default(),
            loss: Some(Loss { cause: NoKeyCause::Crash, message, on_record: false }),
        };
        let Ok(Some(snapshot)) = board.snapshot(self.turn) else { return answer };
        if let Ok((outcomes, rows)) = board.remains(self.turn, &snapshot) {
            answer.keys = keys_by_outcome(&outcomes, rows).unwrap_or_default();
        }
        let in_hand = snapshot.in_hand().map(|in_hand| usize::from(in_hand.first));
        if let Some(loss) = &mut answer.loss {
            loss.on_record = in_hand == Some(answer.keys.len());
        }
        answer
    }
}

impl Loss {
    fn said_of_a_record(&self) -> String {
        format!("the process that computes it {}", self.message)
    }
}

/// Returns when the process has been on one record for as long as the limit, or has begun none for as long as
/// that may take, whatever the limit: then with that time.
async fn stands_still(board: &BoardReader, turn: u64, limit: Duration) -> Duration {
    let look_every = own_time::look_every(Some(limit));
    let mut own_time = OwnTime::new(time::now());
    let (mut seen, mut age) = (None, Duration::ZERO);
    loop {
        tokio::time::sleep(look_every).await;
        let passed = own_time.on_look(look_every, time::now());
        // If it cannot be read, it does not change either.
        let snapshot = board.snapshot(turn).ok().flatten();
        let begun = snapshot.map(|snapshot| (snapshot.begun, snapshot.returned));
        if begun == seen {
            age += passed;
        } else {
            (seen, age) = (begun, Duration::ZERO);
        }
        let is_on_record = snapshot.is_some_and(|snapshot| snapshot.in_hand().is_some());
        let limit = if is_on_record { limit } else { limit.max(BEGIN_MAX) };
        if age >= limit {
            return limit;
        }
    }
}

/// The keys of a batch whose records all have one.
fn all_keys(rows: &[u8]) -> Option<RecordKeys> {
    let (hashes, rest) = rows.as_chunks::<HASH_BYTES>();
    let mut keys = RecordKeys::default();
    hashes.iter().for_each(|hash| keys.push(KeyHash(u64::from_le_bytes(*hash))));
    rest.is_empty().then_some(keys)
}

/// The keys of the first records of a batch, as their outcomes say.
fn keys_by_outcome(outcomes: &[u8], rows: Bytes) -> Option<RecordKeys> {
    let mut keys = RecordKeys::default();
    let mut spans = Spans::of(rows);
    for outcome in Outcome::all(outcomes) {
        let outcome = outcome?;
        let span = spans.next(&outcome)?;
        if usize::from(outcome.index) != keys.len() {
            return None;
        }
        match outcome.status {
            Status::Done => keys.push(KeyHash(u64::from_le_bytes(span[..].try_into().ok()?))),
            _ => keys.push_missing(NoKey {
                cause: NoKeyCause::Refused,
                message: String::from_utf8_lossy(&span).into_owned(),
            }),
        }
    }
    Some(keys)
}

/// How a record begins, for people.
fn beginning(record: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&record[..record.len().min(SHOWN_BYTES_MAX)]);
    let dots = if record.len() > SHOWN_BYTES_MAX { "…" } else { "" };
    format!("«{}{dots}»", shown.trim_end().escape_debug())
}
