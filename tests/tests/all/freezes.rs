//! Programs that are stopped for a while and go on: time in which they did not run is held against no one.

use std::time::Duration;

use nix::sys::signal::Signal;
use simplegrid_tests::{Grid, Process, kill, wait};

/// Longer than a silence that makes a peer lost.
const LONG: Duration = Duration::from_secs(8);

/// Longer than the limit of a record, and shorter than such a silence.
const SHORT: Duration = Duration::from_secs(3);

/// Stops processes, lets time pass, and lets them go on in the same order.
fn freeze(pids: &[i32], pause: Duration) {
    pids.iter().for_each(|pid| kill(*pid, Signal::SIGSTOP));
    wait::until_the_next_strike(pause);
    pids.iter().for_each(|pid| kill(*pid, Signal::SIGCONT));
}

/// Records that take a third of a second each.
fn slow_records(count: usize) -> String {
    (0..count).map(|number| format!("sleep 300 {number}\n")).collect()
}

/// Waits until a run has done something more, and has more to do.
fn wait_until_it_works(master: &Process) {
    let lines = || master.stdout().iter().filter(|byte| **byte == b'\n').count();
    let before = lines();
    master.wait_for_lines(before + 2);
}

#[test]
fn a_master_and_a_slave_that_are_stopped_together_do_not_lose_each_other() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let mut master = grid.master().start();
    master.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    freeze(&[master.pid(), slave.pid()], LONG);
    grid.open_gate("gate");
    let master = master.finish().expect(0).expect_counts(1, 1, 0);
    assert!(master.summary().contains("0 retried; 1 node used, 0 lost"), "{}", master.stderr);
}

#[test]
fn a_grid_that_is_frozen_as_a_whole_loses_nothing() {
    let grid = Grid::new();
    let _slaves = [grid.slave("hostile"), grid.slave("hostile")];
    let input = slow_records(40);
    let master = grid.master().args("-k --record-timeout 1s --retries 0").input(&input).start();
    wait_until_it_works(&master);
    let all: Vec<_> = grid.processes().iter().map(|process| process.pid).collect();
    freeze(&all, LONG);
    let master = master.wait().expect(0).expect_counts(40, 40, 0);
    assert!(master.summary().contains("0 retried; 2 nodes used, 0 lost"), "{}", master.stderr);
    assert_eq!(master.text(), input);
}

#[test]
fn a_slave_that_is_stopped_again_and_again_fails_no_record() {
    let grid = Grid::new();
    let slave = grid.slave("hostile");
    let input = slow_records(60);
    let master = grid.master().args("-k --record-timeout 1s --retries 0").input(&input).start();
    wait_until_it_works(&master);
    for _ in 0..3 {
        freeze(&[slave.pid()], SHORT);
        wait_until_it_works(&master);
    }
    let master = master.wait().expect(0).expect_counts(60, 60, 0);
    assert!(master.summary().contains("0 retried; 1 node used, 0 lost"), "{}", master.stderr);
}

#[test]
fn a_local_run_that_is_stopped_again_and_again_fails_no_record() {
    let grid = Grid::new();
    let input = slow_records(60);
    let run = grid.run("hostile").args("-k --record-timeout 1s --retries 0").input(&input).start();
    wait_until_it_works(&run);
    for _ in 0..3 {
        freeze(&[run.pid()], SHORT);
        wait_until_it_works(&run);
    }
    let run = run.wait().expect(0).expect_counts(60, 60, 0);
    assert!(run.summary().contains("0 retried"), "{}", run.stderr);
}

#[test]
fn a_node_that_a_stopped_master_gets_back_is_reserved() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let mut master = grid.master().args("--wait-nodes 40s").start();
    master.write(format!("{}\n", grid.gate("gate")));
    for nth in 1..4 {
        grid.wait_at_gate("gate", nth);
        master.signal(Signal::SIGSTOP);
        grid.wait_for_state(slave.port(), "enabled");
        master.signal(Signal::SIGCONT);
    }
    grid.wait_at_gate("gate", 4);
    grid.wait_for_state(slave.port(), "reserved");
    grid.open_gate("gate");
    master.finish().expect(0).expect_counts(1, 1, 0);
}

#[test]
fn a_master_that_was_stopped_for_longer_than_it_waits_for_nodes_goes_on() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let mut master = grid.master().args("--wait-nodes 7s").start();
    master.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    for nth in 2..4 {
        master.signal(Signal::SIGSTOP);
        grid.wait_for_state(slave.port(), "enabled");
        wait::until_the_next_strike(LONG);
        master.signal(Signal::SIGCONT);
        grid.wait_at_gate("gate", nth);
    }
    grid.open_gate("gate");
    master.finish().expect(0).expect_counts(1, 1, 0);
}
