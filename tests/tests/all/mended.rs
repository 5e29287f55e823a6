//! Bugs that were found here. Each has a test that shows it, and that stays after the bug is mended.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use simplegrid_tests::{Grid, Slave, numbered, program, wait};

/// A slot whose worker was refused used to count as starting for ever, so the end waited for it.
#[test]
fn a_slave_whose_task_cannot_be_made_ends_at_once() {
    let grid = Grid::new();
    let began = Instant::now();
    // Long enough that a drain that waits for nothing cannot be mistaken for a slow machine.
    let slave =
        grid.slave_call("hostile").task_arg("new", "fail").args("--drain-timeout 20s").finish().expect(2);
    assert_eq!(slave.errors().len(), 1, "{}", slave.stderr);
    assert!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());
    let states: Vec<_> = grid.nodes().iter().map(|node| node["state"].clone()).collect();
    assert!(states.iter().all(|state| state == "disabled"), "{states:?}");
}

/// Only the reasons used to be given: users could not see which of several files was meant.
#[test]
fn what_a_task_refuses_is_reported_with_its_library() {
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

/// A worker reads its socket only between records: in a record that never ended it did not notice that its
/// slave was gone.
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

/// Signals were not listened for while a local run prepared its task.
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

/// The output was created, and the input thereby emptied, before a record was read.
#[test]
fn the_output_is_not_the_input() {
    let grid = Grid::new();
    let input = grid.write("input", "a\nb\n");
    let run = grid.run("echo").path("-o", &input).arg(&input).finish();
    assert_eq!(grid.read("input"), b"a\nb\n", "the input is still there");
    assert!([2, 4].contains(&run.status), "{run:?}");
    assert!(run.errors()[0].contains("input"), "{}", run.stderr);
}

/// The keys of a draining slave used to move at once, while it still had records of them in hand: equal keys
/// met in two workers, and out of order.
#[test]
fn keys_of_a_slave_that_drains_wait_for_what_it_has() {
    let grid = Grid::new();
    let slaves = [grid.noting_slave(), grid.noting_slave()];
    let mut master = grid.master().args("--partition-by field:1").start();
    slaves.iter().for_each(|slave| grid.wait_for_state(slave.port(), "reserved"));
    let gate = grid.gate("gate,k");
    let followers = numbered("follower,k,", 10);
    master.write(format!("{gate}\n{followers}"));
    let worker = grid.wait_at_gate("gate,k", 1);
    let workers = grid.workers();
    let has_gate = |slave: &&Slave| slave.workers(&workers).iter().any(|found| found.pid == worker);
    slaves.iter().find(has_gate).expect("a slave has the worker").signal(Signal::SIGTERM);
    master.wait_for_stderr("is about to end");
    // The other slave has not stopped, and has these batches queued behind whatever it had before.
    master.write((0..40).map(|key| format!("other,{key}\n")).collect::<String>());
    master.wait_for_lines(1);
    assert_eq!(grid.side_log("log").count("follower,k,0"), 0, "the key has met in two workers");
    grid.open_gate("gate,k");
    master.finish().expect(0).expect_counts(51, 51, 0);
    let log = grid.side_log("log");
    let of_key: Vec<_> = log.records().filter(|record| record.starts_with("follower,")).collect();
    assert_eq!(of_key, followers.lines().collect::<Vec<_>>(), "the key has come out of order");
}

/// A record that was held when a neighbour killed the worker had been run, but this was not counted.
#[test]
fn executions_of_records_that_were_held_are_counted() {
    let grid = Grid::new();
    // Batches are large by the time that these arrive, so that some of the held records share theirs with one
    // that aborts.
    let input = numbered("ok ", 500) + &"hold 1\nhold 2\nhold 3\nabort\nok\n".repeat(10);
    let run = grid.run("hostile").task_arg("side-log", grid.path("log")).args("-m 1 --retries 0");
    let run = run.input(input).finish().expect(1).expect_counts(550, 540, 10);
    let log = grid.side_log("log");
    assert!(log.len() > 550, "no worker has died while it held anything");
    assert_eq!(run.count("retried"), log.len() as u64 - 550, "{}", run.summary());
}

/// The number of a process that has ended stays until its parent asks for its status. Its port was refused
/// for so long.
#[test]
fn a_killed_slave_that_was_not_reaped_does_not_keep_its_port() {
    let grid = Grid::new();
    let killed = grid.slave("echo");
    killed.signal(Signal::SIGKILL);
    wait::until("it is dead", || grid.processes().is_empty());
    let again = Slave::start(grid.slave_call("echo").arg("-p").arg(killed.port().to_string()));
    assert_eq!(grid.state(again.port()), "enabled");
}
