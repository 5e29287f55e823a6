//! Rows in CSV files in a directory: one file for each session of a slave, complete when it has its final
//! name. A file system can promise less than a database: see `docs/guarantees.md`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::harvest::Package;
use super::part_file::{self, PartFile};
use crate::ids::RunId;
use crate::sink::error::{OpenError, StoreError};
use crate::sink::group::{EntryTask, Fate, GROUP_BYTES_MAX, Group};
use crate::sink::rows::{header_line, push_line_as_csv};
use crate::sink::shape::Shape;

/// Digits of a run's name in the names of its files: enough to tell runs apart, and few enough to read.
const RUN_DIGITS: usize = 12;

/// A directory of files.
#[derive(Debug)]
pub(crate) struct CsvFiles {
    directory: PathBuf,
    shape: Shape,
    /// The part of the files' names that stands for this slave.
    label: String,
    current: Option<(RunId, PartFile)>,
    /// Rows on their way to the file.
    buffer: Vec<u8>,
}

impl CsvFiles {
    /// Opens the directory, makes it if it is not there, and completes the files that killed slaves left in
    /// it.
    ///
    /// # Errors
    /// If files cannot be written there.
    pub(crate) fn open(directory: &Path, shape: Shape, label: &str) -> Result<Self, OpenError> {
        let unfit = |error: io::Error| {
            OpenError::Unfit(format!("cannot write files into {}: {error}", directory.display()))
        };
        match fs::create_dir(directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unfit(error)),
        }
        let label: String = label.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        let files = Self { directory: directory.to_owned(), shape, label, current: None, buffer: Vec::new() };
        files.probe().map_err(unfit)?;
        for path in part_file::seal_orphans(directory).map_err(unfit)? {
            tracing::info!("completed {}, left by a slave that was killed", path.display());
        }
        Ok(files)
    }

    /// Finds out at the start whether files can be written here.
    fn probe(&self) -> io::Result<()> {
        let path = self.directory.join(format!(".{}.probe", self.label));
        File::create(&path)?;
        fs::remove_file(&path)
    }

    /// Appends the rows of a group. Once it returns, they are in the file as long as the machine runs.
    pub(crate) fn commit(&mut self, group: &Group) -> Result<Vec<Fate>, StoreError> {
        self.buffer.clear();
        let mut fates = Vec::with_capacity(group.entries.len());
        for entry in &group.entries {
            if entry.task == EntryTask::LookUp {
                fates.push(Fate::Failed);
                continue;
            }
            for rows in &entry.rows {
                if self.shape.raw {
                    let lines = rows.strip_suffix(b"\n").unwrap_or(rows);
                    if !rows.is_empty() {
                        lines
                            .split(|b| *b == b'\n')
                            .for_each(|line| push_line_as_csv(line, &mut self.buffer));
                    }
                } else {
                    self.buffer.extend_from_slice(rows);
                }
            }
            fates.push(Fate::Committed);
        }
        self.append(group.run).map_err(|error| self.broken(&error))?;
        Ok(fates)
    }

    fn append(&mut self, run: RunId) -> io::Result<()> {
        if self.current.as_ref().is_some_and(|(current, _)| *current != run) {
            self.seal_current()?;
        }
        let part = match &mut self.current {
            Some((_, part)) => part,
            None => {
                let header = header_line(self.shape.columns.iter().map(|column| column.name.as_str()));
                let part = PartFile::create(&self.directory, &stem(run, &self.label), &header)?;
                &mut self.current.insert((run, part)).1
            }
        };
        part.append(&self.buffer)?;
        // One large row must not keep its memory for ever.
        self.buffer.shrink_to(GROUP_BYTES_MAX);
        Ok(())
    }

    /// Completes the file, for which no more rows come: it gets its final name.
    ///
    /// # Errors
    /// If it cannot be completed.
    pub(crate) fn seal(&mut self) -> Result<(), StoreError> {
        self.seal_current().map_err(|error| self.broken(&error))
    }

    fn seal_current(&mut self) -> io::Result<()> {
        match self.current.take() {
            Some((_, part)) => part.seal().map(|path| tracing::info!("completed {}", path.display())),
            None => Ok(()),
        }
    }

    /// Packs this slave's files of a run; `None` if there are none.
    ///
    /// # Errors
    /// In words for the user.
    pub(crate) fn pack(&mut self, run: RunId) -> Result<Option<Package>, String> {
        let stem = stem(run, &self.label);
        let files = self.files(&stem).map_err(|error| format!("{}: {error}", self.directory.display()))?;
        if files.is_empty() { Ok(None) } else { Package::pack(&self.directory, &stem, &files).map(Some) }
    }

    /// The complete files of that name, with or without a number after it.
    fn files(&self, stem: &str) -> io::Result<Vec<PathBuf>> {
        let is_ours = |name: &str| {
            let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(".csv"));
            rest.is_some_and(|rest| {
                rest.is_empty()
                    || rest.strip_prefix('-').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
            })
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(is_ours) {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok(files)
    }

    fn broken(&self, error: &io::Error) -> StoreError {
        StoreError::Broken(format!("cannot write a file in {}: {error}", self.directory.display()))
    }
}

/// The name of a slave's files of a run, without number and ending.
fn stem(run: RunId, label: &str) -> String {
    let run = run.to_string();
    format!("rows-{}-{label}", &run[..RUN_DIGITS])
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{Column, Kind};
    use crate::sink::group::GroupEntry;
    use bytes::Bytes;

    fn shape(raw: bool, names: &[&str]) -> Shape {
        let column = |name: &&str| Column { name: (*name).to_owned(), kind: Kind::Text, nullable: true };
        Shape { columns: names.iter().map(column).collect(), raw }
    }

    fn group(run: u8, rows: &'static str) -> Group {
        let mut group = Group::new(RunId([run; 16]));
        let rows = [Bytes::new(), Bytes::from_static(rows.as_bytes())];
        group.push(GroupEntry { seq: 0, task: EntryTask::Commit, rows });
        group.push(GroupEntry {
            seq: 1,
            task: EntryTask::LookUp,
            rows: [Bytes::new(), Bytes::from_static(b"why")],
        });
        group
    }

    #[test]
    fn each_run_has_a_file_of_its_own_with_the_columns_on_top() {
        let directory = tempfile::tempdir().unwrap();
        let rows = directory.path().join("rows");
        let mut files = CsvFiles::open(&rows, shape(false, &["a", "b,c"]), "h:1337").unwrap();
        assert_eq!(files.commit(&group(1, "1,2\n")).unwrap(), [Fate::Committed, Fate::Failed]);
        files.commit(&group(1, "3,4\n")).unwrap();
        files.commit(&group(2, "5,6\n")).unwrap();
        files.seal().unwrap();
        let read = |name: &str| fs::read_to_string(rows.join(name)).unwrap();
        assert_eq!(read("rows-010101010101-h_1337.csv"), "a,\"b,c\"\n1,2\n3,4\n");
        assert_eq!(read("rows-020202020202-h_1337.csv"), "a,\"b,c\"\n5,6\n");
        assert_eq!(files.files("rows-010101010101-h_1337").unwrap().len(), 1);
        assert_eq!(files.files("rows-010101010101-h_133").unwrap().len(), 0);
    }

    #[test]
    fn raw_lines_become_csv() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = CsvFiles::open(directory.path(), shape(true, &["line"]), "h").unwrap();
        files.commit(&group(1, "plain\na \"b\", c\n\n")).unwrap();
        files.commit(&group(1, "")).unwrap();
        files.seal().unwrap();
        let text = fs::read_to_string(directory.path().join("rows-010101010101-h.csv")).unwrap();
        assert_eq!(text, "line\nplain\n\"a \"\"b\"\", c\"\n\"\"\n");
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_refused() {
        let error = CsvFiles::open(Path::new("/proc/rows"), shape(true, &["line"]), "h").unwrap_err();
        assert!(error.to_string().contains("cannot write files into /proc/rows"), "{error}");
    }
}
