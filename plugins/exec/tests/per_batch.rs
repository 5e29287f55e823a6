//! `mode=per-batch` with real commands.

use std::time::{Duration, Instant};

use exec::Exec;
use simplegrid_plugin_api::Status;
use simplegrid_plugin_api::testing::TestGrid;

/// More than any command here takes, on any machine.
const FOREVER: &str = "300";

fn grid(command: &str, more: &[(&str, &str)]) -> TestGrid {
    let mut args = vec![("mode", "per-batch"), ("command", command), ("shell", "true")];
    args.extend(more);
    TestGrid::start::<Exec>(&args).unwrap_or_else(|said| panic!("{args:?}: {}", said.message))
}

fn lines(grid: &TestGrid) -> Vec<String> {
    grid.lines().iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

/// The records that are done, by number.
fn done(grid: &TestGrid) -> Vec<u64> {
    grid.finished().iter().filter(|one| one.status == Status::Ok).map(|one| one.record).collect()
}

#[test]
fn each_record_of_a_batch_gets_its_line() {
    let mut grid = grid("tr a-z A-Z; echo $$ >&2", &[]);
    assert_eq!(grid.handle_batch(&["one", "", "three"]), Status::Ok);
    assert_eq!(lines(&grid), ["ONE", "", "THREE"]);
    assert_eq!(done(&grid), [1, 2, 3]);
    assert_eq!(grid.handle("four"), Status::Ok);
    assert_eq!(lines(&grid).last().unwrap(), "FOUR");
}

#[test]
fn a_batch_is_larger_than_any_pipe() {
    let mut grid = grid("cat", &[]);
    let records: Vec<_> = (0..20_000).map(|record| format!("{record} {}", "x".repeat(100))).collect();
    assert_eq!(grid.handle_batch(&records), Status::Ok);
    assert_eq!(lines(&grid), records);
}

#[test]
fn a_batch_with_another_number_of_lines_finishes_none_of_its_records() {
    for (command, said) in [
        ("grep -v two", "2 lines for 3 records"),
        ("sed p", "more than 3 lines for 3 records"),
        ("yes", "more than 3 lines for 3 records"),
        ("cat >/dev/null", "no line for 3 records"),
    ] {
        let mut grid = grid(command, &[]);
        assert_eq!(grid.handle_batch(&["one", "two", "three"]), Status::Reject, "{command}");
        assert!(grid.last_message().contains(said), "{command}: {}", grid.last_message());
        assert!(grid.last_message().contains("one-to-one=false"), "{command}: {}", grid.last_message());
        assert_eq!((done(&grid), lines(&grid)), (vec![], vec![]), "{command}");
    }
}

#[test]
fn a_record_alone_answers_for_itself() {
    let mut grid = grid("sed '/two/d; /three/p'", &[]);
    assert_eq!(grid.handle("one"), Status::Ok);
    assert_eq!(grid.handle("two"), Status::Reject);
    assert!(grid.last_message().contains("no line for 1 record"), "{}", grid.last_message());
    assert_eq!(grid.handle("three"), Status::Reject);
    assert!(grid.last_message().contains("more than 1 line for 1 record"), "{}", grid.last_message());
    assert_eq!(lines(&grid), ["one"]);
}

#[test]
fn the_rows_of_a_batch_can_be_any_lines() {
    let mut grid = grid("sort; echo end", &[("one-to-one", "false")]);
    assert_eq!(grid.handle_batch(&["b", "a"]), Status::Ok);
    assert_eq!(lines(&grid), ["a", "b", "end"]);
    assert_eq!(done(&grid), [1, 2]);
    assert_eq!(grid.handle("c"), Status::Ok);
    assert_eq!(lines(&grid), ["a", "b", "end", "c", "end"]);
}

#[test]
fn a_failure_is_the_batch_s() {
    for (command, said, status) in [
        ("cat; exit 3", "exit status 3", Status::Reject),
        ("cat; exit 75", "exit status 75", Status::Retry),
        ("cat; kill -SEGV $$", "SIGSEGV", Status::Retry),
    ] {
        let mut grid = grid(command, &[]);
        assert_eq!(grid.handle_batch(&["one", "two"]), status, "{command}");
        assert!(grid.last_message().contains(said), "{command}: {}", grid.last_message());
        assert!(done(&grid).is_empty(), "{command}");
    }
}

#[test]
fn a_batch_that_gets_nowhere_is_given_up() {
    let script = format!("cat; trap '' TERM; setsid sleep {FOREVER} & sleep {FOREVER}");
    let mut grid = grid(&script, &[("timeout", "0.3")]);
    let began = Instant::now();
    assert_eq!(grid.handle_batch(&["one", "two"]), Status::Retry);
    assert!(grid.last_message().contains("`timeout`"), "{}", grid.last_message());
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_batch_that_gets_on_is_not_given_up() {
    let script = "while read record; do sleep 0.1; echo $record; done";
    let mut grid = grid(script, &[("timeout", "3")]);
    let records: Vec<_> = (0..50).map(|record| record.to_string()).collect();
    assert_eq!(grid.handle_batch(&records), Status::Ok, "{}", grid.last_message());
    assert_eq!(lines(&grid), records);
}

#[test]
fn a_record_that_is_two_lines_fails_and_the_others_go_on() {
    let mut grid = grid("cat", &[]);
    assert_eq!(grid.handle_batch(&["one", "t\nwo", "three"]), Status::Ok);
    assert_eq!(lines(&grid), ["one", "three"]);
    assert_eq!(done(&grid), [1, 3]);
    let finished = grid.finished();
    let failed = finished.iter().find(|one| one.record == 2 && one.status == Status::Reject).unwrap();
    assert!(failed.message.contains("line break"), "{}", failed.message);
    assert_eq!(grid.handle("t\nwo"), Status::Reject);
}

#[test]
fn no_record_is_begun_after_a_batch_was_given_up_for_the_end() {
    let mut grid = grid(&format!("sleep {FOREVER}"), &[]);
    grid.stop();
    assert_eq!(grid.handle_batch(&["one", "two"]), Status::Retry);
    let began = Instant::now();
    assert_eq!((grid.handle("one"), grid.handle("two")), (Status::Retry, Status::Retry));
    assert!(began.elapsed() < Duration::from_secs(5), "each was waited for");
}

#[test]
fn arguments_of_another_mode_are_refused() {
    let refused = |args: &[(&str, &str)]| TestGrid::start::<Exec>(args).expect_err("refused").message;
    for (args, said) in [
        ([("mode", "per-batch"), ("command", "echo {}")], "stands for one record"),
        ([("mode", "stream"), ("command", "echo {}")], "stands for one record"),
        ([("one-to-one", "false"), ("command", "cat")], "`one-to-one` is for"),
        ([("batch-max", "5"), ("command", "cat")], "`batch-max` is for"),
        ([("line-buffered", "true"), ("command", "cat")], "`line-buffered` is for"),
        ([("mode", "per-line"), ("command", "cat")], "per-batch"),
    ] {
        let message = refused(&args);
        assert!(message.contains(said), "{args:?}: {message}");
    }
    let none = refused(&[("mode", "per-batch"), ("command", "cat"), ("batch-max", "0")]);
    assert!(none.contains("at least 1"), "{none}");
}
