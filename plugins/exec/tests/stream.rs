//! `mode=stream` with real commands.

use std::process::Command;
use std::time::{Duration, Instant};

use exec::Exec;
use simplegrid_plugin_api::Status;
use simplegrid_plugin_api::testing::TestGrid;

/// More than any command here takes, on any machine.
const FOREVER: &str = "300";

fn grid(command: &str, more: &[(&str, &str)]) -> TestGrid {
    let mut args = vec![("mode", "stream"), ("command", command), ("shell", "true")];
    args.extend(more);
    TestGrid::start::<Exec>(&args).unwrap_or_else(|said| panic!("{args:?}: {}", said.message))
}

/// A command that does `what` with each `$record`.
fn each(what: &str) -> String {
    format!("while read record; do {what}; done")
}

fn lines(grid: &TestGrid) -> Vec<String> {
    grid.lines().iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

/// The records that are done, by number.
fn done(grid: &TestGrid) -> Vec<u64> {
    grid.finished().iter().filter(|one| one.status == Status::Ok).map(|one| one.record).collect()
}

#[test]
fn one_process_answers_all_records() {
    let mut grid = grid(&each("echo $$ $record"), &[]);
    assert_eq!(grid.handle("a"), Status::Ok);
    assert_eq!(grid.handle_batch(&["b", "c", "d"]), Status::Ok);
    assert_eq!(grid.handle("e"), Status::Ok);
    let answers = lines(&grid);
    let (pid, _) = answers[0].split_once(' ').unwrap();
    let expected: Vec<_> = ["a", "b", "c", "d", "e"].map(|record| format!("{pid} {record}")).into();
    assert_eq!(answers, expected);
    assert_eq!(done(&grid), [2, 3, 4]);
}

#[test]
fn a_batch_is_larger_than_any_pipe() {
    let mut grid = grid("exec sed -u s/x/y/", &[]);
    let records: Vec<_> = (0..20_000).map(|record| format!("x {record} {}", "z".repeat(100))).collect();
    assert_eq!(grid.handle_batch(&records), Status::Ok, "{}", grid.last_message());
    let expected: Vec<_> = records.iter().map(|record| record.replacen('x', "y", 1)).collect();
    assert_eq!(lines(&grid), expected);
}

#[test]
fn a_process_that_dies_in_a_batch_finishes_none_of_its_records() {
    let script = each("[ $record = bad ] && kill -SEGV $$; echo $record");
    let mut grid = grid(&script, &[]);
    assert_eq!(grid.handle_batch(&["one", "bad", "three"]), Status::Retry);
    assert!(grid.last_message().contains("SIGSEGV"), "{}", grid.last_message());
    assert!(done(&grid).is_empty());
    // As SimpleGrid goes on.
    let alone = ["one", "bad", "three"].map(|record| grid.handle(record));
    assert_eq!(alone, [Status::Ok, Status::Retry, Status::Ok]);
    assert_eq!(lines(&grid), ["one", "three"]);
}

#[test]
fn a_process_that_ends_between_two_records_costs_none() {
    let mut grid = grid(&each("echo $$"), &[]);
    assert_eq!(grid.handle("one"), Status::Ok);
    let killed = Command::new("kill").args(["-9", &lines(&grid)[0]]).status().unwrap();
    assert!(killed.success());
    assert_eq!(grid.handle("two"), Status::Ok, "{}", grid.last_message());
    assert_eq!(grid.handle_batch(&["three", "four"]), Status::Ok, "{}", grid.last_message());
    let answers = lines(&grid);
    assert_ne!(answers[0], answers[1]);
    assert_eq!(answers[1..], [answers[1].clone(), answers[1].clone(), answers[1].clone()]);
}

#[test]
fn a_process_that_has_served_others_may_end_with_a_record_that_is_not_to_blame() {
    let mut grid = grid("exec sed -u 2q", &[]);
    let alone = ["1", "2", "3", "4", "5"].map(|record| grid.handle(record));
    assert_eq!(alone, [Status::Ok; 5], "{}", grid.last_message());
    assert_eq!(lines(&grid), ["1", "2", "3", "4", "5"]);
}

#[test]
fn a_process_that_ends_without_an_answer_is_the_record_s_fault() {
    for (command, status, said) in [
        ("true", Status::Reject, "ended without an answer"),
        ("read record; echo why >&2; exit 4", Status::Reject, "exit status 4: why"),
        ("read record; exit 75", Status::Retry, "exit status 75"),
    ] {
        let mut grid = grid(command, &[]);
        assert_eq!(grid.handle("x"), status, "{command}");
        assert!(grid.last_message().contains(said), "{command}: {}", grid.last_message());
    }
}

#[test]
fn more_lines_than_records_are_noticed_and_the_guilty_record_is_found() {
    let script = each("[ $record = bad ] && printf 'bad\\nbad\\n' || echo $record");
    let mut grid = grid(&script, &[]);
    assert_eq!(grid.handle_batch(&["one", "bad", "three"]), Status::Reject);
    assert!(grid.last_message().contains("more than one line"), "{}", grid.last_message());
    assert!(done(&grid).is_empty());
    let alone = ["one", "bad", "three"].map(|record| grid.handle(record));
    assert_eq!(alone, [Status::Ok, Status::Reject, Status::Ok]);
    assert_eq!(lines(&grid), ["one", "three"]);
}

#[test]
fn lines_that_come_too_late_to_know_whose_they_are_end_the_task() {
    let script = each("echo $record; sleep 0.3; echo again; echo > $SIGN");
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("sign");
    let mut grid = grid(&script, &[("env", &format!("SIGN={}", sign.display()))]);
    assert_eq!(grid.handle("one"), Status::Ok);
    let until = Instant::now() + Duration::from_secs(60);
    while !sign.exists() {
        assert!(Instant::now() < until, "nothing came");
        std::thread::yield_now();
    }
    assert_eq!(grid.handle("two"), Status::Fatal);
    assert!(grid.last_message().contains("rows of the last records may be wrong"), "{}", grid.last_message());
}

#[test]
fn fewer_lines_than_records_are_noticed_and_the_guilty_record_is_found() {
    let script = each("[ $record = bad ] || echo $record");
    let mut grid = grid(&script, &[("timeout", "0.5")]);
    assert_eq!(grid.handle("zero"), Status::Ok, "{}", grid.last_message());
    assert_eq!(grid.handle_batch(&["one", "bad", "three"]), Status::Reject);
    assert!(grid.last_message().contains("no line for a record"), "{}", grid.last_message());
    let alone = ["one", "bad", "three"].map(|record| grid.handle(record));
    assert_eq!(alone, [Status::Ok, Status::Reject, Status::Ok], "{}", grid.last_message());
    assert_eq!(lines(&grid), ["zero", "one", "three"]);
}

#[test]
fn a_command_that_buffers_its_answers_is_told_from_one_that_hangs() {
    let mut buffers = grid("exec sed s/x/y/", &[("timeout", "0.5")]);
    assert_eq!(buffers.handle("x"), Status::Fatal);
    assert!(buffers.last_message().contains("line-buffered=true"), "{}", buffers.last_message());

    let script = format!("trap '' TERM; sleep {FOREVER} & setsid sleep {FOREVER}");
    let mut hangs = grid(&script, &[("timeout", "0.2")]);
    let began = Instant::now();
    assert_eq!(hangs.handle("x"), Status::Retry);
    assert!(hangs.last_message().contains("took longer than `timeout` allows"), "{}", hangs.last_message());
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_command_that_buffers_answers_at_once_if_it_is_line_buffered() {
    let mut grid = grid("sed s/x/y/", &[("line-buffered", "true")]);
    assert_eq!(grid.handle("x1"), Status::Ok, "{}", grid.last_message());
    assert_eq!(grid.handle_batch(&["x2", "x3"]), Status::Ok, "{}", grid.last_message());
    assert_eq!(lines(&grid), ["y1", "y2", "y3"]);
}

#[test]
fn stdbuf_that_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = format!("PATH={}", folder.path().display());
    let args =
        [("mode", "stream"), ("command", "/bin/cat"), ("line-buffered", "true"), ("env", path.as_str())];
    let message = TestGrid::start::<Exec>(&args).expect_err("refused").message;
    assert!(message.contains("`line-buffered=true` needs `stdbuf`"), "{message}");
}

#[test]
fn a_process_that_writes_without_end_is_noticed() {
    let mut grid = grid("exec yes", &[]);
    assert_eq!(grid.handle_batch(&["one", "two"]), Status::Reject);
    assert_eq!(grid.handle("one"), Status::Reject);
    assert!(grid.last_message().contains("more than one line"), "{}", grid.last_message());
}

#[test]
fn a_process_may_end_its_own_work_when_there_are_no_more_records() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("count");
    let script = format!("exec awk '{{ print; fflush() }} END {{ print NR > \"{}\" }}'", file.display());
    let mut grid = grid(&script, &[]);
    assert_eq!(grid.handle_batch(&["one", "two", "three"]), Status::Ok, "{}", grid.last_message());
    drop(grid);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "3\n");
}
