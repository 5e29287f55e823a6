//! The summary counts what was written, and nothing that only waits to be written.

use nix::sys::signal::Signal;
use simplegrid_tests::{Finished, Grid, numbered, wait};

/// Checks that every record that was read is accounted for.
#[track_caller]
fn expect_to_add_up(ended: &Finished) {
    let [read, done, failed, unfinished] =
        ["read", "done", "failed", "unfinished"].map(|word| ended.count(word));
    assert_eq!(read, done + failed + unfinished, "{}", ended.stderr);
}

#[test]
fn rows_behind_an_open_record_that_cannot_be_written_are_not_done() {
    let grid = Grid::new();
    let run = grid.run("hostile").task_arg("side-log", grid.path("log")).args("-k -o /dev/full");
    let run = run.input(format!("{}\n{}", grid.gate("gate"), numbered("row ", 4000))).start();
    wait::until("many records are run", || grid.side_log("log").len() > 4000);
    grid.open_gate("gate");
    let run = run.wait().expect(4);
    assert_eq!((run.count("done"), run.count("unfinished")), (0, run.count("read")), "{}", run.stderr);
}

#[test]
fn rows_that_still_wait_for_an_older_record_when_a_run_is_stopped_are_not_done() {
    let grid = Grid::new();
    let mut run = grid.run("hostile").task_arg("side-log", grid.path("log")).arg("-k").start();
    run.write(format!("first\n{}\n{}", grid.gate("gate"), numbered("row ", 4000)));
    wait::until("many records are run", || grid.side_log("log").len() > 4000);
    run.wait_for_lines(1);
    run.signal(Signal::SIGTERM);
    run.wait_for_stderr("received, finishing what is in flight");
    run.signal(Signal::SIGTERM);
    let run = run.wait().expect(143);
    assert_eq!(run.text(), "first\n");
    assert_eq!(run.count("done"), 1, "{}", run.stderr);
    expect_to_add_up(&run);
}

#[test]
fn a_disk_that_fills_up_holds_the_rows_of_every_record_that_is_done() {
    for order in ["-k", ""] {
        let grid = Grid::new();
        let _slave = grid.slave("echo");
        let run = grid.master().args("--wait-nodes 30s").args(order).path("-o", grid.path("rows"));
        let run = run.input(numbered("record ", 200_000)).files_up_to_blocks(1500).finish().expect(4);
        expect_to_add_up(&run);
        let rows = grid.read("rows").iter().filter(|byte| **byte == b'\n').count() as u64;
        let done = run.count("done");
        assert!(done > 0 && done <= rows, "{done} done, and {rows} rows");
        // What is written at once is counted at once: a few batches of rows at most.
        assert!(rows - done < 70_000, "{done} done, and {rows} rows");
    }
}

#[test]
fn failed_records_that_cannot_be_written_have_not_failed() {
    let grid = Grid::new();
    let run = grid.run("hostile").args("--failed /dev/full").input(numbered("reject ", 100)).finish();
    let run = run.expect(4);
    assert!(run.stderr.contains("cannot write the failed records to /dev/full"), "{}", run.stderr);
    assert_eq!((run.count("failed"), run.count("done")), (0, 0), "{}", run.stderr);
    expect_to_add_up(&run);
}

#[test]
fn what_is_done_when_a_task_ends_the_run_is_in_the_output() {
    let grid = Grid::new();
    let input = format!("{}fatal\n", numbered("row ", 500));
    let run = grid.run("hostile").args("-m 1").input(input).finish().expect(4);
    assert_eq!(run.text().lines().count() as u64, run.count("done"), "{}", run.stderr);
    expect_to_add_up(&run);
}

#[test]
fn an_input_that_becomes_shorter_while_it_is_read_ends_the_run_with_a_reason() {
    for left in [0, 100] {
        let grid = Grid::new();
        let records = format!("{}\n{}", grid.gate("gate"), numbered(&"x".repeat(1000), 20_000));
        let input = grid.write("input", records);
        let run = grid.run("hostile").task_arg("side-log", grid.path("log")).arg("-m").arg("1").arg(&input);
        let run = run.start();
        grid.wait_at_gate("gate", 1);
        std::fs::OpenOptions::new().write(true).open(&input).unwrap().set_len(left).unwrap();
        grid.open_gate("gate");
        let run = run.wait().expect(4);
        let said = format!("read {} to its end: it became shorter while it was read", input.display());
        assert!(run.stderr.contains(&said), "{}", run.stderr);
        assert_eq!(run.count("read"), run.count("done"), "what was read is finished: {}", run.stderr);
    }
}

#[test]
fn an_input_that_grows_while_it_is_read_is_read_to_its_end() {
    let grid = Grid::new();
    let records = format!("{}\n{}", grid.gate("gate"), numbered(&"x".repeat(1000), 20_000));
    let input = grid.write("input", records);
    let run = grid.run("hostile").task_arg("side-log", grid.path("log")).arg("-m").arg("1").arg(&input);
    let run = run.start();
    grid.wait_at_gate("gate", 1);
    let mut file = std::fs::OpenOptions::new().append(true).open(&input).unwrap();
    std::io::Write::write_all(&mut file, b"one more\n").unwrap();
    grid.open_gate("gate");
    run.wait().expect(0).expect_counts(20_002, 20_002, 0);
}
