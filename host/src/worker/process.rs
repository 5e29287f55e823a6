//! The parent's side of a worker: starts the process, loads a library in it, and ends it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::body::{Body, Hatched};
use super::hatchery::Hatchery;
use super::label::WorkerLabel;
use super::launch::Launch;
use super::start_step::StartStep;
use crate::build::Build;
use crate::limits::STOP_GRACE;
use crate::own_time;
use crate::owned_task::OwnedTask;
use crate::plugin::{LibraryFile, Manifest};
use crate::scoreboard::BoardReader;
use crate::wire::{
    Frame, FrameError, FrameLimits, FrameReader, FrameWriter, HostToWorker, KeyStart, ReadEnd, WorkerToHost,
    WriteEnd,
};

/// How long a dead worker's last words have to reach the log. They are in the pipe already; only a process
/// that the worker left behind can keep it open.
const LAST_WORDS_GRACE: Duration = Duration::from_millis(200);

/// How long a dead worker's last reports have to be read. They are in the socket already, and its end comes
/// behind them; only a process that the worker left behind can keep the socket open.
const LAST_REPORTS_GRACE: Duration = Duration::from_millis(200);

/// How long a killed worker may take to end. Only one that hangs in the kernel takes longer.
const REAP_MAX: Duration = Duration::from_secs(10);

/// Why a library cannot be used. One line for the user who named it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// The process could not be started.
    #[error("no worker process could be started: {0}")]
    Spawn(io::Error),
    /// The library, or its task, refuses.
    #[error("{0}")]
    Unusable(String),
    /// The process died while it loaded the library.
    #[error("{library}: the worker process that {} it {end}", step.done())]
    Died {
        /// The library.
        library: String,
        /// What it was doing.
        step: StartStep,
        /// How it ended.
        end: WorkerEnd,
    },
    /// A step of its start did not end in time.
    #[error(
        "{library}: {step} did not end within {}; raise --start-timeout if it needs longer, or look at what {} waits \
         for",
        humantime::format_duration(*limit),
        step.culprit()
    )]
    TooSlow {
        /// The library.
        library: String,
        /// What it was doing.
        step: StartStep,
        /// How long it had.
        limit: Duration,
    },
    /// It has loaded something else than the first worker did.
    #[error(
        "{library}: what it says of itself has changed since the first worker loaded it ({first}; now {now}); the \
         workers of a slave must all be of one build"
    )]
    OtherBuild {
        /// The library.
        library: String,
        /// What the first worker has loaded, for people.
        first: String,
        /// What this one has loaded.
        now: String,
    },
    /// It was ended while it was starting.
    #[error("the worker was ended while it was starting")]
    Ended,
    /// It sent something unexpected.
    #[error("a worker process broke the protocol: {0}")]
    Protocol(String),
}

impl From<io::Error> for LaunchError {
    fn from(error: io::Error) -> Self {
        Self::Spawn(error)
    }
}

/// How a process ended, for people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkerEnd(pub Option<ExitStatus>);

impl WorkerEnd {
    /// Whether someone killed it.
    pub(crate) fn is_kill(self) -> bool {
        self.0.is_some_and(|status| status.signal() == Some(Signal::SIGKILL as i32))
    }
}

impl std::fmt::Display for WorkerEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(status) = self.0 else { return f.write_str("ended in an unknown way") };
        match (status.signal(), status.code()) {
            (Some(signal), _) => match Signal::try_from(signal) {
                Ok(name) => write!(f, "was ended by signal {name}"),
                Err(_) => write!(f, "was ended by signal {signal}"),
            },
            (None, Some(code)) => write!(f, "ended with exit status {code}"),
            (None, None) => write!(f, "ended: {status}"),
        }
    }
}

/// A worker process and the ways to it.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    /// What it says.
    pub input: FrameReader<ReadEnd>,
    /// What it is told.
    pub output: FrameWriter<WriteEnd>,
    /// What it has done.
    pub board: BoardReader,
    /// The process itself.
    pub handle: ProcessHandle,
    /// How long each step of its start may take.
    start_timeout: Duration,
}

impl WorkerProcess {
    /// Starts a process that has the library's file, and waits to be told to load it. `label` is what `ps`
    /// shows, and what the log says beside each line that it prints; `start_timeout` is how long each step of
    /// its start may take.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn spawn(
        hatchery: &Hatchery,
        label: &WorkerLabel,
        library: &LibraryFile,
        start_timeout: Duration,
    ) -> io::Result<Self> {
        let Hatched { read, write, board, body, log } = hatchery.hatch(label, library)?;
        Ok(Self {
            input: FrameReader::new(read, FrameLimits::SESSION),
            output: FrameWriter::new(write),
            board,
            handle: ProcessHandle { body, log, slot: label.slot },
            start_timeout,
        })
    }

    /// Starts a process, has it load a library and create the task. If `kill` comes first, the process is
    /// killed.
    ///
    /// # Errors
    /// See [`LaunchError`]. The process has ended then, and its last words are in the log.
    pub(crate) async fn start(
        hatchery: &Hatchery,
        label: &WorkerLabel,
        launch: &Launch,
        start_timeout: Duration,
        kill: impl Future<Output = ()>,
    ) -> Result<Self, LaunchError> {
        let mut process = Self::spawn(hatchery, label, &launch.library, start_timeout)?;
        let created = tokio::select! {
            biased;
            () = kill => None,
            created = process.load_and_create(launch) => Some(created),
        };
        match created {
            Some(created) => created.map(|()| process),
            None => {
                process.handle.end().await;
                Err(LaunchError::Ended)
            }
        }
    }

    /// Starts a process that computes partition keys.
    ///
    /// # Errors
    /// See [`LaunchError`]. The process has ended then, and its last words are in the log.
    pub(crate) async fn start_keys(
        label: &WorkerLabel,
        library: &LibraryFile,
        start: &KeyStart,
        start_timeout: Duration,
    ) -> Result<Self, LaunchError> {
        let mut process = Self::spawn(&Hatchery::of_processes(), label, library, start_timeout)?;
        let message = HostToWorker::StartKeys(Box::new(start.clone()));
        process.ask(message, library.path(), StartStep::Load, created).await.map(|()| process)
    }

    async fn load_and_create(&mut self, launch: &Launch) -> Result<(), LaunchError> {
        self.load(launch).await?;
        self.create(launch.path()).await
    }

    /// Says something to it.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) async fn tell(&mut self, message: HostToWorker) -> io::Result<()> {
        self.output.push(&Frame::from(message));
        self.output.flush().await
    }

    /// Makes it load a library, and says which build that is.
    ///
    /// # Errors
    /// See [`LaunchError`]; also if it is another build than the one that is known.
    pub(crate) async fn load(&mut self, launch: &Launch) -> Result<(Manifest, Build), LaunchError> {
        let path = launch.path();
        let loaded = |answer| match answer {
            WorkerToHost::Loaded { manifest, build } => {
                if let Some(first) = launch.build.filter(|first| *first != build) {
                    let library = path.display().to_string();
                    let (first, now) = (first.to_string(), build.to_string());
                    return Err(LaunchError::OtherBuild { library, first, now });
                }
                let manifest = Manifest::parse(manifest.as_bytes()).map_err(LaunchError::Unusable)?;
                Ok((manifest, build))
            }
            other => Err(unexpected(&other)),
        };
        self.ask(HostToWorker::Start(Box::new(launch.start.clone())), path, StartStep::Load, loaded).await
    }

    /// Makes it call the task's `prepare`.
    ///
    /// # Errors
    /// See [`LaunchError`].
    pub(crate) async fn prepare(&mut self, library: &Path) -> Result<(), LaunchError> {
        let prepared = |answer| match answer {
            WorkerToHost::Prepared => Ok(()),
            other => Err(unexpected(&other)),
        };
        self.ask(HostToWorker::Prepare, library, StartStep::Prepare, prepared).await
    }

    /// Makes it create the task.
    ///
    /// # Errors
    /// See [`LaunchError`].
    async fn create(&mut self, library: &Path) -> Result<(), LaunchError> {
        self.ask(HostToWorker::Create, library, StartStep::Create, created).await
    }

    /// Says something to it, and reads its answer. If that is not what was asked for, the process is ended.
    async fn ask<T>(
        &mut self,
        message: HostToWorker,
        library: &Path,
        step: StartStep,
        read: impl FnOnce(WorkerToHost) -> Result<T, LaunchError>,
    ) -> Result<T, LaunchError> {
        let (limit, named) = (self.start_timeout, || library.display().to_string());
        let asking = async {
            // A dead worker cannot be told anything, but what it said before can still wait to be read.
            let told = self.tell(message).await;
            (told, self.handle.hear(&mut self.input).await)
        };
        let Some((told, heard)) = own_time::within(limit, asking).await else {
            self.handle.end().await;
            return Err(LaunchError::TooSlow { library: named(), step, limit });
        };
        let answer = match heard {
            Ok(Some(Frame { head: WorkerToHost::Unusable { message }, .. })) => {
                Err(LaunchError::Unusable(message))
            }
            Ok(Some(frame)) => read(frame.head),
            Ok(None) | Err(FrameError::Io(_) | FrameError::Truncated) => {
                tracing::debug!(?told, "the worker is gone");
                let end = self.handle.end().await;
                Err(LaunchError::Died { library: named(), step, end })
            }
            Err(error) => Err(LaunchError::Protocol(error.to_string())),
        };
        if answer.is_err() {
            // Its last words belong into the log before what came of them is reported.
            self.handle.end().await;
        }
        answer
    }

    /// Asks it to stop after what it has, and waits; kills it if that takes too long.
    pub(crate) async fn stop(mut self) -> WorkerEnd {
        let stopped = async {
            if self.tell(HostToWorker::Stop).await.is_ok() {
                self.handle.death().await;
            }
        };
        if tokio::time::timeout(STOP_GRACE, stopped).await.is_err() {
            tracing::debug!("a worker that was told to stop did not, and is killed");
        }
        self.handle.end().await
    }
}

/// A worker as a process: to be watched, killed and reaped.
#[derive(Debug)]
pub(crate) struct ProcessHandle {
    /// It knows when it is dead. Its socket does not tell: a process that it has started can hold that open.
    body: Box<dyn Body>,
    /// Logs what it prints; `None` once the process was reaped.
    log: Option<OwnedTask<()>>,
    slot: Option<u16>,
}

impl ProcessHandle {
    /// Waits until it is dead, and does not reap it. Cancel safe.
    pub(crate) async fn death(&self) {
        if let Err(error) = self.body.death().await {
            tracing::error!(%error, "a worker's process cannot be watched");
            std::future::pending().await
        }
    }

    /// The next thing that it says; `None` once it is dead and everything that it said was read, even if the
    /// socket is still open.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) async fn hear(
        &self,
        input: &mut FrameReader<ReadEnd>,
    ) -> Result<Option<Frame<WorkerToHost>>, FrameError> {
        let mut next = pin!(input.next());
        tokio::select! {
            biased;
            frame = &mut next => return frame,
            () = self.death() => {}
        }
        tokio::time::timeout(LAST_REPORTS_GRACE, next).await.unwrap_or(Ok(None))
    }

    /// Kills it and the processes that it has started, as far as they still exist, and reaps it.
    pub(crate) async fn end(&mut self) -> WorkerEnd {
        self.body.kill();
        self.reap().await
    }

    /// Tells its task to hurry. The worker goes on (see `child.rs`).
    pub(crate) fn terminate(&self) {
        self.body.terminate();
    }

    /// Tells it that a part of its item was read.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn acknowledge(&self) -> io::Result<()> {
        self.body.acknowledge()
    }

    /// Waits until it has ended, and its last words are in the log. One that cannot be killed is left.
    async fn reap(&mut self) -> WorkerEnd {
        let Ok(status) = tokio::time::timeout(REAP_MAX, self.body.reaped()).await else {
            let (slot, pid) = (self.slot, self.body.pid());
            tracing::error!(
                slot,
                pid,
                "a worker was killed, but has not ended; it hangs in the kernel, and is left"
            );
            return WorkerEnd(None);
        };
        if let Some(log) = &mut self.log {
            // A process that it left behind can keep its standard error open: that one is not waited for.
            let _ = tokio::time::timeout(LAST_WORDS_GRACE, log.join()).await;
        }
        self.log = None;
        WorkerEnd(status.ok())
    }
}

/// Starts a process only to learn what is in a library.
///
/// # Errors
/// See [`LaunchError`].
pub(crate) async fn probe(
    launch: &Launch,
    start_timeout: Duration,
) -> Result<(Manifest, Build), LaunchError> {
    let label = WorkerLabel { node: String::new(), slot: None, task: launch.start.task.clone() };
    let mut process =
        WorkerProcess::spawn(&Hatchery::of_processes(), &label, &launch.library, start_timeout)?;
    let loaded = process.load(launch).await?;
    process.stop().await;
    Ok(loaded)
}

fn created(answer: WorkerToHost) -> Result<(), LaunchError> {
    match answer {
        WorkerToHost::Created => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(message: &WorkerToHost) -> LaunchError {
    LaunchError::Protocol(format!("it sent {message:?}, which is not the answer that was expected"))
}
