//! Whether a run's files can be read and written, as far as their names show: an hour of work should not be
//! lost because a directory is missing. What shows only when they are open, the run finds before it begins.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::error::ConfigError;
use crate::record::Compression;

/// The files that a run names.
pub(super) struct FileNames<'a> {
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

impl FileNames<'_> {
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
        let is_ordinary = |path: &Path| (path.is_file() || !path.exists()) && !is_open_already(path);
        if let Some((flag, path)) = files.find(|(_, path)| !is_ordinary(path)) {
            let path = path.display();
            return Err(refused(format!(
                "--{flag} {path} is not an ordinary file, so a later run cannot continue it"
            )));
        }
        let results = [("output", Some(output)), ("failed", self.failed)];
        let mut results = results.into_iter().filter_map(|(flag, path)| Some((flag, path?)));
        match results.find_map(|(flag, path)| Some((flag, path, Compression::of_name(path)?))) {
            Some((flag, path, compression)) => Err(refused(format!(
                "--{flag} {} would be compressed, and a later run could not cut it to what counts of it; {}",
                path.display(),
                compress_later(path, compression)
            ))),
            None => Ok(()),
        }
    }
}

/// What to do instead of writing a compressed file.
fn compress_later(path: &Path, compression: Compression) -> String {
    let (plain, packer) = (path.with_extension(""), compression.packer());
    let plain = plain.display();
    format!("name {plain} instead, and compress it when the run is over: `{packer} {plain}`")
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
    match (flag, Compression::of_name(path)) {
        (_, None) | ("journal", _) | ("output" | "failed", Some(Compression::Gzip | Compression::Zstd)) => {}
        ("output" | "failed", Some(other)) => {
            let instead = compress_later(path, other);
            return Err(refused(format!(
                "files are written compressed as .gz and .zst, not with {other}; {instead}"
            )));
        }
        (_, Some(other)) => {
            let instead = compress_later(path, other);
            return Err(refused(format!("it is not written compressed; {instead}")));
        }
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(refused(format!("there is no directory {}; create it first", parent.display())))
        }
        _ => Ok(()),
    }
}

/// Whether a name is that of something which a process has open.
fn is_open_already(path: &Path) -> bool {
    path.starts_with("/dev") && !path.starts_with("/dev/shm") || path.starts_with("/proc")
}

fn check_input(path: &Path) -> Result<(), ConfigError> {
    let unreadable = |source| ConfigError::NoInput { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() { Err(unreadable(io::ErrorKind::IsADirectory.into())) } else { Ok(()) }
}
