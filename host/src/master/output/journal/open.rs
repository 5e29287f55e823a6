//! Opens a run's journal, and checks that it belongs to this run and that the run's files have what it counts
//! on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::entry::Contents;
use super::error::JournalError;
use super::identity::{InputIdentity, RunIdentity, TaskIdentity};
use super::journal_file::JournalFile;
use super::run_journal::RunJournal;
use super::saved::Saved;
use super::tail::{FileMark, Tail};
use crate::config::{InputFormat, RunSettings};
use crate::limits::JOURNAL_TAIL_BYTES;
use crate::record::InputSource;

/// A journal that can be used for this run, as far as is known before the run begins.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The file.
    pub file: JournalFile,
    /// What must still be found out, and when checkpoints are due.
    pub run: RunJournal,
    /// What earlier runs have done.
    pub saved: Saved,
    /// How the output ends, as far as it counts.
    pub output: Tail,
    /// How the failed-records file ends, as far as it counts.
    pub failed_file: Tail,
}

/// Reads the journal of a run. `task` is what the command names, if it names one.
///
/// # Errors
/// If it is in use, damaged or another run's, or if the run's files no longer hold what it counts on.
pub(crate) fn open(
    (path, file): (&Path, File),
    settings: &RunSettings,
    inputs: &[InputSource],
    task: Option<&TaskIdentity>,
) -> Result<Opened, JournalError> {
    let (file, Contents { header, saved, .. }) = JournalFile::open(path, file)?;
    let run = RunJournal::new(path, identity(settings, inputs), header)?;
    let mut run = run.with_same_version(settings.same_version);
    if let Some(task) = task
        && let Some(news) = run.on_task(task.clone())?
    {
        tracing::info!("{news}");
    }
    let output = check_file(settings.output.as_deref(), saved.output, path)?;
    let failed_file = check_file(settings.failed.as_deref(), saved.failed_file, path)?;
    Ok(Opened { file, run, saved, output, failed_file })
}

fn identity(settings: &RunSettings, inputs: &[InputSource]) -> RunIdentity {
    let name = |path: &Path| path.display().to_string();
    // In csv, a record that is too long ends elsewhere if the limit is another.
    let limits_cut = settings.format == InputFormat::Csv;
    RunIdentity {
        format: settings.format.word().to_owned(),
        record_bytes_max: limits_cut.then_some(settings.max_record_bytes as u64),
        keep_order: settings.keep_order,
        output_format: settings.output_format.word().to_owned(),
        header: settings.header,
        partition_by: settings.partition_by.clone(),
        output: settings.output.as_deref().map(name).unwrap_or_default(),
        failed: settings.failed.as_deref().map(name),
        inputs: inputs.iter().map(input_identity).collect(),
    }
}

fn input_identity(input: &InputSource) -> InputIdentity {
    let stamp = input.stamp();
    InputIdentity {
        name: input.name().to_string(),
        bytes: stamp.map(|stamp| stamp.bytes),
        modified_ns: stamp.map(|stamp| stamp.modified_ns),
    }
}

/// Checks that a file stands as the journal knows it, as far as it counts, and returns how it ends there.
fn check_file(path: Option<&Path>, known: FileMark, journal: &Path) -> Result<Tail, JournalError> {
    let Some(path) = path.filter(|_| known.bytes > 0) else { return Ok(Tail::default()) };
    // A file that does not exist has lost everything.
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let (path, journal) = (path.to_owned(), journal.to_owned());
    if bytes < known.bytes {
        return Err(JournalError::FileShorter { path, journal, bytes, bytes_known: known.bytes });
    }
    match read_tail(&path, known.bytes) {
        Ok(tail) if tail.mark() == known => Ok(tail),
        Ok(_) => Err(JournalError::FileChanged { path, journal, bytes_known: known.bytes }),
        Err(source) => Err(JournalError::ReadFile { path, journal, source }),
    }
}

fn read_tail(path: &Path, bytes: u64) -> io::Result<Tail> {
    let tail_bytes = bytes.min(JOURNAL_TAIL_BYTES as u64);
    let mut last = vec![0; tail_bytes as usize];
    File::open(path)?.read_exact_at(&mut last, bytes - tail_bytes)?;
    Ok(Tail::new(bytes, last))
}
