//! `simplegrid task check`: a task is tried on a sample, and what is wrong with it is said before a grid says
//! so. Every pass over the sample is an ordinary run on this machine, with one worker; what is looked at
//! beside its results is the process of that worker.

mod finding;
mod growth;
mod memory_file;
mod possessions;
mod records;
mod rows;
mod sample;

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::link::{self, LocalLink, NODE_NAME};
use crate::cli::{InputCompression, OutputFormat, Progress};
use crate::config::{CheckTask, RunSettings};
use crate::exit_code::{ExitStatus, UsageError};
use crate::limits::{RECORD_BYTES_MAX, STOP_GRACE};
use crate::master::{self, Ending, LINK_EVENTS, TaskIdentity};
use crate::shutdown::Shutdown;
use crate::slave::{self, Hatchery, PoolConfig, PoolHandle, Prepared, RunRequest, StopPatience, TaskChoice};
use crate::wire::WorkerLimits;
use crate::{owned_task, plugin, runtime, stdout, time};
use finding::Findings;
use growth::Growth;
use memory_file::MemoryFile;
use possessions::{KINDS, Possessions};
use records::FailedLine;

/// How long a window of repeated samples should take: long compared with the start of a run.
const WINDOW: Duration = Duration::from_millis(300);

/// Bytes of a window at most, all of which are in memory.
const WINDOW_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Samples in a window at most: a task that takes nothing would be asked for ever.
const WINDOW_SAMPLES_MAX: usize = 50_000;

/// Windows after which memory that goes up and down is left at that.
const WINDOWS_MAX: usize = 10;

/// How long a check waits for what it has read when it is asked to stop: nothing of it is wanted any more.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a killed worker may take to be reaped.
const REAP_MAX: Duration = Duration::from_secs(1);

/// Checks one task, and prints what was found.
///
/// # Errors
/// If there is no such library or input, or the machine refuses something.
pub(crate) fn check(config: &CheckTask) -> anyhow::Result<ExitStatus> {
    let (library, _) = plugin::find(&config.task, &config.looking.task_path).map_err(UsageError::mark)?;
    let sample = sample::read(config.input.as_deref(), config.format)?;
    runtime::run(check_here(config, &library, &sample))
}

/// What a check says to programs.
#[derive(Serialize)]
struct Report<'a> {
    library: &'a Path,
    passed: bool,
    #[serde(flatten)]
    findings: &'a Findings,
}

async fn check_here(config: &CheckTask, library: &Path, sample: &[u8]) -> anyhow::Result<ExitStatus> {
    let shutdown = Shutdown::listen(Some(DRAIN_TIMEOUT))?;
    let mut findings = Findings::default();
    let mut tasks = JoinSet::new();
    tokio::select! {
        biased;
        // Dropping the workers' processes kills them.
        signal = shutdown.first() => return Ok(signal.exit_status()),
        examined = examine(config, sample, &shutdown, &mut tasks, &mut findings) => examined?,
    }
    owned_task::cancel_all(&mut tasks).await;
    let passed = !findings.has_failed();
    let text = if config.json {
        serde_json::to_string_pretty(&Report { library, passed, findings: &findings })? + "\n"
    } else {
        findings.to_text()
    };
    stdout::print(&text)?;
    Ok(if passed { ExitStatus::Done } else { ExitStatus::SomeFailed })
}

async fn examine(
    config: &CheckTask,
    sample: &[u8],
    shutdown: &Shutdown,
    tasks: &mut JoinSet<()>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let choice = TaskChoice {
        task: &config.task,
        task_args: &config.task_args,
        manager_args: &[],
        task_path: &config.looking.task_path,
        limits: WorkerLimits::default(),
        start_timeout: config.looking.start_timeout,
        slots: 1,
        marks_null: false,
        expected: None,
    };
    let prepared = match slave::prepare(choice).await {
        Ok(prepared) => prepared,
        Err(error) => {
            findings.fail(
                "start",
                error.to_string(),
                "Nothing else can be tried before the task loads and prepares.",
            );
            return Ok(());
        }
    };
    let task = &prepared.welcome.task;
    findings.ok("start", format!("the task {task} was loaded, described itself and prepared"));
    let pool_config = PoolConfig {
        slots: 1,
        hatchery: Hatchery::of_processes(),
        launch: prepared.launch.clone(),
        start_timeout: config.looking.start_timeout,
        node: NODE_NAME.to_owned(),
        record_timeout: Some(config.record_timeout),
        logs_losses: false,
    };
    let pool = slave::start_pool(pool_config, None, tasks);
    if let Err(error) = pool.ready().await {
        findings.fail("create", error.to_string(), "`new` must succeed with these arguments.");
        return Ok(());
    }
    let trial = Trial { config, prepared: &prepared, pool: &pool, shutdown };
    trial.on_sample(sample, findings).await?;
    stop(&pool, shutdown, findings).await;
    Ok(())
}

/// Ends the worker, which drops its task.
async fn stop(pool: &PoolHandle, shutdown: &Shutdown, findings: &mut Findings) {
    let began = time::now();
    let patience = StopPatience { finish_by: Instant::now() + STOP_GRACE * 2, reap_max: REAP_MAX };
    pool.stop(patience, shutdown.second()).await;
    // One that does not end is killed by its link at the end of its grace.
    if time::now().duration_since(began) >= STOP_GRACE {
        let limit = humantime::format_duration(STOP_GRACE);
        findings.fail(
            "end",
            format!("the worker did not end within {limit} after its last record"),
            "Look at what dropping the task waits for: a thread that is joined, a queue that is not closed.",
        );
    } else {
        findings.ok("end", "the worker dropped the task and ended");
    }
}

/// What one pass over some records came to.
struct Pass {
    status: ExitStatus,
    rows: Vec<u8>,
    failed: Vec<FailedLine>,
    summary: PassSummary,
}

/// What is wanted of a run's summary.
#[derive(Deserialize)]
struct PassSummary {
    read: u64,
    done: u64,
    seconds: f64,
}

/// What is otherwise after many records than it was in the first ones, if anything is.
fn unlike(window: &Pass, pass: &Pass, samples: usize) -> Option<String> {
    let (failed, expected) = (window.failed.len(), pass.failed.len() * samples);
    let records = window.summary.read;
    match window.failed.get(expected) {
        Some(one) => {
            Some(format!("{failed} of {records} records fail, not {expected}; one of them: {}", one.message))
        }
        None if window.status == pass.status => None,
        None => Some(format!("a run of {records} records could not go on; the error above says why")),
    }
}

/// A task that is ready, and how to run it.
struct Trial<'a> {
    config: &'a CheckTask,
    prepared: &'a Prepared,
    pool: &'a PoolHandle,
    shutdown: &'a Shutdown,
}

impl Trial<'_> {
    async fn on_sample(&self, sample: &[u8], findings: &mut Findings) -> anyhow::Result<()> {
        let fresh = Possessions::of_worker()?;
        let first = self.pass(sample, 1).await?;
        let counts = (first.summary.done, first.summary.read);
        records::judge(self.config.input.as_deref(), counts, &first.failed, findings);
        if first.status != ExitStatus::Done && first.status != ExitStatus::SomeFailed {
            findings.fail("run", "the run could not go on; the error above says why", "Mend that first.");
            return Ok(());
        }
        match rows::first_wrong(&first.rows, &self.prepared.welcome.output) {
            Some(wrong) => {
                let advice = "Every row needs one cell for each column, of the kind that the manifest names.";
                findings.fail("rows", wrong, advice);
            }
            None => {
                findings.ok("rows", format!("{} bytes of rows are as the manifest says", first.rows.len()))
            }
        }
        let after_first = Possessions::of_worker().ok().filter(|now| now.pid == fresh.pid);
        let second = self.pass(sample, 1).await?;
        if first.rows == second.rows {
            findings.ok("same rows", "the second pass wrote the same rows as the first");
        } else {
            let advice =
                "Meant for times, random numbers and memories; else retries will not repeat their rows.";
            findings.warn("same rows", "the second pass wrote other rows than the first", advice);
        }
        let after_second = Possessions::of_worker().ok().filter(|now| now.pid == fresh.pid);
        let (Some(once), Some(twice)) = (after_first, after_second) else {
            let advice = "Give an input without the records that panic, crash or take too long.";
            findings.warn("left behind", "not looked at: the worker had to be replaced", advice);
            return Ok(());
        };
        if self.judge_possessions([&fresh, &once, &twice], findings) {
            self.repeat(sample, &second, findings).await?;
        }
        Ok(())
    }

    /// Compares what the worker has before the first pass, after it, and after the second. Returns whether
    /// it may run many.
    fn judge_possessions(&self, seen: [&Possessions; 3], findings: &mut Findings) -> bool {
        let [fresh, once, twice] = seen;
        let mut is_clean = true;
        for (at, kind) in KINDS.into_iter().enumerate() {
            let [before, first, second] = [fresh, once, twice].map(|one| one.counts[at]);
            if second > first && first >= before {
                is_clean = false;
                let left = second - first;
                let said =
                    format!("each pass leaves {left} more: {before} at first, then {first}, then {second}");
                findings.fail(
                    kind,
                    said,
                    "End, close and wait for what a record needs before its call returns.",
                );
            } else if second > before {
                let said = format!("{before} before the first record, {second} after two passes");
                findings.warn(kind, said, "Fine for what is kept to be used again, and ends with the task.");
            } else {
                findings.ok(kind, format!("none left behind ({second})"));
            }
        }
        is_clean
    }

    /// Runs the sample many times: what each record costs in time, and whether memory grows.
    async fn repeat(&self, sample: &[u8], pass: &Pass, findings: &mut Findings) -> anyhow::Result<()> {
        let by_time = WINDOW.as_secs_f64() / pass.summary.seconds.max(f64::EPSILON);
        // What is read and what is written is all in memory.
        let bytes = sample.len().max(pass.rows.len()).max(1);
        let samples_max = (WINDOW_BYTES_MAX / bytes).clamp(1, WINDOW_SAMPLES_MAX);
        let mut samples = (by_time as usize).clamp(1, samples_max);
        // A run so short is mostly its own start: find out how many fit.
        let mut window = self.pass(sample, samples).await?;
        while window.summary.seconds < WINDOW.as_secs_f64() / 2.0 && samples < samples_max {
            samples = (samples * 4).min(samples_max);
            window = self.pass(sample, samples).await?;
        }
        let (mut held, mut sizes, mut growth) = (Vec::new(), Vec::new(), Growth::Unclear);
        while growth == Growth::Unclear && sizes.len() <= WINDOWS_MAX {
            window = self.pass(sample, samples).await?;
            if let Some(unlike) = unlike(&window, pass, samples) {
                let advice = "Something is used up: descriptors, memory, connections, room in a table.";
                findings.fail("many records", unlike, advice);
                return Ok(());
            }
            held.extend(Possessions::of_worker().ok());
            if !held.last().is_some_and(|now| now.pid == held[0].pid && held.len() > sizes.len()) {
                let advice = "A task that dies after many records loses none of them, but its speed.";
                findings.warn("memory", "not looked at: the worker had to be replaced", advice);
                return Ok(());
            }
            sizes.push(held[held.len() - 1].memory_bytes);
            growth = growth::judge(&sizes);
        }
        let records = window.summary.read.max(1);
        match growth {
            Growth::Flat => {
                findings.ok("memory", format!("{} KiB, and it does not grow", sizes[sizes.len() - 1] / 1024))
            }
            Growth::Steady(bytes) => {
                let each = bytes as f64 / records as f64;
                let said = format!(
                    "it grows by {each:.1} bytes per record, steadily over {records} records three times"
                );
                findings.fail(
                    "memory",
                    said,
                    "Look for a map, a cache or a log in the task that is never emptied.",
                );
            }
            Growth::Unclear => {
                let said = format!(
                    "it goes up and down: {:?} KiB",
                    sizes.iter().map(|size| size / 1024).collect::<Vec<_>>()
                );
                findings.warn("memory", said, "Give a longer INPUT to be sure.");
            }
        }
        let nanoseconds = window.summary.seconds * 1e9 / records as f64;
        findings.ok(
            "speed",
            format!("{nanoseconds:.0} ns per record with one worker, its share of the run included"),
        );
        Ok(())
    }

    /// Runs the sample so many times, as one input.
    async fn pass(&self, sample: &[u8], times: usize) -> anyhow::Result<Pass> {
        let input = MemoryFile::with(sample, times)?;
        let [rows, failed, summary] =
            [MemoryFile::with(&[], 0)?, MemoryFile::with(&[], 0)?, MemoryFile::with(&[], 0)?];
        let settings = self.settings(&input, &rows, &failed, &summary);
        let opened = master::open_run(&settings, Some(&TaskIdentity::of(&self.prepared.welcome)), false)?;
        let (events_in, events) = mpsc::channel(LINK_EVENTS);
        let record_timeout = settings.record_timeout;
        let link = LocalLink {
            request: RunRequest {
                run: opened.id,
                format: settings.format.into(),
                rows: settings.output_format.into(),
                record_timeout,
            },
            welcome: self.prepared.welcome.clone(),
            pool: self.pool.clone(),
            commands: Vec::new(),
            events: events_in,
        };
        let ending = Ending { shutdown_slaves: false, begins: None, harvest: None };
        let running = master::run_records(&settings, opened, ending, events, self.shutdown.clone());
        let (status, ()) = tokio::join!(running, link::carry(link, |frames| frames));
        let lines = failed.bytes()?;
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok(Pass {
            status: status?,
            rows: rows.bytes()?,
            failed: lines.map(serde_json::from_slice).collect::<Result<_, _>>()?,
            summary: serde_json::from_slice(&summary.bytes()?)?,
        })
    }

    fn settings(
        &self,
        input: &MemoryFile,
        rows: &MemoryFile,
        failed: &MemoryFile,
        summary: &MemoryFile,
    ) -> RunSettings {
        RunSettings {
            format: self.config.format,
            input_compression: InputCompression::Auto,
            output_format: OutputFormat::Csv,
            keep_order: true,
            output: Some(rows.path()),
            failed: Some(failed.path()),
            journal: None,
            header: false,
            expect_task: None,
            same_version: false,
            retries: 0,
            record_timeout: Some(self.config.record_timeout),
            drain_timeout: DRAIN_TIMEOUT,
            max_record_bytes: RECORD_BYTES_MAX,
            partition_by: None,
            progress: Progress::Never,
            summary_json: Some(summary.path()),
            quiet: true,
            inputs: vec![input.path()],
            task_path: self.config.looking.task_path.clone(),
        }
    }
}
