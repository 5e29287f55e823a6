//! Opens a run's journal, and checks that it belongs to this run and that the run's files have what it counts
//! on.

use std::path::Path;

use super::entry::Contents;
use super::error::JournalError;
use super::identity::{InputIdentity, RunIdentity, TaskIdentity};
use super::journal_file::JournalFile;
use super::run_journal::RunJournal;
use super::saved::Saved;
use crate::config::{InputFormat, RunSettings};
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
}

/// Opens the journal of a run. `task` is what the command names, if it names one.
///
/// # Errors
/// If it is in use, damaged or another run's, or if the run's files have lost what it counts on.
pub(crate) fn open(
    path: &Path,
    settings: &RunSettings,
    inputs: &[InputSource],
    task: Option<&TaskIdentity>,
) -> Result<Opened, JournalError> {
    let (file, Contents { header, saved, .. }) = JournalFile::open(path)?;
    let mut run = RunJournal::new(path, identity(settings, inputs), header)?;
    if let Some(task) = task {
        run.on_task(task.clone())?;
    }
    check_length(settings.output.as_deref(), saved.output_bytes, path)?;
    check_length(settings.failed.as_deref(), saved.failed_bytes, path)?;
    Ok(Opened { file, run, saved })
}

fn identity(settings: &RunSettings, inputs: &[InputSource]) -> RunIdentity {
    let name = |path: &Path| path.display().to_string();
    // In csv, a record that is too long ends elsewhere if the limit is another.
    let limits_cut = settings.format == InputFormat::Csv;
    RunIdentity {
        format: settings.format.word().to_owned(),
        record_bytes_max: limits_cut.then_some(settings.max_record_bytes as u64),
        keep_order: settings.keep_order,
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

fn check_length(path: Option<&Path>, bytes_known: u64, journal: &Path) -> Result<(), JournalError> {
    let Some(path) = path.filter(|_| bytes_known > 0) else { return Ok(()) };
    // A file that does not exist has lost everything.
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if bytes >= bytes_known {
        return Ok(());
    }
    Err(JournalError::FileShorter { path: path.to_owned(), journal: journal.to_owned(), bytes, bytes_known })
}
