//! A journal as bytes, as a file, and as what a run may do with it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::entry::{self, Contents, Damage};
use super::identity::{InputIdentity, RunIdentity};
use super::journal_file::JournalFile;
use super::stream_head::{HeadProbe, StreamHead};
use super::*;
use crate::build::{Build, Digest};
use crate::ids::{RunId, Seq};
use crate::master::decisions::{Earlier, RangeSet, ReadyRows, RunProgress, Tally};
use crate::master::output::output_target::OutputTarget;
use crate::master::output::result_writer::ResultWriter;
use crate::master::output::write_error::WriteError;
use crate::master::output::writer_thread::ThreadEnd;
use crate::plugin::{OutputKind, TaskOutput};
use crate::record::{Input, Records};

const RUN: RunId = RunId([7; 16]);

fn run_identity() -> RunIdentity {
    let input = InputIdentity {
        name: "in.txt".into(),
        bytes: Some(300),
        modified_ns: Some(1_700_000_000_000_000_000),
    };
    RunIdentity {
        format: "lines".into(),
        record_bytes_max: None,
        keep_order: true,
        output_format: "csv".into(),
        header: false,
        partition_by: None,
        output: "rows.txt".into(),
        failed: None,
        inputs: vec![input],
    }
}

fn task(version: &str) -> TaskIdentity {
    let output = TaskOutput { kind: OutputKind::Lines, columns: Vec::new() };
    let build = Build { manifest: Digest::of(b"manifest"), file: Digest::of(version.as_bytes()) };
    TaskIdentity { name: "echo".into(), version: version.into(), output, build }
}

fn header() -> Header {
    Header {
        run: run_identity(),
        task: Some(task("1")),
        head: HeadProbe::new(None).on_bytes(b"a\nb\n").unwrap(),
    }
}

/// A file with so many bytes, whatever they are.
fn mark(bytes: u64) -> FileMark {
    FileMark { bytes, tail: bytes * 7 }
}

/// A checkpoint after `done` records at which those from `first` on are new, and every row has two bytes.
fn checkpoint(first: u64, records: u64, done: u64) -> Checkpoint {
    let mut newly = RangeSet::default();
    newly.insert(Seq(first), records);
    let progress = RunProgress { newly, done, failed: 0, retried: 0, tallies: BTreeMap::new() };
    Checkpoint::new(&progress, false).with_output(mark(done * 2))
}

/// A journal whose run has begun.
fn begun() -> Vec<u8> {
    let (claim, header) = entry::encode_header(RUN, &header()).unwrap();
    [claim, header].concat()
}

/// A journal with so many checkpoints of ten records, and where its entries end.
fn journal(checkpoints: u64) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = begun();
    let mut ends = vec![bytes.len()];
    for index in 0..checkpoints {
        let checkpoint = checkpoint(index * 10, 10, (index + 1) * 10);
        bytes.extend(entry::encode_entry(&checkpoint, index + 1).unwrap());
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// What five checkpoints say after the first `entries` entries.
fn expected(entries: usize, ends: &[usize]) -> Contents {
    let mut saved = Saved::default();
    for index in 1..entries as u64 {
        assert!(saved.add(&checkpoint((index - 1) * 10, 10, index * 10)));
    }
    Contents {
        run: Some(RUN),
        header: Some(header()),
        saved,
        intact_bytes: ends[entries - 1] as u64,
        entries: entries as u64,
    }
}

fn five() -> &'static (Vec<u8>, Vec<usize>) {
    static FIVE: OnceLock<(Vec<u8>, Vec<usize>)> = OnceLock::new();
    FIVE.get_or_init(|| journal(5))
}

#[test]
fn a_journal_cut_at_any_byte_is_its_whole_entries_or_refused_if_its_header_is_not_whole() {
    let (bytes, ends) = five();
    for cut in 1..=bytes.len() {
        match (ends.iter().filter(|end| **end <= cut).count(), entry::read(&bytes[..cut])) {
            (0, result) => assert!(
                matches!(result, Err(Damage::CutShort(bytes)) if bytes == cut as u64),
                "cut at {cut}: {result:?}"
            ),
            (entries, result) => assert_eq!(result.unwrap(), expected(entries, ends)),
        }
    }
}

#[test]
fn a_crash_at_any_moment_before_the_run_begins_leaves_a_journal_that_can_be_used() {
    let name = entry::encode_name(RUN);
    let (claim, header) = entry::encode_header(RUN, &header()).unwrap();
    assert_eq!(claim.len(), name.len(), "the claim takes the name's place");
    // The file may have its length before it has its bytes; and the header is there before it is claimed.
    let mut moments = vec![(Vec::new(), None), (vec![0; name.len()], None), (name.clone(), Some(RUN))];
    moments.extend((1..=header.len()).map(|cut| ([&name[..], &header[..cut]].concat(), Some(RUN))));
    moments.extend((1..=header.len()).map(|cut| ([&name[..], &vec![0; cut]].concat(), Some(RUN))));
    for (bytes, run) in moments {
        let contents = entry::read(&bytes[..]).unwrap();
        assert_eq!((contents.run, contents.header, contents.intact_bytes), (run, None, 0), "{bytes:?}");
    }
}

#[test]
fn a_journal_that_is_cut_short_in_its_header_is_left_alone_and_says_what_to_do() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("j");
    let (bytes, ends) = five();
    for cut in [1, 20, 36, 40, ends[0] - 1] {
        fs::write(&path, &bytes[..cut]).unwrap();
        let error = open_journal(&path).unwrap_err();
        let text = error.to_string();
        assert!(error.is_usage() && text.contains(&format!("has only {cut} bytes")), "{text}");
        assert!(text.contains("delete the journal and the output to start over"), "{text}");
        assert_eq!(fs::read(&path).unwrap(), bytes[..cut]);
    }
}

#[test]
fn a_flipped_bit_costs_the_entries_from_there_on_or_is_an_error_in_the_header() {
    let (bytes, ends) = five();
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match (ends.iter().filter(|end| **end <= bit / 8).count(), entry::read(&bytes[..])) {
            (0, result) => assert!(
                matches!(result, Err(Damage::NotAJournal | Damage::Header)),
                "bit {bit} of the header: {result:?}"
            ),
            (entries, result) => assert_eq!(result.unwrap(), expected(entries, ends), "bit {bit}"),
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        garbage in prop::collection::vec(any::<u8>(), 0..200),
        keep in 0..600_usize,
    ) {
        let (bytes, _) = five();
        // Behind a good beginning garbage gets further.
        let bytes = [&bytes[..keep.min(bytes.len())], &garbage].concat();
        let _ = entry::read(&bytes[..]);
    }

    #[test]
    fn what_is_written_is_read(
        ranges in prop::collection::vec((0..1000_u64, 1..50_u64), 0..30),
        failed in 0..20_u64,
        tried in prop::collection::btree_map(0..2000_u64, (1..9_u32, 0..2_u32), 0..20),
    ) {
        let mut newly = RangeSet::default();
        for (first, records) in ranges {
            newly.insert(Seq(first), records);
        }
        let failed = failed.min(newly.len());
        let tally = |(attempts, faults)| Tally { attempts, faults };
        let tallies = tried.into_iter().map(|(seq, tried)| (Seq(seq), tally(tried))).collect();
        let progress = RunProgress { done: newly.len() - failed, newly, failed, retried: 3, tallies };
        let checkpoint = Checkpoint::new(&progress, true).with_failed_file(mark(7)).with_output(mark(99));
        let mut bytes = begun();
        bytes.extend(entry::encode_entry(&checkpoint, 1).unwrap());
        let RunProgress { newly: finished, done, failed, retried, mut tallies } = progress;
        tallies.retain(|seq, _| !finished.gaps(*seq, 1).is_empty());
        let earlier = Earlier { finished, done, failed, retried, tallies };
        let saved = Saved { earlier, output: mark(99), failed_file: mark(7), complete: true };
        prop_assert_eq!(entry::read(&bytes[..]).unwrap().saved, saved);
    }
}

#[test]
fn what_was_tried_is_known_until_it_is_finished() {
    let tried = |seq, attempts, newly: &Checkpoint| {
        let tallies = BTreeMap::from([(Seq(seq), Tally { attempts, faults: attempts })]);
        let newly = newly.finished().unwrap();
        let progress = RunProgress { newly, done: 0, failed: 0, retried: 0, tallies };
        Checkpoint::new(&progress, false)
    };
    let nothing = checkpoint(0, 0, 0);
    let mut saved = Saved::default();
    assert!(saved.add(&tried(7, 1, &nothing)) && saved.add(&tried(9, 1, &nothing)));
    assert!(saved.add(&tried(7, 2, &nothing)));
    let known: Vec<_> = saved.earlier.tallies.iter().map(|(seq, tally)| (seq.0, tally.attempts)).collect();
    assert_eq!(known, [(7, 2), (9, 1)]);
    assert!(saved.add(&checkpoint(5, 3, 3)));
    let known: Vec<_> = saved.earlier.tallies.keys().map(|seq| seq.0).collect();
    assert_eq!(known, [9]);
}

#[test]
fn a_checkpoint_that_contradicts_the_ones_before_is_none() {
    let mut saved = Saved::default();
    assert!(saved.add(&checkpoint(0, 10, 10)));
    let known = saved.clone();
    assert!(!saved.add(&checkpoint(10, 10, 25)), "it counts more than it names");
    assert!(!saved.add(&checkpoint(10, 10, 20).with_output(mark(3))), "the output shrinks");
    assert_eq!(saved, known);
}

#[test]
fn a_journal_of_another_version_or_none_at_all_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("j");
    for (text, word) in [("my notes", "not a SimpleGrid journal"), ("x", "not a SimpleGrid journal")] {
        fs::write(&path, text).unwrap();
        let error = open_journal(&path).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(word), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let mut second = entry::encode_name(RUN)[..32].to_vec();
    second[8] = 2;
    second.extend((xxhash_rust::xxh3::xxh3_64_with_seed(&second, 0) as u32).to_le_bytes());
    fs::write(&path, &second).unwrap();
    let error = open_journal(&path).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("has version 2"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), second);
}

#[test]
fn what_is_not_whole_is_cut_off_when_the_run_goes_on() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("j");
    let (bytes, ends) = five();
    fs::write(&path, &bytes[..ends[3] + 5]).unwrap();
    let (mut file, contents) = open_journal(&path).unwrap();
    assert_eq!(contents, expected(4, ends));
    assert_eq!(fs::read(&path).unwrap().len(), ends[3] + 5, "opening changes nothing");
    file.begin(&header()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes[..ends[3]]);
    for index in 3..5 {
        file.append(&checkpoint(index * 10, 10, (index + 1) * 10)).unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), *bytes);
}

#[test]
fn a_second_run_with_the_same_journal_is_refused_while_the_first_goes_on() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("j");
    let first = open_journal(&path).unwrap();
    let error = open_journal(&path).unwrap_err();
    assert!(error.to_string().ends_with("is in use by another run"), "{error}");
    assert!(!error.is_usage());
    drop(first);
    open_journal(&path).unwrap();
}

fn resumed(earlier: &Header) -> Result<RunJournal, JournalError> {
    RunJournal::new(Path::new("j"), run_identity(), Some(earlier.clone()))
}

#[test]
fn a_journal_of_another_run_is_refused_and_says_what_differs() {
    type Change = fn(&mut RunIdentity);
    let changes: [(Change, &str); 9] = [
        (|run| run.format = "csv".into(), "--format was csv and is now lines"),
        (|run| run.keep_order = false, "--keep-order was false and is now true"),
        (|run| run.output_format = "jsonl".into(), "--output-format was jsonl and is now csv"),
        (|run| run.header = true, "--header was true and is now false"),
        (|run| run.partition_by = Some("field:0".into()), "--partition-by was field:0 and is now none"),
        (|run| run.output = "other".into(), "--output was other and is now rows.txt"),
        (|run| run.inputs[0].bytes = Some(299), "the size of in.txt was 299 bytes and is now 300 bytes"),
        (|run| run.inputs[0].modified_ns = None, "the time of change of in.txt was no time and is now 2023-"),
        (|run| run.inputs.clear(), "the number of inputs was 0 and is now 1"),
    ];
    for (change, text) in changes {
        let mut earlier = header();
        change(&mut earlier.run);
        let error = resumed(&earlier).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(text), "{error}");
    }
}

#[test]
fn a_run_goes_on_only_with_a_task_that_writes_the_same() {
    let on_task = |task: TaskIdentity| resumed(&header()).unwrap().on_task(task);
    assert_eq!(on_task(task("1")).unwrap(), None);
    let other = TaskIdentity { name: "other".into(), ..task("1") };
    let error = on_task(other).unwrap_err().to_string();
    assert!(error.contains("the task was echo and is now other"), "{error}");
    let output = TaskOutput { kind: OutputKind::Rows, columns: Vec::new() };
    let error = on_task(TaskIdentity { output, ..task("1") }).unwrap_err();
    let text = error.to_string();
    assert!(
        error.is_usage() && text.contains("it writes rows of columns now, and raw lines in the journal"),
        "{text}"
    );
}

#[test]
fn another_build_goes_on_and_is_named_unless_it_must_be_the_same() {
    let mut run = resumed(&header()).unwrap();
    let news = run.on_task(task("2")).unwrap().unwrap();
    assert!(
        news.contains("another build of the task (version 1, file ") && news.contains("(version 2, "),
        "{news}"
    );
    assert_eq!(run.on_task(task("2")).unwrap(), None, "it is said once");
    let mut run = resumed(&header()).unwrap().with_same_version(true);
    let error = run.on_task(task("2")).unwrap_err().to_string();
    assert!(error.contains("the build of the task (--same-version) was file "), "{error}");
    run.on_task(task("1")).unwrap();
}

fn lines(lines: &[&str]) -> Input {
    Input::Records { records: Records::from_iter(lines), remaining_bytes: None, keys: None }
}

#[test]
fn nothing_is_run_before_the_input_is_known_to_be_the_same() {
    let mut run = resumed(&header()).unwrap();
    run.on_task(task("1")).unwrap();
    assert!(matches!(run.on_input(lines(&["a\n"])), Ok(Admission::Wait)));
    assert!(!run.has_begun());
    let Ok(Admission::Begin(written, inputs)) = run.on_input(lines(&["b\n", "c\n"])) else {
        panic!("the head is complete")
    };
    assert_eq!((*written, inputs.len()), (header(), 2));
    assert!(matches!(run.on_input(lines(&["d\n"])), Ok(Admission::Pass(_))));

    let mut run = resumed(&header()).unwrap();
    let error = run.on_input(lines(&["a\n", "x\n"])).unwrap_err().to_string();
    assert!(error.contains("the beginning of the input was"), "{error}");
    let error = resumed(&header()).unwrap().on_input(Input::End).unwrap_err().to_string();
    assert!(error.contains("and is now empty"), "{error}");
}

#[test]
fn a_first_run_begins_with_its_first_input() {
    let mut run = RunJournal::new(Path::new("j"), run_identity(), None).unwrap();
    run.on_task(task("1")).unwrap();
    let Ok(Admission::Begin(written, _)) = run.on_input(lines(&["a\n", "b\n"])) else { panic!("it begins") };
    assert_eq!(*written, header());
    let mut empty = RunJournal::new(Path::new("j"), run_identity(), None).unwrap();
    empty.on_task(task("1")).unwrap();
    let Ok(Admission::Begin(written, _)) = empty.on_input(Input::End) else { panic!("it begins, too") };
    assert_eq!(written.head, StreamHead { bytes: 0, ..HeadProbe::new(None).head() });
}

/// The files of a run in a directory of their own.
struct Files {
    directory: TempDir,
}

/// Opens a journal, or makes one.
fn open_journal(path: &Path) -> Result<(JournalFile, Contents), JournalError> {
    let options = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    JournalFile::open(path, options.unwrap())
}

fn rows_of(rows: &[&'static str]) -> ReadyRows {
    ReadyRows { rows: rows.iter().map(|rows| Bytes::from_static(rows.as_bytes())).collect(), records: 0 }
}

impl Files {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A writer whose output is `output` and whose journal is in this directory.
    fn writer(&self, output: &Path) -> (ResultWriter, ThreadEnd) {
        let (file, contents) = open_journal(&self.path("j")).unwrap();
        let known = contents.saved.output;
        let tail = Tail::new(known.bytes, fs::read(output).unwrap()[..known.bytes as usize].to_vec());
        assert!(known.bytes == 0 || tail.mark() == known, "the checkpoint says how the output ends");
        let mut target = OutputTarget::open(output).unwrap();
        let again = target.stream.file(|_| {}).unwrap().try_clone().unwrap();
        let pen = JournalPen::new(file, NamedFile { path: output.to_owned(), file: again }, tail, None);
        ResultWriter::start(target, Some(pen)).unwrap()
    }

    fn contents(&self) -> Contents {
        entry::read(fs::File::open(self.path("j")).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_checkpoint_counts_the_rows_before_it_and_the_next_run_goes_on_behind_them() {
    let files = Files::new();
    let rows = files.path("rows");
    fs::write(&rows, "what some other run has left").unwrap();
    let (mut writer, mut failure) = files.writer(&rows);
    writer.begin(Box::new(header()));
    writer.write(rows_of(&["a\n", "b\n"]));
    writer.checkpoint(checkpoint(0, 2, 2), None);
    writer.write(rows_of(&["rows that no checkpoint counts\n"]));
    writer.finish(&mut failure).await.unwrap();
    let Contents { header: Some(written), saved, .. } = files.contents() else { panic!("it has a header") };
    assert_eq!((written, saved.earlier.done, saved.output.bytes), (header(), 2, 4));
    assert!(fs::read_to_string(&rows).unwrap().starts_with("a\nb\nrows that"));

    let (mut writer, mut failure) = files.writer(&rows);
    writer.begin(Box::new(header()));
    writer.write(rows_of(&["c\n"]));
    writer.checkpoint(checkpoint(2, 1, 3), None);
    writer.finish(&mut failure).await.unwrap();
    assert_eq!(fs::read_to_string(&rows).unwrap(), "a\nb\nc\n");
    assert_eq!(files.contents().saved.output.bytes, 6);
}

#[tokio::test]
async fn nothing_is_changed_before_the_run_begins() {
    let files = Files::new();
    let rows = files.path("rows");
    fs::write(&rows, "precious").unwrap();
    let (mut writer, mut failure) = files.writer(&rows);
    writer.finish(&mut failure).await.unwrap();
    assert_eq!(fs::read_to_string(&rows).unwrap(), "precious");
    assert_eq!((files.contents().header, files.contents().entries), (None, 0));
}

#[test]
fn a_run_has_its_name_from_the_moment_its_journal_is_opened() {
    let files = Files::new();
    let (mut journal, contents) = open_journal(&files.path("j")).unwrap();
    let run = journal.run();
    assert_eq!((contents.run, files.contents().run), (None, Some(run)));
    journal.begin(&header()).unwrap();
    journal.append(&checkpoint(0, 1, 1)).unwrap();
    assert_eq!((files.contents().run, files.contents().entries), (Some(run), 2));
    drop(journal);
    assert_eq!(open_journal(&files.path("j")).unwrap().0.run(), run);
    let other = Files::new();
    assert_ne!(open_journal(&other.path("j")).unwrap().0.run(), run);
}

#[test]
fn a_journal_of_the_first_version_is_told_from_a_damaged_one() {
    let mut bytes = b"SGRIDJNL\x01\0\0\0\x10\0\0\0".to_vec();
    bytes.extend((xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, 0) as u32).to_le_bytes());
    assert!(matches!(entry::read(&bytes[..]), Err(Damage::OtherVersion(1))));
}

/// A pen over a full disk: whichever of its files is on it, the error names that one.
fn pen_with(journal: JournalFile, output: &Path, failed: Option<&Path>) -> JournalPen {
    let open = |path: &Path| NamedFile {
        path: path.to_owned(),
        file: fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap(),
    };
    JournalPen::new(journal, open(output), Tail::default(), failed.map(open))
}

#[test]
fn a_full_disk_is_told_with_the_name_of_its_file() {
    let full = Path::new("/dev/full");
    let mut file = fs::OpenOptions::new().write(true).open(full).unwrap();
    assert_eq!(file.write(b"x").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let files = Files::new();
    let (journal, _) = open_journal(&files.path("j")).unwrap();
    // A device has no length to set, which shows that nothing is written where nothing can be gone on with.
    let error = pen_with(journal, full, None).begin(&header()).unwrap_err();
    assert!(error.to_string().starts_with("cannot write /dev/full: "), "{error}");
    assert_eq!((files.contents().header, files.contents().entries), (None, 0));
}

#[tokio::test]
async fn when_rows_cannot_be_written_no_checkpoint_counts_them() {
    let files = Files::new();
    let rows = files.path("rows");
    let (journal, _) = open_journal(&files.path("j")).unwrap();
    let pen = pen_with(journal, &rows, None);
    // The rows go to a full disk, and everything else would work.
    let (mut writer, mut failure) =
        ResultWriter::start(OutputTarget::open(Path::new("/dev/full")).unwrap(), Some(pen)).unwrap();
    writer.begin(Box::new(header()));
    writer.write(rows_of(&["a\n"]));
    writer.checkpoint(checkpoint(0, 1, 1), None);
    let error = writer.finish(&mut failure).await.unwrap_err();
    let WriteError::Io { place, cause } = &error else { panic!("{error}") };
    assert_eq!((place.as_str(), cause.kind()), ("/dev/full", std::io::ErrorKind::StorageFull));
    assert_eq!(files.contents().entries, 1, "the header only");
}
