//! Rows in CSV files in a directory: one file for each session of a slave, complete when it has its final
//! name, and a ledger for each run. A file system can promise less than a database: see `docs/guarantees.md`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::harvest::Package;
use super::ledger_entry::LedgerEntry;
use super::orphans::complete_orphans;
use super::part_file::PartFile;
use super::run_ledger::{self, LedgerError, RunLedger};
use crate::ids::{RunId, Seq};
use crate::sink::error::{OpenError, StoreError};
use crate::sink::group::{Fate, GROUP_BYTES_MAX, Group};
use crate::sink::judgement::Judgement;
use crate::sink::pages::Pages;
use crate::sink::rows::{header_line, push_line_as_csv};
use crate::sink::shape::Shape;

/// Digits of a run's name in the names of its files: enough to tell runs apart, and few enough to read.
const RUN_DIGITS: usize = 12;

/// A directory of files.
#[derive(Debug)]
pub(crate) struct CsvFiles {
    directory: PathBuf,
    /// What masters are told.
    name: String,
    shape: Shape,
    /// The part of the files' names that stands for this slave.
    label: String,
    current: Option<SessionFiles>,
    /// Rows on their way to the file.
    buffer: Vec<u8>,
    /// When old ledgers were last removed.
    forgot_at: Instant,
}

/// How often ledgers of runs that are long over are removed: they are kept for days, so a day more hardly
/// matters.
const FORGET_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a session writes.
#[derive(Debug)]
struct SessionFiles {
    run: RunId,
    ledger: RunLedger,
    /// The file and its number in the ledger; none before the first record is done.
    part: Option<(u64, PartFile)>,
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
        probe(directory, &label).map_err(unfit)?;
        let ledger = run_ledger::name_of(directory).map_err(unfit)?;
        complete_orphans(directory).map_err(unfit)?;
        run_ledger::forget_old(directory).map_err(unfit)?;
        Ok(Self {
            directory: directory.to_owned(),
            name: format!("CSV files (ledger {ledger})"),
            shape,
            label,
            current: None,
            buffer: Vec::new(),
            forgot_at: Instant::now(),
        })
    }

    /// What masters are told.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Appends the rows that are not there yet, and notes their records in the ledger. Once it returns, they
    /// are in the file as long as the machine runs.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) fn commit(&mut self, group: &Arc<Group>) -> Result<Vec<Fate>, StoreError> {
        let committed = self.try_commit(group);
        // One large row must not keep its memory for ever.
        self.buffer.shrink_to(GROUP_BYTES_MAX);
        committed.map_err(|error| match error {
            LedgerError::Locked(_) => StoreError::Lost(error.to_string()),
            LedgerError::Io(error) => self.broken(&error),
        })
    }

    fn try_commit(&mut self, group: &Arc<Group>) -> Result<Vec<Fate>, LedgerError> {
        if self.current.as_ref().is_some_and(|current| current.run != group.run) {
            self.seal_current()?;
        }
        if self.current.is_none() {
            let ledger = RunLedger::open(&self.directory, group.run)?;
            self.current = Some(SessionFiles { run: group.run, ledger, part: None });
        }
        // Each round but the last finds records of this group that another slave has just committed.
        loop {
            if let Some(fates) = self.commit_once(group)? {
                return Ok(fates);
            }
        }
    }

    /// `None` if another slave was first with some of the records.
    fn commit_once(&mut self, group: &Arc<Group>) -> Result<Option<Vec<Fate>>, LedgerError> {
        let Self { directory, shape, label, current, buffer, .. } = self;
        let current = current.as_mut().expect("it was opened");
        current.ledger.catch_up(None)?;
        let mut pages = Pages::of(group.entries.iter().map(|entry| entry.seq));
        current.ledger.state.fill(&mut pages);
        let mut judgement = Judgement::new(group.clone(), pages);
        buffer.clear();
        let inserted = judgement.to_insert().into_iter().flat_map(|index| &group.entries[index].rows);
        inserted.for_each(|rows| push_rows(rows, shape.raw, buffer));
        let (fates, _) = judgement.settle();
        let entries = group.entries.iter().zip(&fates);
        let mut seqs: Vec<_> =
            entries.filter(|(_, fate)| **fate == Fate::Committed).map(|(entry, _)| Seq(entry.seq)).collect();
        if seqs.is_empty() {
            return Ok(Some(fates));
        }
        // Records end in any order; in theirs, they take fewer bytes.
        seqs.sort_unstable();
        let (number, part) = match &mut current.part {
            Some(part) => part,
            none => {
                none.insert(begin_part(&mut current.ledger, directory, &stem(current.run, label), shape)?)
            }
        };
        let (bytes, hash) = part.write(buffer)?;
        let commit = LedgerEntry::Commit { part: *number, bytes, hash, seqs: seqs.into_iter().collect() };
        if !current.ledger.append(&commit)? {
            return Ok(None);
        }
        part.keep();
        Ok(Some(fates))
    }

    /// Completes the file, for which no more rows come: it gets its final name. So do the files of other
    /// slaves that were killed.
    ///
    /// # Errors
    /// If it cannot be completed.
    pub(crate) fn seal(&mut self) -> Result<(), StoreError> {
        if self.current.is_none() {
            return Ok(());
        }
        let sealed = self.seal_current();
        sealed.and_then(|()| complete_orphans(&self.directory)).map_err(|error| self.broken(&error))
    }

    fn seal_current(&mut self) -> io::Result<()> {
        let Some(SessionFiles { mut ledger, part: Some((number, part)), .. }) = self.current.take() else {
            return Ok(());
        };
        // A commit may count although its slave was not told so.
        ledger.catch_up(None)?;
        let bytes = ledger.state.part(number).map_or(0, |part| part.bytes);
        if let Some(path) = part.seal(bytes)? {
            tracing::info!("completed {}", path.display());
        }
        Ok(())
    }

    /// Notes that a run is over, and forgets its records.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) fn close_run(&mut self, run: RunId) -> Result<(), StoreError> {
        self.try_close_run(run).map_err(|error| StoreError::Lost(error.to_string()))
    }

    fn try_close_run(&mut self, run: RunId) -> Result<(), LedgerError> {
        let is_there = |name: &str| self.directory.join(name).exists();
        RunLedger::open(&self.directory, run)?.close(is_there)?;
        if self.forgot_at.elapsed() > FORGET_EVERY {
            self.forgot_at = Instant::now();
            run_ledger::forget_old(&self.directory)?;
        }
        Ok(())
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

/// Finds out at the start whether files can be written here.
fn probe(directory: &Path, label: &str) -> io::Result<()> {
    run_ledger::make_directory(directory)?;
    let path = directory.join(format!(".{label}.probe"));
    File::create(&path)?;
    fs::remove_file(&path)
}

/// Begins a file, and gives it a number.
fn begin_part(
    ledger: &mut RunLedger,
    directory: &Path,
    stem: &str,
    shape: &Shape,
) -> Result<(u64, PartFile), LedgerError> {
    let mut number = [0; 8];
    number.copy_from_slice(&RunId::random()?.0[..8]);
    let number = u64::from_le_bytes(number);
    let header = header_line(shape.columns.iter().map(|column| column.name.as_str()));
    let part = PartFile::create(directory, stem, &header)?;
    ledger.append(&LedgerEntry::Part { part: number, name: part.name() })?;
    Ok((number, part))
}

/// Appends rows as they are in the file.
fn push_rows(rows: &[u8], raw: bool, out: &mut Vec<u8>) {
    if !raw {
        out.extend_from_slice(rows);
    } else if !rows.is_empty() {
        let lines = rows.strip_suffix(b"\n").unwrap_or(rows);
        lines.split(|byte| *byte == b'\n').for_each(|line| push_line_as_csv(line, out));
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
    use crate::sink::group::{EntryTask, GroupEntry};
    use bytes::Bytes;

    fn shape(raw: bool, names: &[&str]) -> Shape {
        let column = |name: &&str| Column { name: (*name).to_owned(), kind: Kind::Text, nullable: true };
        Shape { columns: names.iter().map(column).collect(), raw }
    }

    /// A group of one record that is done and, with another number, one that has failed.
    fn group(run: u8, seq: u64, rows: &'static str) -> Arc<Group> {
        let mut group = Group::new(RunId([run; 16]));
        let rows = [Bytes::new(), Bytes::from_static(rows.as_bytes())];
        group.push(GroupEntry { seq, task: EntryTask::Commit, rows });
        group.push(GroupEntry {
            seq: seq + 1000,
            task: EntryTask::LookUp,
            rows: [Bytes::new(), Bytes::from_static(b"why")],
        });
        Arc::new(group)
    }

    fn open(directory: &Path, label: &str) -> CsvFiles {
        CsvFiles::open(directory, shape(false, &["a"]), label).unwrap()
    }

    /// The names and contents of the files, without the ledgers.
    fn files(directory: &Path) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                files.push((
                    entry.file_name().into_string().unwrap(),
                    fs::read_to_string(entry.path()).unwrap(),
                ));
            }
        }
        files.sort();
        files
    }

    fn ledger_path(directory: &Path) -> PathBuf {
        directory.join(".simplegrid_ledger").join(RunId([1; 16]).to_string())
    }

    #[test]
    fn each_run_has_a_file_of_its_own_with_the_columns_on_top() {
        let directory = tempfile::tempdir().unwrap();
        let rows = directory.path().join("rows");
        let mut files = CsvFiles::open(&rows, shape(false, &["a", "b,c"]), "h:1337").unwrap();
        assert_eq!(files.commit(&group(1, 0, "1,2\n")).unwrap(), [Fate::Committed, Fate::Failed]);
        files.commit(&group(1, 1, "3,4\n")).unwrap();
        files.commit(&group(2, 0, "5,6\n")).unwrap();
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
        files.commit(&group(1, 0, "plain\na \"b\", c\n\n")).unwrap();
        files.commit(&group(1, 1, "")).unwrap();
        files.seal().unwrap();
        let text = fs::read_to_string(directory.path().join("rows-010101010101-h.csv")).unwrap();
        assert_eq!(text, "line\nplain\n\"a \"\"b\"\", c\"\n\"\"\n");
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_refused() {
        let error = CsvFiles::open(Path::new("/proc/rows"), shape(true, &["line"]), "h").unwrap_err();
        assert!(error.to_string().contains("cannot write files into /proc/rows"), "{error}");
    }

    #[test]
    fn a_record_is_written_once_whichever_slave_of_the_directory_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let (mut one, mut other) = (open(directory.path(), "one"), open(directory.path(), "other"));
        one.commit(&group(1, 7, "x\n")).unwrap();
        assert_eq!(other.commit(&group(1, 7, "x\n")).unwrap()[0], Fate::AlreadyThere);
        other.commit(&group(1, 8, "y\n")).unwrap();
        assert_eq!(one.commit(&group(1, 8, "y\n")).unwrap()[0], Fate::AlreadyThere);
        // A slave that gets its run again, and one that comes after a kill, find what was committed.
        one.seal().unwrap();
        assert_eq!(one.commit(&group(1, 7, "x\n")).unwrap()[0], Fate::AlreadyThere);
        drop(other);
        let mut next = open(directory.path(), "next");
        assert_eq!(next.commit(&group(1, 8, "y\n")).unwrap()[0], Fate::AlreadyThere);
        next.commit(&group(1, 9, "z\n")).unwrap();
        next.close_run(RunId([1; 16])).unwrap();
        assert_eq!(next.commit(&group(1, 10, "late\n")).unwrap()[0], Fate::AlreadyThere);
        assert_eq!(one.commit(&group(1, 10, "late\n")).unwrap()[0], Fate::AlreadyThere);
        next.seal().unwrap();
        let file = |label: &str, text: &str| (format!("rows-010101010101-{label}.csv"), text.to_owned());
        assert_eq!(
            files(directory.path()),
            [file("next", "a\nz\n"), file("one", "a\nx\n"), file("other", "a\ny\n")]
        );
    }

    #[test]
    fn rows_of_a_commit_that_was_cut_off_do_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let mut killed = open(directory.path(), "killed");
        killed.commit(&group(1, 1, "one\n")).unwrap();
        let ledger = fs::read(ledger_path(directory.path())).unwrap();
        killed.commit(&group(1, 2, "two\n")).unwrap();
        let whole = fs::read(ledger_path(directory.path())).unwrap();
        drop(killed);
        // As if it had been killed while it wrote the entry.
        fs::write(ledger_path(directory.path()), &whole[..ledger.len() + 9]).unwrap();
        let mut next = open(directory.path(), "next");
        assert_eq!(next.commit(&group(1, 1, "one\n")).unwrap()[0], Fate::AlreadyThere);
        assert_eq!(next.commit(&group(1, 2, "two\n")).unwrap()[0], Fate::Committed);
        next.seal().unwrap();
        let texts: Vec<_> = files(directory.path()).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["a\none\n", "a\ntwo\n"]);
    }

    #[test]
    fn the_part_of_a_slave_that_was_killed_is_still_cut_right_after_the_run_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let (mut stopped, mut other) = (open(directory.path(), "stopped"), open(directory.path(), "other"));
        stopped.commit(&group(1, 1, "one\n")).unwrap();
        other.close_run(RunId([1; 16])).unwrap();
        // It was in the middle of a commit when it was stopped, and is killed later.
        let part = &mut stopped.current.as_mut().unwrap().part.as_mut().unwrap().1;
        part.write(b"half a ro").unwrap();
        drop(stopped);
        assert_eq!(other.commit(&group(1, 2, "late\n")).unwrap()[0], Fate::AlreadyThere);
        other.seal().unwrap();
        let file = ("rows-010101010101-stopped.csv".to_owned(), "a\none\n".to_owned());
        assert_eq!(files(directory.path()), [file]);
    }

    #[test]
    fn a_part_that_was_edited_or_has_lost_its_ledger_is_completed_as_it_is() {
        for loses_ledger in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let mut killed = open(directory.path(), "killed");
            killed.commit(&group(1, 1, "one\n")).unwrap();
            drop(killed);
            let part = directory.path().join("rows-010101010101-killed.csv.part");
            fs::write(&part, "a\nedited\n").unwrap();
            if loses_ledger {
                fs::remove_file(ledger_path(directory.path())).unwrap();
            }
            open(directory.path(), "next");
            let file = ("rows-010101010101-killed.csv".to_owned(), "a\nedited\n".to_owned());
            assert_eq!(files(directory.path()), [file]);
        }
    }

    #[test]
    fn a_part_in_which_nothing_counts_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let mut killed = open(directory.path(), "killed");
        assert_eq!(killed.commit(&group(1, 1, "one\n")).unwrap()[0], Fate::Committed);
        killed.seal().unwrap();
        fs::write(directory.path().join("rows-010101010101-h.csv.part"), b"h").unwrap();
        open(directory.path(), "next");
        assert_eq!(files(directory.path()).len(), 1);
    }

    #[test]
    fn a_ledger_that_was_cut_short_ends_the_slave() {
        let directory = tempfile::tempdir().unwrap();
        let mut slave = open(directory.path(), "h");
        slave.commit(&group(1, 1, "one\n")).unwrap();
        File::create(ledger_path(directory.path())).unwrap();
        let error = slave.commit(&group(1, 2, "two\n")).unwrap_err();
        assert!(
            matches!(&error, StoreError::Broken(message) if message.contains("was cut short")),
            "{error}"
        );
    }

    #[test]
    fn the_same_records_from_two_slaves_at_once_are_written_once() {
        let directory = tempfile::tempdir().unwrap();
        let write = |label: &'static str| {
            let directory = directory.path().to_owned();
            std::thread::spawn(move || {
                let mut files = open(&directory, label);
                for seq in 0..400 {
                    files.commit(&group(1, seq, "row\n")).unwrap();
                }
                files.seal().unwrap();
            })
        };
        let writers = ["one", "two", "three"].map(write);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let rows: usize = files(directory.path()).iter().map(|(_, text)| text.matches("row").count()).sum();
        assert_eq!(rows, 400);
    }
}
