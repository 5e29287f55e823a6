//! Records that harm their worker: each is found exactly, its neighbours are untouched, and it is reported
//! after its retries.

use simplegrid_tests::{Call, FailedRecord, Grid, numbered};

/// A fault, and how the record that causes it is reported.
struct Poison {
    record: &'static str,
    reason: &'static str,
    message: &'static str,
    /// Executions with `--retries 1`.
    attempts: usize,
}

const fn poison(record: &'static str, reason: &'static str, message: &'static str) -> Poison {
    Poison { record, reason, message, attempts: 2 }
}

fn noted<'g>(grid: &'g Grid) -> Call<'g> {
    let run = grid.run("hostile").task_arg("side-log", grid.path("log"));
    run.args("-k --retries 1 --record-timeout 10s").path("--failed", grid.path("failed"))
}

/// Puts a record into the middle of a thousand others, and checks what becomes of all of them.
#[track_caller]
fn expect_only_it_fails(poison: &Poison, args: &str) {
    let grid = Grid::new();
    let neighbours = numbered("ok ", 1000);
    let (before, after) = neighbours.split_at(neighbours.find("ok 500\n").expect("it is one of them"));
    let run = grid.run("hostile").task_arg("side-log", grid.path("log"));
    let run = run.args("-k --retries 1").args(args).path("--failed", grid.path("failed"));
    let run = run.input(format!("{before}{}\n{after}", poison.record)).finish().expect(1);
    let run = run.expect_counts(1001, 1000, 1);
    assert!(run.text() == neighbours, "{}: the neighbours' rows differ", poison.record);

    let failed = grid.failed("failed");
    let [FailedRecord { seq, record, reason, message, attempts, .. }] = &failed[..] else {
        panic!("{}: not one failed record: {failed:?}", poison.record)
    };
    assert_eq!((*seq, record.as_str(), reason.as_str()), (500, poison.record, poison.reason));
    assert_eq!(*attempts, poison.attempts as u64, "{}", poison.record);
    assert!(message.contains(poison.message), "{}: {message}", poison.record);

    let log = grid.side_log("log");
    assert_eq!(log.count(poison.record), poison.attempts, "{}", poison.record);
    assert_eq!(log.len(), 1000 + poison.attempts, "{}: a neighbour was run again", poison.record);
}

#[test]
fn a_record_that_panics_costs_only_itself() {
    expect_only_it_fails(&poison("panic", "panic", "told to panic"), "");
}

#[test]
fn a_record_that_aborts_costs_only_itself() {
    expect_only_it_fails(&poison("abort", "crash", "SIGABRT"), "");
}

#[test]
fn a_record_that_segfaults_costs_only_itself() {
    expect_only_it_fails(&poison("segv", "crash", "SIGSEGV"), "");
}

#[test]
fn a_record_that_leaves_with_status_0_costs_only_itself() {
    expect_only_it_fails(&poison("exit0", "crash", "exit status 0"), "");
}

#[test]
fn a_record_that_allocates_for_ever_costs_only_itself() {
    expect_only_it_fails(&poison("oom", "crash", "SIGABRT"), "");
}

#[test]
fn a_record_that_never_ends_costs_only_itself() {
    // A neighbour takes some microseconds; only on a stalled machine could one be mistaken for the other.
    expect_only_it_fails(&poison("hang", "timeout", "limit of 1s"), "--record-timeout 1s");
}

#[test]
fn a_rejected_record_is_not_tried_again() {
    expect_only_it_fails(&Poison { attempts: 1, ..poison("reject", "rejected", "told to reject") }, "");
}

#[test]
fn a_record_that_asks_for_retries_gets_them_and_no_more() {
    expect_only_it_fails(&poison("retry", "error", "told to retry"), "");
}

#[test]
fn the_rows_of_a_failed_attempt_are_dropped() {
    expect_only_it_fails(&Poison { attempts: 1, ..poison("leak", "rejected", "after a row") }, "");
}

#[test]
fn a_record_that_succeeds_the_second_time_is_done() {
    let grid = Grid::new();
    let input = numbered("retry-once ", 50);
    let run = noted(&grid).input(&input).finish().expect(0).expect_counts(50, 50, 0);
    assert_eq!(run.text(), input, "in order, though each was tried again in another batch");
    assert!(run.summary().contains(" 50 retried"), "{}", run.summary());
    assert_eq!(grid.side_log("log").len(), 100);
}

#[test]
fn without_retries_every_fault_is_the_last() {
    let grid = Grid::new();
    let run = grid.run("hostile").task_arg("side-log", grid.path("log")).args("--retries 0");
    run.input("abort\nretry\nok\n").finish().expect(1).expect_counts(3, 1, 2);
    let log = grid.side_log("log");
    assert_eq!((log.count("abort"), log.count("retry"), log.len()), (1, 1, 3));
}

#[test]
fn many_poisonous_records_are_all_found() {
    let grid = Grid::new();
    let faults = ["abort", "panic", "exit0", "segv", "reject"];
    let input: String =
        (0..200).map(|n| format!("{} {n}\n", if n % 20 == 7 { faults[n / 20 % 5] } else { "ok" })).collect();
    let run = noted(&grid).input(&input).finish().expect(1).expect_counts(200, 190, 10);
    let expected: String = input.split_inclusive('\n').filter(|line| line.starts_with("ok")).collect();
    assert_eq!(run.text(), expected);
    let seqs: Vec<_> = grid.failed("failed").iter().map(|failed| failed.seq).collect();
    assert_eq!(seqs, (0..10).map(|n| n * 20 + 7).collect::<Vec<u64>>());
}

#[test]
fn nothing_but_poison_ends_with_nothing_done() {
    let grid = Grid::new();
    let input = "abort\n".repeat(12);
    noted(&grid).input(input).finish().expect(1).expect_counts(12, 0, 12);
    assert_eq!(grid.side_log("log").len(), 24);
}

#[test]
fn held_records_run_again_if_their_worker_dies() {
    let grid = Grid::new();
    let run = noted(&grid).args("-m 1").input("hold 1\nhold 2\nok\nabort\nhold 3\n");
    let run = run.finish().expect(1).expect_counts(5, 4, 1);
    assert_eq!(run.text(), "hold 1\nhold 2\nok\nhold 3\n");
    let log = grid.side_log("log");
    assert_eq!((log.count("ok"), log.count("abort")), (1, 2));
    assert_eq!(grid.failed("failed")[0].record, "abort");
}

#[test]
fn held_records_can_be_finished_by_a_later_one() {
    let grid = Grid::new();
    let input = "hold 1\nhold 2\nfinish\nhold 3\nlast\n";
    let run = noted(&grid).args("-m 1").input(input).finish().expect(0).expect_counts(5, 5, 0);
    assert_eq!(run.text(), input);
}

#[test]
fn a_crash_in_flush_finds_the_guilty_record_in_the_end() {
    for how in ["abort", "panic", "hang"] {
        let grid = Grid::new();
        let run = grid.run("hostile").task_arg("side-log", grid.path("log")).task_arg("flush", how);
        let run = run.args("-k --retries 1 --record-timeout 1s").path("--failed", grid.path("failed"));
        let run = run.input("ok 1\nhold 1\nhold 2\nok 2\n");
        let run = run.finish().expect(1).expect_counts(4, 2, 2);
        assert_eq!(run.text(), "ok 1\nok 2\n", "{how}");
        let failed: Vec<_> = grid.failed("failed").iter().map(|failed| failed.record.clone()).collect();
        assert_eq!(failed, ["hold 1", "hold 2"], "{how}");
        assert_eq!(grid.side_log("log").count("ok 1"), 1, "{how}");
    }
}

#[test]
fn a_task_that_cannot_go_on_ends_the_run_with_its_words() {
    let grid = Grid::new();
    let run = grid.run("hostile").input("ok\nfatal\n").finish().expect(4);
    assert_eq!(run.errors().len(), 1, "{}", run.stderr);
    assert!(run.errors()[0].contains("told to be fatal"), "{}", run.stderr);
}

#[test]
fn a_row_can_be_huge() {
    let grid = Grid::new();
    let run = noted(&grid).input("before\nhuge 50000000\nafter\n").finish().expect(0);
    let lengths: Vec<_> = run.text().lines().map(str::len).collect();
    assert_eq!(lengths, [6, 50_000_000, 5]);
}

#[test]
fn a_row_that_is_too_large_is_its_records_fault() {
    let grid = Grid::new();
    let run = noted(&grid).input("before\nhuge 300000000\nafter\n").finish().expect(1).expect_counts(3, 2, 1);
    assert_eq!(run.text(), "before\nafter\n");
    assert_eq!(grid.failed("failed")[0].reason, "rejected");
}

#[test]
fn what_a_record_leaves_running_ends_with_its_worker() {
    let grid = Grid::new();
    let run = noted(&grid).input("child\n").finish().expect(0);
    let child: i32 = run.text().trim().parse().unwrap();
    simplegrid_tests::wait::until("the child has ended", || {
        grid.processes().iter().all(|found| found.pid != child)
    });
}
