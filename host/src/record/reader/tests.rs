//! What the reader hands on of inputs of every kind.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;

use super::*;
use crate::record::input::InputName;

/// Long enough that only a reader that hangs exceeds it.
const DEADLINE: Duration = Duration::from_secs(20);

fn start_pipe(format: Format, limits: ReadLimits) -> (PipeWriter, RecordReader) {
    let (output, input) = io::pipe().unwrap();
    let source = InputSource::from_fd(InputName::Stdin, OwnedFd::from(output)).unwrap();
    (input, start(vec![source], format, limits).unwrap())
}

async fn next(reader: &mut RecordReader) -> Option<Input> {
    tokio::time::timeout(DEADLINE, reader.recv()).await.expect("the reader says something in time")
}

async fn next_records(reader: &mut RecordReader) -> Vec<Vec<u8>> {
    match next(reader).await {
        Some(Input::Records { records, .. }) => records.iter().map(<[u8]>::to_vec).collect(),
        other => panic!("no records: {other:?}"),
    }
}

/// All records until the end; `[too long]` and `[failed: …]` stand for the other events.
async fn all(mut reader: RecordReader) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        match next(&mut reader).await {
            Some(Input::Records { records, .. }) => all.extend(records.iter().map(<[u8]>::to_vec)),
            Some(Input::TooLong { bytes, .. }) => all.push(format!("[too long: {bytes}]").into()),
            Some(Input::Unusable { why, .. }) => all.push(format!("[{why}]").into()),
            Some(Input::Failed(error)) => all.push(format!("[failed to {error}]").into()),
            Some(Input::End) => {}
            None => return all,
        }
    }
}

fn files(texts: &[&[u8]]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().unwrap();
    let path = |index: usize| directory.path().join(format!("file{index:03}"));
    let paths: Vec<_> = (0..texts.len()).map(path).collect();
    paths.iter().zip(texts).for_each(|(path, text)| std::fs::write(path, text).unwrap());
    (directory, paths)
}

fn start_files(paths: &[PathBuf], limits: ReadLimits) -> RecordReader {
    start(InputSource::open_all(paths).unwrap(), Format::Lines, limits).unwrap()
}

/// Waits until `pipe` has no reader: until the reader's thread has ended.
fn assert_is_abandoned(pipe: &PipeWriter) {
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
    let timeout = PollTimeout::try_from(DEADLINE).unwrap();
    assert_eq!(poll(&mut fds, timeout), Ok(1), "the thread closes its input");
}

#[tokio::test]
async fn a_line_is_handed_on_as_soon_as_it_is_written() {
    let (mut pipe, mut reader) = start_pipe(Format::Lines, ReadLimits::default());
    pipe.write_all(b"one\ntw").unwrap();
    assert_eq!(next_records(&mut reader).await, [b"one\n"]);
    pipe.write_all(b"o\n").unwrap();
    assert_eq!(next_records(&mut reader).await, [b"two\n"]);
    pipe.write_all(b"three").unwrap();
    drop(pipe);
    assert_eq!(next_records(&mut reader).await, [b"three"]);
    assert!(matches!(next(&mut reader).await, Some(Input::End)));
    assert!(next(&mut reader).await.is_none());
}

#[tokio::test]
async fn a_pipe_that_is_written_byte_by_byte_gives_the_same_records() {
    let input = b"a\r\n\"b\n\"\"\nc\",d\r\n\ne\"f\n".repeat(20);
    let (mut pipe, reader) = start_pipe(Format::Csv, ReadLimits::default());
    let text = input.clone();
    let writer = std::thread::spawn(move || text.iter().for_each(|byte| pipe.write_all(&[*byte]).unwrap()));
    let expected = [&b"a\r\n"[..], b"\"b\n\"\"\nc\",d\r\n", b"\n", b"e\"f\n"];
    assert_eq!(all(reader).await, expected.repeat(20));
    writer.join().unwrap();
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_compressed_pipe_is_unpacked_though_its_bytes_come_one_at_a_time() {
    for (format, text) in [(Format::Lines, b"a\nb\n"), (Format::Nul, b"a\0b\0")] {
        let (mut pipe, reader) = start_pipe(format, ReadLimits::default());
        let packed = gzip(text);
        let writer =
            std::thread::spawn(move || packed.iter().for_each(|byte| pipe.write_all(&[*byte]).unwrap()));
        assert_eq!(all(reader).await.concat(), text);
        writer.join().unwrap();
    }
}

#[tokio::test]
async fn a_line_in_a_compressed_pipe_is_handed_on_as_soon_as_it_is_flushed() {
    let (pipe, mut reader) = start_pipe(Format::Lines, ReadLimits::default());
    let mut encoder = flate2::write::GzEncoder::new(pipe, flate2::Compression::fast());
    for line in [&b"one\n"[..], b"two\n"] {
        encoder.write_all(line).unwrap();
        encoder.flush().unwrap();
        assert_eq!(next_records(&mut reader).await, [line]);
    }
    drop(encoder.finish().unwrap());
    assert!(matches!(next(&mut reader).await, Some(Input::End)));
}

#[tokio::test]
async fn of_several_files_those_that_are_compressed_are_unpacked() {
    let texts = [&b"a\n\x1f\x8b\x08\n"[..], &gzip(b"b\nc"), b"BZh91AY", b"", &gzip(b""), b"d"];
    let (_directory, paths) = files(&texts);
    let all = all(start_files(&paths, ReadLimits::default())).await;
    assert_eq!(all, [&b"a\n"[..], b"\x1f\x8b\x08\n", b"b\n", b"c", b"BZh91AY", b"d"]);
}

#[tokio::test]
async fn a_file_that_is_to_be_taken_as_it_is_is_never_unpacked() {
    let packed = gzip(b"a\n");
    let (_directory, paths) = files(&[&packed]);
    let inputs = InputSource::open_all(&paths).unwrap();
    let inputs = inputs.into_iter().map(InputSource::never_compressed).collect();
    let all = all(start(inputs, Format::Lines, ReadLimits::default()).unwrap()).await;
    assert_eq!(all.concat(), packed);
}

#[tokio::test]
async fn a_compressed_file_that_is_cut_off_ends_the_reading_after_its_whole_records() {
    let text: Vec<u8> = (0..20_000).flat_map(|number| format!("{}\n", number * 7919).into_bytes()).collect();
    let packed = gzip(&text);
    let (_directory, paths) = files(&[&packed[..packed.len() / 2], b"never read\n"]);
    let mut all = all(start_files(&paths, ReadLimits::default())).await;
    let said = String::from_utf8(all.pop().unwrap()).unwrap();
    assert_eq!(said, format!("[failed to unpack {}]", paths[0].display()));
    let read = all.concat();
    assert!(text.starts_with(&read) && read.ends_with(b"\n") && read.len() > text.len() / 4);
}

#[tokio::test]
async fn what_remains_of_a_compressed_file_is_about_what_it_will_be() {
    let text = b"0123456789abcde\n".repeat(1 << 18);
    let (_directory, paths) = files(&[&gzip(&text)]);
    let mut reader = start_files(&paths, ReadLimits::default());
    let mut left = text.len() as u64;
    while let Some(Input::Records { records, remaining_bytes, .. }) = next(&mut reader).await {
        left -= records.data().len() as u64;
        let remaining = remaining_bytes.expect("it is a file");
        assert!(remaining <= 2 * left + 2 * 1024 * 1024, "{remaining} instead of {left}");
    }
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_stop_ends_a_reader_that_waits_for_more_of_a_compressed_pipe() {
    let (mut pipe, mut reader) = start_pipe(Format::Lines, ReadLimits::default());
    pipe.write_all(&gzip(b"one\n")).unwrap();
    assert_eq!(next_records(&mut reader).await, [b"one\n"]);
    reader.stop();
    assert!(next(&mut reader).await.is_none());
    assert_is_abandoned(&pipe);
}

#[tokio::test]
async fn a_stop_ends_a_reader_that_waits_for_a_silent_pipe() {
    let (pipe, mut reader) = start_pipe(Format::Lines, ReadLimits::default());
    reader.stop();
    assert!(next(&mut reader).await.is_none());
    assert_is_abandoned(&pipe);
}

#[tokio::test]
async fn what_was_handed_on_before_a_stop_is_still_received() {
    let (mut pipe, mut reader) = start_pipe(Format::Lines, ReadLimits::default());
    pipe.write_all(b"one\n").unwrap();
    assert_eq!(next_records(&mut reader).await, [b"one\n"]);
    pipe.write_all(b"two\n").unwrap();
    while reader.events.is_empty() {
        tokio::task::yield_now().await;
    }
    reader.stop();
    assert_eq!(next_records(&mut reader).await, [b"two\n"]);
    assert!(next(&mut reader).await.is_none());
}

#[test]
fn dropping_the_receiver_ends_a_reader_that_waits() {
    let (pipe, reader) = start_pipe(Format::Lines, ReadLimits::default());
    drop(reader);
    assert_is_abandoned(&pipe);
}

#[test]
fn dropping_the_receiver_ends_a_reader_that_waits_for_room() {
    let (mut pipe, reader) = start_pipe(Format::Lines, ReadLimits::default());
    let writer = std::thread::spawn(move || {
        let lines = b"line\n".repeat(1000);
        while pipe.write_all(&lines).is_ok() {}
    });
    while reader.events.len() < BLOCKS_AHEAD_MAX {
        std::thread::yield_now();
    }
    drop(reader);
    writer.join().unwrap();
}

#[test]
fn dropping_the_receiver_ends_a_reader_that_drops_an_endless_record() {
    let limits = ReadLimits { record_bytes_max: 10, ..ReadLimits::default() };
    let (mut pipe, reader) = start_pipe(Format::Lines, limits);
    let (dropped, when_dropped) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        let mut written = 0_u64;
        while pipe.write_all(&[b'x'; 4096]).is_ok() {
            written += 4096;
            if written == 4 * 1024 * 1024 {
                dropped.send(()).unwrap();
            }
        }
    });
    when_dropped.recv_timeout(DEADLINE).unwrap();
    drop(reader);
    writer.join().unwrap();
}

#[tokio::test]
async fn a_record_never_spans_files() {
    let (_directory, paths) = files(&[b"a\nb", b"", b"c\n\n", b"d"]);
    let reader = start_files(&paths, ReadLimits::default());
    assert_eq!(all(reader).await, [&b"a\n"[..], b"b", b"c\n", b"\n", b"d"]);
}

#[tokio::test]
async fn what_remains_of_files_is_known() {
    let (_directory, paths) = files(&[&b"0123456\n".repeat(100), b"", &b"abc\n".repeat(50)]);
    let limits = ReadLimits { block_bytes: 100, record_bytes_max: 1000 };
    let mut reader = start_files(&paths, limits);
    let mut expected = 1000;
    while let Some(Input::Records { records, remaining_bytes, .. }) = next(&mut reader).await {
        expected -= records.data().len() as u64;
        assert_eq!(remaining_bytes, Some(expected));
    }
    assert_eq!(expected, 0);
}

#[tokio::test]
async fn what_remains_of_a_pipe_is_not_known() {
    let (mut pipe, mut reader) = start_pipe(Format::Lines, ReadLimits::default());
    pipe.write_all(b"one\n").unwrap();
    let event = next(&mut reader).await;
    assert!(matches!(event, Some(Input::Records { remaining_bytes: None, .. })), "{event:?}");
}

#[tokio::test]
async fn a_record_that_is_too_long_keeps_its_place_and_the_rest_goes_on() {
    let limits = ReadLimits { record_bytes_max: 8, block_bytes: 64 };
    let (_directory, paths) = files(&[b"a\n123456789\nb\n12345678", b"9\n"]);
    let reader = start_files(&paths, limits);
    assert_eq!(all(reader).await, [&b"a\n"[..], b"[too long: 10]", b"b\n", b"12345678", b"9\n"]);
}

#[tokio::test]
async fn the_records_in_lines_of_a_failed_records_file_come_out_in_their_order() {
    let lines =
        [&b"{\"record\":\"a\\nb\"}\n"[..], b"no object\n{\"record\":\"AGM=\",\"encoding\":\"base64\"}"];
    let (_directory, paths) = files(&lines);
    let inputs = InputSource::open_all(&paths).unwrap();
    let reader = start_failed_lines(inputs, ReadLimits::default()).unwrap();
    let all = all(reader).await;
    assert_eq!((&all[0][..], &all[2][..]), (&b"a\nb\0"[..], &b"\0c\0"[..]));
    assert!(all[1].starts_with(b"[record 2 of the input is not a line"), "{all:?}");
}

#[tokio::test]
async fn thousands_of_files_do_not_need_as_many_descriptors() {
    let (_directory, paths) = files(&[&b"x\n"[..]; 200]);
    let inputs = InputSource::open_all(&paths).unwrap();
    std::fs::remove_file(&paths[199]).unwrap();
    let all = all(start(inputs, Format::Lines, ReadLimits::default()).unwrap()).await;
    assert_eq!(all[..199], vec![b"x\n"; 199]);
    let failed = format!("[failed to read {}]", paths[199].display());
    assert_eq!(all[199..], [failed.into_bytes()]);
}

#[tokio::test]
async fn a_file_that_has_become_shorter_before_its_turn_is_noticed() {
    let (_directory, paths) = files(&[&b"x\ny\n"[..]; 200]);
    let inputs = InputSource::open_all(&paths).unwrap();
    std::fs::write(&paths[199], "x\n").unwrap();
    let all = all(start(inputs, Format::Lines, ReadLimits::default()).unwrap()).await;
    let path = paths[199].display();
    let said = format!(
        "[failed to read {path} to its end: it became shorter while it was read; it had 4 bytes, and has 2 now]"
    );
    assert_eq!(all[398..], [&b"x\n"[..], said.as_bytes()]);
}

#[test]
fn a_missing_file_or_a_directory_is_reported_before_anything_is_read() {
    let (directory, mut paths) = files(&[b"a\n"]);
    paths.push(directory.path().join("missing"));
    let error = InputSource::open_all(&paths).unwrap_err();
    assert_eq!(error.to_string(), format!("open {}", paths[1].display()));
    let error = InputSource::open(directory.path()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(error.to_string(), format!("open {}", directory.path().display()));
    assert!(source.contains("Is a directory"), "{source}");
}

#[tokio::test]
async fn a_named_pipe_is_waited_for_until_it_has_a_writer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let start = |path: &Path| {
        start(vec![InputSource::open(path).unwrap()], Format::Lines, ReadLimits::default()).unwrap()
    };
    let mut stopped = start(&path);
    stopped.stop();
    assert!(next(&mut stopped).await.is_none());

    let mut reader = start(&path);
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(b"late\n").unwrap();
    assert_eq!(next_records(&mut reader).await, [b"late\n"]);
    assert!(matches!(next(&mut reader).await, Some(Input::End)));
}

#[tokio::test]
async fn a_file_that_does_not_know_its_size_is_read_to_its_end() {
    let text = std::fs::read("/proc/self/limits").unwrap();
    let mut reader = start_files(&["/proc/self/limits".into()], ReadLimits::default());
    let event = next(&mut reader).await;
    let Some(Input::Records { records, remaining_bytes: Some(0), .. }) = event else { panic!("{event:?}") };
    assert_eq!(records.data().len(), text.len());
}

#[tokio::test]
async fn an_empty_input_has_no_records() {
    let (_directory, paths) = files(&[b""]);
    let mut reader = start_files(&paths, ReadLimits::default());
    assert!(matches!(next(&mut reader).await, Some(Input::End)));
}
