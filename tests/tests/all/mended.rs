//! Bugs that were found here. Each has a test that shows it, and that stays when it is mended.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use simplegrid_tests::{Grid, program, wait};

/// A slot whose worker was refused used to count as starting for ever, so the end waited for it.
#[test]
fn a_slave_whose_task_cannot_be_made_ends_at_once() {
    let grid = Grid::new();
    let began = Instant::now();
    // Long enough that a drain that waits for nobody cannot be taken for a slow machine.
    let slave =
        grid.slave_call("hostile").task_arg("new", "fail").args("--drain-timeout 20s").finish().expect(2);
    assert_eq!(slave.errors().len(), 1, "{}", slave.stderr);
    assert!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());
    let states: Vec<_> = grid.nodes().iter().map(|node| node["state"].clone()).collect();
    assert!(states.iter().all(|state| state == "disabled"), "{states:?}");
}

/// The reasons alone used to be given: the user could not see which of several files was meant.
#[test]
fn what_a_task_refuses_is_said_with_its_library() {
    let grid = Grid::new();
    let library = program::library("hostile").display().to_string();
    for (name, value) in
        [("prepare", "fail"), ("prepare", "panic"), ("new", "fail"), ("new", "panic"), ("x", "y")]
    {
        let run = grid.run("hostile").task_arg(name, value).input("a\n").finish().expect(2);
        assert!(run.errors()[0].contains(&library), "{name}={value}: {}", run.stderr);
    }
}

/// Without a slot nothing was read, not even the end of the input.
#[test]
fn the_end_of_the_input_is_seen_without_any_node() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let mut master = grid.master().args("--wait-nodes 30s").start();
    master.write("one\n");
    master.wait_for_lines(1);
    slave.signal(Signal::SIGTERM);
    slave.into_process().wait().expect(143);
    let began = Instant::now();
    master.finish().expect(0).expect_counts(1, 1, 0);
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
}

/// A worker reads its socket between records only: in one that never ends it did not see that its slave was gone.
#[test]
fn a_worker_in_an_endless_record_ends_with_its_slave() {
    let grid = Grid::new();
    let mut run = grid.run("hostile").task_arg("side-log", grid.path("log")).start();
    run.write("hang\n");
    wait::until("the record hangs", || grid.side_log("log").len() == 1);
    run.signal(Signal::SIGKILL);
    run.wait().expect(-9);
    wait::until("its workers end", || grid.processes().is_empty());
}

/// Nobody listened for signals while a local run prepared its task.
#[test]
fn a_signal_ends_a_local_run_that_still_prepares() {
    for place in ["prepare", "new"] {
        let grid = Grid::new();
        let run = grid.run("hostile").task_arg(place, "hang").input("a\n").start();
        wait::until("a worker is at it", || grid.processes().len() > 1);
        run.signal(Signal::SIGINT);
        run.wait().expect(130);
        wait::until("its workers end", || grid.processes().is_empty());
    }
}

/// A worker that was still being started could not be killed, not even by the second signal.
#[test]
fn a_signal_ends_a_slave_whose_workers_still_start() {
    let grid = Grid::new();
    let slave = grid.slave_call("hostile").task_arg("new", "hang").args("--drain-timeout 1s").start();
    wait::until("its workers start", || grid.workers().len() == 2);
    slave.signal(Signal::SIGTERM);
    slave.wait().expect(143);
    wait::until("its workers end", || grid.processes().is_empty());
}

/// The output was created, and with it the input emptied, before a record was read.
#[test]
fn the_output_is_not_the_input() {
    let grid = Grid::new();
    let input = grid.write("input", "a\nb\n");
    let run = grid.run("echo").path("-o", &input).arg(&input).finish();
    assert_eq!(grid.read("input"), b"a\nb\n", "the input is still there");
    assert!([2, 4].contains(&run.status), "{run:?}");
    assert!(run.errors()[0].contains("input"), "{}", run.stderr);
}
