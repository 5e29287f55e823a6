//! The files that a run writes: opened before anything runs, without changing them; compared with each other
//! and with what is read, because two names can mean one file; and emptied only when the run begins.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::output_target::{OutputTarget, is_stderr};
use super::write_error::WriteError;
use crate::config::RunSettings;
use crate::file_identity::FileIdentity;
use crate::record::{InputName, InputSource};
use crate::stdout::{self, StdoutError};

/// Why the files of a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunFilesError {
    /// Rows have nowhere to go.
    #[error(
        "{0}, and the rows have nowhere else to go: name a file with --output FILE, or send standard output \
         to /dev/null if the rows are not wanted"
    )]
    Stdout(StdoutError),
    /// A file cannot be opened for writing.
    #[error("cannot write {what}: {cause}")]
    Open {
        /// The flag and the path.
        what: String,
        /// Why.
        cause: io::Error,
    },
    /// Two results would go to one file.
    #[error("{one} and {other} are the same file, and one would overwrite the other: name another file")]
    SameFile {
        /// A flag and its path, or «standard output».
        one: String,
        /// Another one.
        other: String,
    },
    /// A result would go to a file that is read.
    #[error(
        "{output} and the input {input} are the same file, which would be emptied or written to before it is \
         read: name another file"
    )]
    AlsoInput {
        /// A flag and its path, or «standard output».
        output: String,
        /// The input.
        input: InputName,
    },
}

impl RunFilesError {
    /// Whether the command line is wrong, and not the stream that the program was given.
    pub(crate) fn is_usage(&self) -> bool {
        !matches!(self, Self::Stdout(_))
    }
}

/// The files that a run writes. Dropped before the run has begun, they are as they were before.
#[derive(Debug)]
pub(crate) struct RunFiles {
    /// Where rows go.
    pub output: OutputTarget,
    /// Where failed records go, if to a file.
    pub failed: Option<OutputTarget>,
    /// Where the summary goes, if to a file.
    pub summary: Option<OutputTarget>,
    /// The journal, if there is one.
    pub journal: Option<File>,
    created: CreatedFiles,
}

impl RunFiles {
    /// Opens the files that the settings name. Rows of a run with a sink need no output.
    ///
    /// # Errors
    /// If one cannot be used, or two are one.
    pub(crate) fn open(
        settings: &RunSettings,
        inputs: &[InputSource],
        rows_go_to_sink: bool,
    ) -> Result<Self, RunFilesError> {
        let mut opening = Opening::default();
        let output = match &settings.output {
            Some(path) => opening.target("output", path)?,
            None => opening.standard_output(rows_go_to_sink)?,
        };
        let target = |opening: &mut Opening, flag, path: &Option<PathBuf>| {
            path.as_ref().map(|path| opening.target(flag, path)).transpose()
        };
        let failed = target(&mut opening, "failed", &settings.failed)?;
        let summary = target(&mut opening, "summary-json", &settings.summary_json)?;
        let journal = settings.journal.as_ref().map(|path| opening.journal(path)).transpose()?;
        opening.compare(inputs)?;
        Ok(Self { output, failed, summary, journal, created: opening.created })
    }

    /// The run begins: what was in the files is replaced, unless it has a journal, which knows what counts.
    ///
    /// # Errors
    /// If a file cannot be emptied.
    pub(crate) fn begin(&mut self, has_journal: bool) -> Result<(), WriteError> {
        let results = [Some(&self.output), self.failed.as_ref()].into_iter().flatten();
        let results = results.filter(|_| !has_journal).chain(&self.summary);
        for target in results {
            let emptied = target.empty();
            emptied.map_err(|source| WriteError::of_file(Path::new(&target.name), source))?;
        }
        self.created.keep();
        Ok(())
    }
}

/// What was opened so far.
#[derive(Debug, Default)]
struct Opening {
    /// What each is called, and which file it is.
    opened: Vec<(String, Option<FileIdentity>)>,
    created: CreatedFiles,
}

impl Opening {
    fn standard_output(&mut self, is_unused: bool) -> Result<OutputTarget, RunFilesError> {
        let failed = |cause| RunFilesError::Open { what: "standard output".to_owned(), cause };
        let target = OutputTarget::standard_output().map_err(failed)?;
        if !is_unused {
            stdout::check().map_err(RunFilesError::Stdout)?;
            let identity = target.stream.identity().map_err(failed)?;
            self.opened.push((target.name.clone(), identity));
        }
        Ok(target)
    }

    fn target(&mut self, flag: &str, path: &Path) -> Result<OutputTarget, RunFilesError> {
        if stdout::is_named(path) {
            stdout::check().map_err(RunFilesError::Stdout)?;
        }
        self.note_new(path);
        let what = format!("--{flag} {}", path.display());
        let opened = OutputTarget::open(path).and_then(|target| Ok((target.stream.identity()?, target)));
        let (identity, target) = opened.map_err(|cause| RunFilesError::Open { what: what.clone(), cause })?;
        // Standard error takes everything that it is sent, messages too; a user who names it wants that.
        self.opened.push((what, identity.filter(|_| !is_stderr(path))));
        Ok(target)
    }

    fn journal(&mut self, path: &Path) -> Result<File, RunFilesError> {
        self.note_new(path);
        let what = format!("--journal {}", path.display());
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let opened = file.and_then(|file| Ok((FileIdentity::of(&file.metadata()?), file)));
        let (identity, file) = opened.map_err(|cause| RunFilesError::Open { what: what.clone(), cause })?;
        self.opened.push((what, identity));
        Ok(file)
    }

    fn note_new(&mut self, path: &Path) {
        if matches!(fs::metadata(path), Err(error) if error.kind() == ErrorKind::NotFound) {
            self.created.0.push(path.to_owned());
        }
    }

    fn compare(&self, inputs: &[InputSource]) -> Result<(), RunFilesError> {
        for (index, (other, identity)) in self.opened.iter().enumerate() {
            let Some(identity) = identity else { continue };
            if let Some((one, _)) = self.opened[..index].iter().find(|(_, before)| *before == Some(*identity))
            {
                return Err(RunFilesError::SameFile { one: one.clone(), other: other.clone() });
            }
            let is_read = |input: &&InputSource| {
                input.identity().is_some_and(|input| identity.is_also_read_from(&input))
            };
            if let Some(input) = inputs.iter().find(is_read) {
                let (output, input) = (other.clone(), input.name().clone());
                return Err(RunFilesError::AlsoInput { output, input });
            }
        }
        Ok(())
    }
}

/// Files that were not there before: they are removed if the run does not begin.
#[derive(Debug, Default)]
struct CreatedFiles(Vec<PathBuf>);

impl CreatedFiles {
    fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for CreatedFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            // A link stays, and only what it names is removed. Whatever goes wrong here, an empty file is
            // left over, which is not worth a word beside the reason for which the run does not
            // begin.
            if let Ok(path) = fs::canonicalize(path)
                && fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() == 0)
            {
                let _ = fs::remove_file(path);
            }
        }
    }
}
