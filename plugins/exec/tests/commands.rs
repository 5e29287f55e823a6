//! The task with real commands.

use std::time::{Duration, Instant};

use exec::Exec;
use simplegrid_plugin_api::Status;
use simplegrid_plugin_api::testing::TestGrid;

/// More than any command here takes, on any machine.
const FOREVER: &str = "300";

fn grid(args: &[(&str, &str)]) -> TestGrid {
    TestGrid::start::<Exec>(args).unwrap_or_else(|said| panic!("{args:?}: {}", said.message))
}

fn lines(grid: &TestGrid) -> Vec<String> {
    grid.lines().iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

#[test]
fn a_record_is_read_and_the_output_is_rows() {
    let mut grid = grid(&[("command", "tr a-z A-Z")]);
    assert_eq!(grid.handle("one"), Status::Ok);
    assert_eq!(grid.handle(""), Status::Ok);
    assert_eq!(grid.handle("two\nthree"), Status::Ok);
    assert_eq!(lines(&grid), ["ONE", "", "TWO", "THREE"]);
}

#[test]
fn a_record_can_be_an_argument() {
    let mut grid = grid(&[("command", "printf '%s\\n%s' {} [{}]")]);
    assert_eq!(grid.handle("a b"), Status::Ok);
    assert_eq!(lines(&grid), ["a b", "[a b]"]);
    assert_eq!(grid.handle(b"a\0b"), Status::Reject);
    assert_eq!(grid.handle(vec![b'x'; 1 << 20]), Status::Reject);
    assert!(grid.last_message().contains("too long"), "{}", grid.last_message());
}

#[test]
fn shell_code_does_not_come_from_a_record() {
    let mut grid = grid(&[("command", "echo {} | wc -l | tr -d ' '"), ("shell", "true")]);
    assert_eq!(grid.handle("x; echo y; echo z"), Status::Ok);
    assert_eq!(lines(&grid), ["1"]);
}

#[test]
fn exit_statuses_decide() {
    let script = "read status; echo row; echo because >&2; exit $status";
    let mut grid = grid(&[("command", script), ("shell", "true"), ("retry-status", "7,75")]);
    assert_eq!(grid.handle("0"), Status::Ok);
    assert_eq!(grid.handle("7"), Status::Retry);
    assert_eq!(grid.handle("1"), Status::Reject);
    assert!(grid.last_message().ends_with("ended with exit status 1: because"), "{}", grid.last_message());
}

#[test]
fn a_signal_is_a_crash() {
    let mut grid = grid(&[("command", "kill -SEGV $$"), ("shell", "true")]);
    assert_eq!(grid.handle("x"), Status::Retry);
    assert!(grid.last_message().contains("was ended by signal SIGSEGV"), "{}", grid.last_message());
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
    let script = format!("sleep {FOREVER} & sleep {FOREVER}");
    let mut grid = grid(&[("command", script.as_str()), ("shell", "true"), ("timeout", "0.2")]);
    let began = Instant::now();
    assert_eq!(grid.handle("x"), Status::Retry);
    assert!(grid.last_message().contains("took longer than `timeout` allows"), "{}", grid.last_message());
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_command_need_not_read_nor_write() {
    let mut grid = grid(&[("command", "true")]);
    for record in [vec![], vec![b'x'; 4 << 20]] {
        assert_eq!(grid.handle(record), Status::Ok);
    }
    assert!(lines(&grid).is_empty());
}

#[test]
fn large_records_go_through_a_command_that_echoes() {
    let mut grid = grid(&[("command", "cat")]);
    let record = "0123456789".repeat(300_000);
    assert_eq!(grid.handle(&record), Status::Ok);
    assert_eq!(lines(&grid), [record]);
}

#[test]
fn what_a_command_leaves_behind_does_not_keep_its_record() {
    let script = format!("sleep {FOREVER} & echo $!");
    let mut grid = grid(&[("command", script.as_str()), ("shell", "true")]);
    let began = Instant::now();
    assert_eq!(grid.handle("x"), Status::Ok);
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(lines(&grid).len(), 1);
}

#[test]
fn the_surroundings_are_as_the_user_says() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path().canonicalize().unwrap();
    let cwd = cwd.to_str().unwrap();
    let mut grid = grid(&[
        ("command", "pwd; echo $GREETING; trap"),
        ("shell", "true"),
        ("cwd", cwd),
        ("env", "GREETING='hello you'"),
    ]);
    assert_eq!(grid.handle("x"), Status::Ok);
    assert_eq!(lines(&grid), [cwd, "hello you"]);
}

#[test]
fn a_file_that_is_no_program_is_the_fault_of_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data");
    std::fs::write(&file, "\u{1}not a program").unwrap();
    let mut permissions = std::fs::metadata(&file).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(&file, permissions).unwrap();
    let mut grid = grid(&[("command", file.to_str().unwrap())]);
    assert_eq!(grid.handle("x"), Status::Fatal);
    assert!(grid.last_message().contains("format"), "{}", grid.last_message());
}

#[test]
fn a_command_that_never_stops_writing_is_stopped_by_its_timeout() {
    // The first is slow, or its line would become too long before its time is over.
    for script in ["while :; do printf y; done", "yes >&2", "exec yes"] {
        let mut grid = grid(&[("command", script), ("shell", "true"), ("timeout", "0.2")]);
        let began = Instant::now();
        assert_eq!(grid.handle("x"), Status::Retry, "{script}: {}", grid.last_message());
        assert!(grid.last_message().contains("`timeout`"), "{script}: {}", grid.last_message());
        assert!(began.elapsed() < Duration::from_secs(60), "{script}");
    }
}

#[test]
fn a_line_without_end_does_not_fill_the_memory() {
    let mut grid = grid(&[("command", "head -c 100000000 /dev/zero")]);
    assert_eq!(grid.handle("x"), Status::Reject);
    assert!(grid.last_message().contains("a line of more than 64 MiB"), "{}", grid.last_message());
}

#[test]
fn a_command_that_takes_long_is_ended_when_the_grid_shuts_down() {
    let mut grid = grid(&[("command", format!("sleep {FOREVER}").as_str())]);
    grid.stop();
    assert_eq!(grid.handle("x"), Status::Retry);
    assert!(grid.last_message().contains("the grid is shutting down"), "{}", grid.last_message());
}

#[test]
fn a_command_that_closes_its_pipes_is_still_waited_for() {
    let mut grid = grid(&[("command", "echo row; exec <&- >&- 2>&-; sleep 0.2; exit 3"), ("shell", "true")]);
    assert_eq!(grid.handle(vec![b'x'; 4 << 20]), Status::Reject);
    assert!(grid.last_message().contains("exit status 3"), "{}", grid.last_message());
}
