//! Workers that neither work nor die: a run ends, or says why it cannot.

use std::time::Duration;

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, Grid, kill, numbered, wait};

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
