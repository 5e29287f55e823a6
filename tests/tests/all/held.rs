//! Records that a task holds, and does not finish as it should: each costs itself and nothing else.

use simplegrid_tests::{Call, Grid, numbered};

/// What is said of a record that was held and never finished.
const FORGOTTEN: &str = "held it and never finished it";

fn noted(grid: &Grid) -> Call<'_> {
    let run = grid.run("hostile").args("-k -m 1").task_arg("side-log", grid.path("log"));
    run.path("--failed", grid.path("failed"))
}

/// Input for more batches than a task can hold records of.
fn many_batches(record: &str) -> String {
    (0..120).map(|number| format!("sleep 2 {number}\n{record} {number}\nhold {number}\n")).collect()
}

/// The run used to end there: its slave could not go on.
#[test]
fn a_held_record_that_is_dropped_or_forgotten_fails_alone() {
    for how in ["drop", "forget"] {
        let grid = Grid::new();
        let run = noted(&grid).input(format!("ok 1\n{how}\nhold 1\nok 2\n")).finish();
        let run = run.expect(1).expect_counts(4, 3, 1);
        assert_eq!(run.text(), "ok 1\nhold 1\nok 2\n");
        let failed = grid.failed("failed");
        let [failed] = &failed[..] else { panic!("{failed:?}") };
        assert_eq!((failed.seq, failed.record.as_str(), failed.attempts), (1, how, 1));
        assert_eq!(failed.reason, "rejected");
        assert!(failed.message.contains(FORGOTTEN), "{}", failed.message);
        assert_eq!(grid.side_log("log").len(), 4, "nothing has run twice");
    }
}

/// Records that were dropped filled the window, and then the run ended.
#[test]
fn a_task_that_loses_a_record_of_each_batch_loses_only_those() {
    for how in ["drop", "forget"] {
        let grid = Grid::new();
        let run = noted(&grid).input(many_batches(how)).finish().expect(1).expect_counts(360, 240, 120);
        assert!(!run.text().contains("of a record"), "a record that failed has a row");
        let failed = grid.failed("failed");
        assert!(failed.iter().all(|failed| failed.record.starts_with(how)), "{failed:?}");
        assert_eq!(grid.side_log("log").len(), 360, "nothing has run twice");
    }
}

/// With rows in order, everything behind a dropped record would wait for the end of the run.
#[test]
fn a_dropped_record_holds_nothing_up() {
    let grid = Grid::new();
    let mut run = noted(&grid).start();
    run.write("drop\nok 1\n");
    run.wait_for_lines(1);
    run.finish().expect(1).expect_counts(2, 1, 1);
}

#[test]
fn a_task_that_never_finishes_what_it_holds_fails_those_records() {
    let grid = Grid::new();
    let run = noted(&grid).task_arg("flush", "keep").input("ok\nhold 1\nhold 2\n");
    let run = run.finish().expect(1).expect_counts(3, 1, 2);
    assert_eq!(run.text(), "ok\n");
    assert!(grid.failed("failed").iter().all(|failed| failed.message.contains(FORGOTTEN)));
}

#[test]
fn a_task_whose_window_is_full_and_that_finishes_nothing_cannot_go_on() {
    let grid = Grid::new();
    let run = noted(&grid).task_arg("flush", "keep").input(many_batches("hold")).finish().expect(4);
    assert!(run.errors()[0].contains("its flush must finish some"), "{}", run.stderr);
}

/// Its rows would come out with those of another record, although it is reported as failed.
#[test]
fn a_record_that_is_finished_after_it_was_given_up_has_no_rows() {
    let grid = Grid::new();
    let run = noted(&grid).input(format!("late\n{}", many_batches("forget"))).finish().expect(4);
    assert!(run.errors()[0].contains("finished a record too late"), "{}", run.stderr);
    assert!(!run.text().lines().any(|line| line == "late"), "a record that failed has a row");
}

/// The record was run again and again, for ever.
#[test]
fn a_held_record_that_fails_as_fatal_ends_the_run() {
    let grid = Grid::new();
    let run = noted(&grid).task_arg("flush", "keep").input("hold 1\nfinish-fatal\n").finish().expect(4);
    assert!(run.errors()[0].contains("told to fail what it holds"), "{}", run.stderr);
}

/// What the guide says of errors from `flush`: no record is rejected for it.
#[test]
fn a_flush_that_rejects_has_its_records_run_again_and_then_alone() {
    let grid = Grid::new();
    let run = noted(&grid).task_arg("flush", "reject").args("--retries 0");
    let input = numbered("ok ", 3) + "hold 1\nhold 2\n";
    let run = run.input(&input).finish().expect(1).expect_counts(5, 3, 2);
    assert_eq!(run.text(), numbered("ok ", 3));
    for failed in grid.failed("failed") {
        assert_eq!((failed.reason.as_str(), failed.attempts), ("crash", 3), "{failed:?}");
        assert!(failed.message.contains("told to reject in flush"), "{failed:?}");
    }
}
