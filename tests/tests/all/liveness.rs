//! Workers that neither work nor die: a run ends, or says why it cannot.

use std::time::Duration;

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, Grid, Slave, kill, numbered, wait};

/// One worker, so that there is no other to go on in its place.
fn one_worker(grid: &Grid) -> Call<'_> {
    grid.run("hostile")
        .args("-k --retries 0")
        .env("SIMPLEGRID_MAX_WORKERS", "1")
        .path("--failed", grid.path("failed"))
}

#[test]
fn a_worker_is_known_to_be_dead_though_its_child_holds_all_it_had_open() {
    let grid = Grid::new();
    let neighbours = numbered("ok ", 100);
    let (before, after) = neighbours.split_at(neighbours.find("ok 50\n").unwrap());
    let run = one_worker(&grid).input(format!("{before}orphan\n{after}")).finish().expect(1);
    let (_, heir) = run.stderr.split_once("heir ").expect("it left a process behind");
    kill(heir.split('.').next().unwrap().parse().unwrap(), Signal::SIGKILL);
    let run = run.expect_counts(101, 100, 1);
    assert_eq!(run.text(), neighbours);
    let failed = grid.failed("failed");
    assert_eq!((failed[0].seq, failed[0].reason.as_str()), (50, "crash"), "{failed:?}");
    assert!(failed[0].message.contains("SIGABRT"), "{failed:?}");
}

#[test]
fn a_worker_that_has_left_its_process_group_is_killed_all_the_same() {
    let grid = Grid::new();
    let run = one_worker(&grid).args("--record-timeout 1s").input("a\nflee\nb\n").finish().expect(1);
    assert_eq!(run.expect_counts(3, 2, 1).text(), "a\nb\n");
    assert_eq!(grid.failed("failed")[0].reason, "timeout");
    wait::until("no worker is left", || grid.workers().is_empty());
}

#[test]
fn a_worker_that_is_stopped_while_idle_is_replaced_and_blames_no_record() {
    let grid = Grid::new();
    let mut run = one_worker(&grid).start();
    run.write("a\n");
    run.wait_for_lines(1);
    kill(grid.workers()[0].pid, Signal::SIGSTOP);
    run.write("b\n");
    let run = run.finish().expect(0).expect_counts(2, 2, 0);
    assert_eq!(run.text(), "a\nb\n");
    assert!(run.stderr.contains("slot=0") && run.stderr.contains("began none"), "{}", run.stderr);
}

#[test]
fn a_task_that_never_ends_costs_no_record() {
    let grid = Grid::new();
    let run =
        one_worker(&grid).task_arg("drop", "hang").input("a\nb\n").finish().expect(0).expect_counts(2, 2, 0);
    assert_eq!(run.text(), "a\nb\n");
    wait::until("no worker is left", || grid.workers().is_empty());
}

#[test]
fn a_task_that_panics_and_never_ends_is_said_to_have_panicked() {
    let grid = Grid::new();
    let run = one_worker(&grid)
        .task_arg("drop", "hang")
        .args("--record-timeout 2s")
        .input("a\npanic\nb\n")
        .finish()
        .expect(1);
    assert_eq!(run.expect_counts(3, 2, 1).text(), "a\nb\n");
    assert_eq!(grid.failed("failed")[0].reason, "panic");
}

#[test]
fn time_in_which_the_program_itself_was_stopped_is_not_counted_against_a_record() {
    let grid = Grid::new();
    let mut run =
        one_worker(&grid).task_arg("side-log", grid.path("log")).args("--record-timeout 2s").start();
    run.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    run.signal(Signal::SIGSTOP);
    wait::until_the_next_strike(Duration::from_secs(3));
    grid.open_gate("gate");
    run.signal(Signal::SIGCONT);
    run.finish().expect(0).expect_counts(1, 1, 0);
}

/// Runs and slaves of the task `hostile` that have four seconds for each step of a worker's start.
fn starts(grid: &Grid) -> [Call<'_>; 2] {
    [grid.run("hostile").input("a\n"), grid.slave_call("hostile")].map(|call| call.args("--start-timeout 4s"))
}

/// Checks that a start was given up because of one step, and that nothing is left of it.
#[track_caller]
fn expect_given_up(grid: &Grid, call: Call<'_>, step: &str) {
    let ended = call.finish().expect(2);
    let [error] = ended.errors()[..] else { panic!("not one error; stderr:\n{}", ended.stderr) };
    for text in ["libhostile.so", step, "did not end within 4s", "--start-timeout"] {
        assert!(error.contains(text), "no {text:?} in: {error}");
    }
    wait::until("no worker is left", || grid.workers().is_empty());
}

#[test]
fn a_task_that_never_comes_to_be_ends_the_start() {
    let grid = Grid::new();
    for call in starts(&grid) {
        expect_given_up(&grid, call.task_arg("new", "hang"), "the `new` of its task");
    }
}

#[test]
fn a_node_whose_preparation_never_ends_does_not_start() {
    let grid = Grid::new();
    for call in starts(&grid) {
        expect_given_up(&grid, call.task_arg("prepare", "hang"), "the `prepare` of its task");
    }
}

#[test]
fn a_later_worker_that_never_gets_ready_is_given_up_while_the_others_go_on() {
    let grid = Grid::new();
    let gate = grid.write("gate", "");
    let mut run = grid.run("hostile").task_arg("new-waits-for", &gate).args("-k --start-timeout 4s").start();
    run.write("a\n");
    run.wait_for_lines(1);
    std::fs::remove_file(&gate).expect("it is there");
    kill(grid.workers()[0].pid, Signal::SIGKILL);
    run.wait_for_stderr("a worker was lost");
    run.write("b\nc\nd\n");
    run.wait_for_lines(4);
    run.wait_for_stderr("a worker did not start: ");
    run.wait_for_stderr("the `new` of its task did not end within 4s");
    grid.open_gate("gate");
    run.write("e\n");
    let run = run.finish().expect(0).expect_counts(5, 5, 0);
    assert_eq!(run.text(), "a\nb\nc\nd\ne\n");
}

#[test]
fn time_in_which_the_program_itself_was_stopped_is_not_counted_against_a_start() {
    let grid = Grid::new();
    let run = one_worker(&grid).task_arg("new-waits-for", grid.path("gate")).args("--start-timeout 4s");
    let run = run.input("a\n").start();
    wait::until("its worker is there", || !grid.workers().is_empty());
    run.signal(Signal::SIGSTOP);
    wait::until_the_next_strike(Duration::from_secs(5));
    run.signal(Signal::SIGCONT);
    wait::until_the_next_strike(Duration::from_millis(500));
    grid.open_gate("gate");
    run.wait().expect(0).expect_counts(1, 1, 0);
}

#[test]
fn a_task_that_never_ends_does_not_hold_up_its_slaves_end() {
    let grid = Grid::new();
    let slave = Slave::start(grid.slave_call("hostile").task_arg("drop", "hang").args("--drain-timeout 1h"));
    assert_eq!(grid.master().args("-k").input("a\nb\n").finish().expect(0).text(), "a\nb\n");
    slave.signal(Signal::SIGTERM);
    let slave = slave.into_process().wait().expect(143);
    assert!(
        slave.stderr.contains("it had nothing left to do, and did not end within 5s"),
        "{}",
        slave.stderr
    );
    assert!(grid.workers().is_empty());
}

#[test]
fn a_flush_that_never_ends_is_ended_at_the_records_limit() {
    let grid = Grid::new();
    let run = one_worker(&grid).task_arg("flush", "hang").args("--record-timeout 1s");
    let run = run.input("ok\nhold 1\n").finish().expect(1).expect_counts(2, 1, 1);
    assert_eq!(grid.failed("failed")[0].record, "hold 1");
    assert_eq!(run.text(), "ok\n");
}
