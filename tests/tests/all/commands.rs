//! Commands as tasks (`-t exec`): what a plugin promises, kept for any program.

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, Found, Grid, kill, numbered, wait};

/// A command that runs longer than any test.
const FOREVER: &str = "sleep 3600";

fn exec<'a>(grid: &'a Grid, command: &str) -> Call<'a> {
    grid.run("exec").args("-k --retries 0").task_arg("command", command).path("--failed", grid.path("failed"))
}

/// The processes of the grid that are neither its program nor its workers.
fn commands(grid: &Grid) -> Vec<Found> {
    let run = |process: &Found| process.command.contains("simplegrid");
    grid.processes().into_iter().filter(|process| !run(process)).collect()
}

#[test]
fn any_command_is_a_task() {
    let grid = Grid::new();
    let records = numbered("record ", 300);
    let run = exec(&grid, "tr a-z A-Z").input(&records).finish().expect(0).expect_counts(300, 300, 0);
    assert_eq!(run.text(), records.to_uppercase());
}

#[test]
fn a_command_that_fails_costs_its_own_record() {
    let grid = Grid::new();
    let run = exec(&grid, "grep -v 7").input(numbered("", 30)).finish().expect(1).expect_counts(30, 27, 3);
    assert_eq!(run.text().lines().count(), 27);
    let failed = grid.failed("failed");
    assert!(
        failed.iter().all(|record| record.reason == "rejected" && record.message.contains("exit status 1"))
    );
    assert_eq!(failed.iter().map(|record| record.seq).collect::<Vec<_>>(), [7, 17, 27]);
}

#[test]
fn a_command_that_kills_its_worker_is_found_and_its_neighbours_are_untouched() {
    let grid = Grid::new();
    let run = exec(&grid, "read record; [ $record = bad ] && kill -9 $PPID; echo $record")
        .task_arg("shell", "true")
        .input("1\n2\nbad\n3\n4\n")
        .finish()
        .expect(1)
        .expect_counts(5, 4, 1);
    assert_eq!(run.text(), "1\n2\n3\n4\n");
    let failed = grid.failed("failed");
    assert_eq!((failed[0].seq, failed[0].reason.as_str()), (2, "crash"));
}

#[test]
fn no_command_outlives_its_worker() {
    let grid = Grid::new();
    let run = exec(&grid, FOREVER).env("SIMPLEGRID_MAX_WORKERS", "1").input("x\n").start();
    wait::until("the command runs", || commands(&grid).len() == 1);
    kill(grid.workers()[0].pid, Signal::SIGKILL);
    run.finish().expect(1).expect_counts(1, 0, 1);
    wait::until("no command is left", || commands(&grid).is_empty());
}

#[test]
fn no_command_outlives_a_program_that_is_killed() {
    let grid = Grid::new();
    let script = format!("{FOREVER} & {FOREVER}");
    let run = exec(&grid, &script).task_arg("shell", "true").input("x\n").start();
    wait::until("the command runs", || commands(&grid).len() == 3);
    run.signal(Signal::SIGKILL);
    wait::until("nothing is left", || grid.processes().is_empty());
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
    let grid = Grid::new();
    let script = format!("setsid {FOREVER} & {FOREVER}");
    exec(&grid, &script)
        .task_arg("shell", "true")
        .task_arg("timeout", "0.5")
        .input("x\n")
        .finish()
        .expect(1)
        .expect_counts(1, 0, 1);
    wait::until("no command is left", || commands(&grid).is_empty());
    assert!(grid.failed("failed")[0].message.contains("`timeout`"));
}

#[test]
fn a_command_that_is_not_there_is_said_before_anything_runs() {
    let grid = Grid::new();
    let run = exec(&grid, "no-such-command --option").input("x\n").finish().expect(2);
    assert!(run.stderr.contains("there is no command `no-such-command` in PATH"), "{}", run.stderr);
}
