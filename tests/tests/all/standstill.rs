//! Runs in which nothing ends for a while: they say what they wait for.

use simplegrid_tests::{Grid, numbered};

#[test]
fn a_run_whose_record_takes_long_says_which_record_and_where() {
    let grid = Grid::new();
    let mut run = grid.run("hostile").task_arg("side-log", grid.path("log")).start();
    run.write(format!("first\n{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    run.wait_for_stderr("warning: nothing has ended for 10s: record 2 is at slot ");
    run.wait_for_stderr(" of local");
    grid.open_gate("gate");
    let run = run.finish().expect(0).expect_counts(2, 2, 0);
    assert_eq!(run.stderr.matches("nothing has ended").count(), 1, "{}", run.stderr);
}

#[test]
fn a_master_without_nodes_says_that_it_waits_for_one() {
    let grid = Grid::new();
    let master = grid.master().args("-q --wait-nodes 40s").input("a\n").start();
    master.wait_for_stderr("nothing has ended for 10s: the run has no node");
    let _slave = grid.slave("echo");
    assert_eq!(master.wait().expect(0).text(), "a\n");
}

#[test]
fn a_run_whose_output_is_not_read_says_so_however_much_there_is() {
    let grid = Grid::new();
    let inputs = [numbered("little more than a pipe takes ", 20_000), numbered(&"x".repeat(1000), 20_000)];
    let start = |input| grid.run("echo").arg("-k").input(input).paged().start();
    let runs = inputs.each_ref().map(start);
    for (mut run, input) in runs.into_iter().zip(inputs) {
        run.wait_for_stderr("nothing has ended for 10s: the reader of the output takes no more rows");
        run.read_stdout();
        assert!(run.wait().expect(0).text() == input, "the output differs from the input");
    }
}

#[test]
fn a_run_that_waits_for_input_says_nothing() {
    let grid = Grid::new();
    let mut idle = grid.run("echo").start();
    idle.write("first\n");
    idle.wait_for_lines(1);
    // Another run is as old when it has said that it waits.
    let mut busy = grid.run("hostile").start();
    busy.write(format!("{}\n", grid.gate("gate")));
    busy.wait_for_stderr("nothing has ended for 10s");
    grid.open_gate("gate");
    busy.finish().expect(0);
    let idle = idle.finish().expect(0);
    assert!(!idle.stderr.contains("nothing has ended"), "{}", idle.stderr);
}

#[test]
fn a_slave_whose_workers_end_nothing_says_so_in_its_log() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let mut master = grid.master().start();
    master.write(format!("{}\n", grid.gate("gate")));
    slave.wait_for_stderr("warning: nothing has ended for 10s: workers are busy slot=");
    grid.open_gate("gate");
    master.finish().expect(0);
}
