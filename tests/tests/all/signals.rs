//! Signals: the first drains, the second stops, and nothing is left behind.

use nix::sys::signal::Signal;
use simplegrid_tests::{Finished, Grid, Process, Slave, sorted, wait};

const SIGNALS: [(Signal, i32); 3] = [(Signal::SIGINT, 130), (Signal::SIGHUP, 129), (Signal::SIGTERM, 143)];

/// Writes records, one of which waits, and returns when it does.
#[track_caller]
fn keep_busy(grid: &Grid, process: &mut Process) {
    process.write(format!("one\ntwo\n{}\nthree\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
}

/// Checks that everything that was read is done, and that every row of what was run has come out.
#[track_caller]
fn expect_all_accounted_for(grid: &Grid, finished: &Finished) {
    let log = grid.side_log("log");
    let read = finished.count("read");
    assert_eq!((finished.count("done"), finished.count("failed")), (read, 0), "{}", finished.stderr);
    assert_eq!(log.len() as u64, read, "each record was run once");
    let executed: Vec<_> = log.by_worker().into_values().flatten().map(str::to_owned).collect();
    assert_eq!(sorted(&finished.stdout), sorted(executed.join("\n").as_bytes()));
}

#[test]
fn the_first_signal_lets_a_master_finish_what_it_has_read() {
    for (signal, status) in SIGNALS {
        let grid = Grid::new();
        let slave = grid.noting_slave();
        let mut master = grid.master().start();
        keep_busy(&grid, &mut master);
        master.signal(signal);
        master.wait_for_stderr("received, finishing what is in flight");
        grid.open_gate("gate");
        // Its input stays open: the master must not wait for its end.
        let master = master.wait().expect(status);
        expect_all_accounted_for(&grid, &master);
        grid.wait_for_state(slave.port(), "enabled");
    }
}

#[test]
fn the_first_signal_lets_a_local_run_finish_what_it_has_read() {
    for (signal, status) in SIGNALS {
        let grid = Grid::new();
        let mut run = grid.run("hostile").task_arg("side-log", grid.path("log")).start();
        keep_busy(&grid, &mut run);
        run.signal(signal);
        run.wait_for_stderr("received, finishing what is in flight");
        grid.open_gate("gate");
        let run = run.wait().expect(status);
        expect_all_accounted_for(&grid, &run);
        assert!(grid.processes().is_empty(), "{:?}", grid.processes());
    }
}

/// Sends a signal, waits until it was noticed, and sends it again.
#[track_caller]
fn signal_twice(process: &Process, signal: Signal) {
    process.signal(signal);
    process.wait_for_stderr("received, finishing what is in flight");
    process.signal(signal);
}

#[test]
fn the_second_signal_ends_a_master_at_once_and_its_nodes_are_free() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let mut master = grid.master().start();
    keep_busy(&grid, &mut master);
    signal_twice(&master, Signal::SIGINT);
    master.wait().expect(130);
    grid.wait_for_state(slave.port(), "enabled");
    assert_eq!(grid.master().input("next\n").finish().expect(0).text(), "next\n");
}

#[test]
fn the_second_signal_ends_a_local_run_at_once() {
    let grid = Grid::new();
    let mut run = grid.run("hostile").task_arg("side-log", grid.path("log")).start();
    keep_busy(&grid, &mut run);
    signal_twice(&run, Signal::SIGTERM);
    run.wait().expect(143);
    wait::until("its workers end", || grid.processes().is_empty());
}

#[test]
fn the_first_signal_lets_a_slave_finish_what_it_has() {
    for (signal, status) in SIGNALS {
        let grid = Grid::new();
        let slave = grid.noting_slave();
        let port = slave.port();
        let master = grid.master().input(format!("one\ntwo\n{}\nthree\n", grid.gate("gate"))).start();
        grid.wait_at_gate("gate", 1);
        slave.signal(signal);
        slave.wait_for_stderr("received, finishing what is in flight");
        grid.open_gate("gate");
        slave.into_process().wait().expect(status);
        assert_eq!(grid.state(port), "disabled");
        let master = master.wait().expect(0);
        expect_all_accounted_for(&grid, &master);
        assert!(grid.processes().is_empty(), "{:?}", grid.processes());
    }
}

#[test]
fn the_second_signal_ends_a_slave_at_once_and_nothing_is_left() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let port = slave.port();
    let mut master = grid.master().args("--wait-nodes 40s").start();
    keep_busy(&grid, &mut master);
    signal_twice(&slave, Signal::SIGTERM);
    slave.into_process().wait().expect(143);
    assert_eq!(grid.state(port), "disabled");
    wait::until("its workers end", || grid.workers().is_empty());
    // The run is not over: another slave continues it.
    let _other = grid.noting_slave();
    grid.wait_at_gate("gate", 2);
    grid.open_gate("gate");
    master.finish().expect(0).expect_counts(4, 4, 0);
}

#[test]
fn an_idle_slave_ends_at_a_signal() {
    for (signal, status) in SIGNALS {
        let grid = Grid::new();
        let slave = grid.slave("echo");
        let port = slave.port();
        slave.signal(signal);
        slave.into_process().wait().expect(status);
        assert_eq!(grid.state(port), "disabled");
        assert!(grid.processes().is_empty(), "{:?}", grid.processes());
    }
}

#[test]
fn a_task_that_hangs_does_not_keep_a_slave_from_ending() {
    let grid = Grid::new();
    let slave = Slave::start(
        grid.slave_call("hostile").task_arg("side-log", grid.path("log")).args("--drain-timeout 300ms"),
    );
    let mut master = grid.master().start();
    master.write("hang\n");
    wait::until("the record hangs", || grid.side_log("log").len() == 1);
    slave.signal(Signal::SIGTERM);
    slave.into_process().wait().expect(143);
    wait::until("its workers end", || grid.workers().is_empty());
    drop(master);
}

#[test]
fn ctrl_c_for_everyone_at_once_loses_nothing() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let mut master = grid.master().group(slave.pid()).start();
    keep_busy(&grid, &mut master);
    let workers: Vec<_> = grid.workers().iter().map(|worker| worker.pid).collect();
    nix::sys::signal::killpg(nix::unistd::Pid::from_raw(slave.pid()), Signal::SIGINT).unwrap();
    master.wait_for_stderr("received, finishing what is in flight");
    slave.wait_for_stderr("received, finishing what is in flight");
    assert_eq!(
        grid.workers().iter().map(|worker| worker.pid).collect::<Vec<_>>(),
        workers,
        "workers live on"
    );
    grid.open_gate("gate");
    let master = master.wait().expect(130);
    expect_all_accounted_for(&grid, &master);
    let port = slave.port();
    slave.into_process().wait().expect(130);
    assert_eq!(grid.state(port), "disabled");
    assert!(grid.processes().is_empty(), "{:?}", grid.processes());
}

#[test]
fn ctrl_c_at_a_local_run_loses_nothing() {
    let grid = Grid::new();
    let mut run = grid.run("hostile").task_arg("side-log", grid.path("log")).start();
    keep_busy(&grid, &mut run);
    nix::sys::signal::killpg(nix::unistd::Pid::from_raw(run.pid()), Signal::SIGINT).unwrap();
    run.wait_for_stderr("received, finishing what is in flight");
    grid.open_gate("gate");
    let run = run.wait().expect(130);
    expect_all_accounted_for(&grid, &run);
}

#[test]
fn workers_do_not_mind_interrupts_and_hangups() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let before = slave.workers(&grid.workers());
    for worker in &before {
        worker.signal(Signal::SIGINT);
        worker.signal(Signal::SIGHUP);
    }
    assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
    assert_eq!(slave.workers(&grid.workers()), before);
}

#[test]
fn an_idle_master_ends_at_a_signal() {
    for (signal, status) in SIGNALS {
        let grid = Grid::new();
        let slave = grid.slave("echo");
        let mut master = grid.master().start();
        master.write("a\n");
        master.wait_for_lines(1);
        master.signal(signal);
        master.wait().expect(status).expect_counts(1, 1, 0);
        grid.wait_for_state(slave.port(), "enabled");
    }
}

#[test]
fn a_master_that_waits_for_nodes_ends_at_a_signal() {
    let grid = Grid::new();
    let master = grid.master().args("--wait-nodes 10m -v").start();
    wait::until("it has opened the registry", || !grid.read("grid.db").is_empty());
    master.signal(Signal::SIGTERM);
    master.wait().expect(143);
}

#[test]
fn a_hangup_that_was_ignored_at_the_start_stays_so() {
    let grid = Grid::new();
    let mut run = grid.run("echo").without_hangups().start();
    run.write("a\n");
    run.wait_for_lines(1);
    run.signal(Signal::SIGHUP);
    run.write("b\n");
    run.wait_for_lines(2);
    run.finish().expect(0).expect_counts(2, 2, 0);
}
