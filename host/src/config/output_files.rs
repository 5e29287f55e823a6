//! Whether a run's files can be read and written, as far as can be seen before it begins: an hour of work
//! should not be lost because a directory is missing.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::error::ConfigError;

/// The files that a run names.
pub(super) struct RunFiles<'a> {
    /// `--output`.
    pub output: Option<&'a Path>,
    /// `--failed`.
    pub failed: Option<&'a Path>,
    /// `--journal`.
    pub journal: Option<&'a Path>,
    /// `--summary-json`.
    pub summary_json: Option<&'a Path>,
    /// What is read; `-` is stdin, and so is an empty list.
    pub inputs: &'a [PathBuf],
}

impl RunFiles<'_> {
    /// Looks at every file.
    ///
    /// # Errors
    /// The first one that cannot be used.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let outputs: Vec<(&'static str, &Path)> = [
            ("output", self.output),
            ("failed", self.failed),
            ("journal", self.journal),
            ("summary-json", self.summary_json),
        ]
        .into_iter()
        .filter_map(|(flag, path)| Some((flag, path?)))
        .collect();
        outputs.iter().try_for_each(|(flag, path)| check_output(flag, path))?;
        check_distinct(&outputs)?;
        outputs.iter().try_for_each(|(flag, path)| check_is_no_input(flag, path, self.inputs))?;
        self.check_journal()?;
        self.inputs.iter().filter(|path| path.as_os_str() != "-").try_for_each(|path| check_input(path))
    }

    /// What a journal counts must be in files, because it sets their length.
    fn check_journal(&self) -> Result<(), ConfigError> {
        let Some(journal) = self.journal else { return Ok(()) };
        let refused = |reason: String| ConfigError::NoJournal { path: journal.to_owned(), reason };
        let Some(output) = self.output else {
            return Err(refused(
                "it needs --output FILE, because standard output cannot be continued by a later run"
                    .to_owned(),
            ));
        };
        let files = [("output", Some(output)), ("failed", self.failed), ("journal", Some(journal))];
        let mut files = files.into_iter().filter_map(|(flag, path)| Some((flag, path?)));
        // Names below /dev for what is open already are files only while this process lives.
        let is_ordinary = |path: &Path| {
            (path.is_file() || !path.exists()) && (!is_device(path) || path.starts_with("/dev/shm"))
        };
        match files.find(|(_, path)| !is_ordinary(path)) {
            Some((flag, path)) => {
                let path = path.display();
                Err(refused(format!(
                    "--{flag} {path} is not an ordinary file, so a later run cannot continue it"
                )))
            }
            None => Ok(()),
        }
    }
}

fn check_output(flag: &'static str, path: &Path) -> Result<(), ConfigError> {
    let refused = |reason| ConfigError::NoPlaceForOutput { flag, path: path.to_owned(), reason };
    if path.as_os_str() == "-" {
        return Err(refused("it must be a file: standard output is for the results".to_owned()));
    }
    if path.as_os_str().is_empty() {
        return Err(refused("the name is empty".to_owned()));
    }
    if path.is_dir() {
        return Err(refused("it is a directory".to_owned()));
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(refused(format!("there is no directory {}; create it first", parent.display())))
        }
        _ => Ok(()),
    }
}

fn check_distinct(outputs: &[(&'static str, &Path)]) -> Result<(), ConfigError> {
    for (index, (second, path)) in outputs.iter().enumerate() {
        let same = outputs[..index].iter().find(|(_, other)| is_same(other, path) && !is_device(path));
        if let Some((first, _)) = same {
            return Err(ConfigError::SameFile { first, second, path: path.to_path_buf() });
        }
    }
    Ok(())
}

/// Opening an output empties it: an input of the same file would be gone before it is read.
fn check_is_no_input(flag: &'static str, path: &Path, inputs: &[PathBuf]) -> Result<(), ConfigError> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let Some(output) = identity(path).filter(|_| !is_device(path)) else { return Ok(()) };
    let stdin = || PathBuf::from("/dev/stdin");
    let named = inputs.iter().map(|input| if input.as_os_str() == "-" { stdin() } else { input.clone() });
    let read = named.chain(inputs.is_empty().then(stdin));
    match read.into_iter().find(|input| identity(input) == Some(output)) {
        Some(input) => Err(ConfigError::WritesItsInput { flag, input }),
        None => Ok(()),
    }
}

/// Whether two names mean one file, as far as can be seen before the file exists.
fn is_same(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            Some(parent.unwrap_or(Path::new(".")).canonicalize().ok()?.join(path.file_name()?))
        })
    };
    one == other || resolved(one).is_some_and(|one| resolved(other) == Some(one))
}

/// Several outputs may share `/dev/null` or `/dev/stderr`.
fn is_device(path: &Path) -> bool {
    path.starts_with("/dev")
}

fn check_input(path: &Path) -> Result<(), ConfigError> {
    let unreadable = |source| ConfigError::NoInput { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() { Err(unreadable(io::ErrorKind::IsADirectory.into())) } else { Ok(()) }
}
