//! What slaves count agrees with what their masters count: in a run that loses no slave and no link, the sums
//! over the slaves are the figures of the summary.

use nix::sys::signal::Signal;
use simplegrid_tests::{Finished, Grid, Slave, numbered, send_lines};

use crate::sinks::place;

/// What the slaves have counted, when they have ended: records done and failed.
#[track_caller]
fn counted(grid: &Grid, slaves: impl IntoIterator<Item = Slave>) -> [u64; 2] {
    let mut sums = [0; 2];
    for slave in slaves {
        let port = slave.port();
        slave.signal(Signal::SIGTERM);
        let stderr = slave.into_process().wait().expect(143).stderr;
        let last = stderr.lines().last().unwrap_or_default();
        assert!(last.contains("this slave has ended"), "{stderr}");
        for (sum, name) in sums.iter_mut().zip(["done", "failed"]) {
            let figure = last.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            let figure: u64 = figure.and_then(|figure| figure.parse().ok()).expect("the line has the figure");
            assert_eq!(grid.column(port, name).as_u64(), Some(figure), "the row says the same: {last}");
            *sum += figure;
        }
    }
    sums
}

/// Ends the slaves, and compares their figures with those of the masters.
#[track_caller]
fn expect_agreement(grid: &Grid, slaves: impl IntoIterator<Item = Slave>, masters: &[Finished]) {
    let told = ["done", "failed"].map(|word| masters.iter().map(|master| master.count(word)).sum::<u64>());
    assert_eq!(counted(grid, slaves), told, "records done and failed");
}

/// Records of which every tenth is this one.
fn every_tenth(record: &str, count: usize) -> String {
    (0..count).map(|number| format!("{}\n", if number % 10 == 3 { record } else { "sleep 0" })).collect()
}

#[test]
fn records_that_are_tried_again_count_once_whatever_becomes_of_them() {
    let grid = Grid::new();
    let log = grid.path("log");
    let slaves = [0, 1].map(|_| Slave::start(grid.slave_call("hostile").task_arg("side-log", &log)));
    let retried = |record: &str, count: usize| {
        grid.master().args("--retries 1 --failed failed").input(every_tenth(record, count)).finish()
    };
    let masters = [
        retried("retry-once", 200).expect(0).expect_counts(200, 200, 0),
        retried("retry", 100).expect(1).expect_counts(100, 90, 10),
        retried("panic", 100).expect(1).expect_counts(100, 90, 10),
        retried("abort", 40).expect(1).expect_counts(40, 36, 4),
    ];
    expect_agreement(&grid, slaves, &masters);
}

#[test]
fn records_that_are_rejected_are_failed_at_once() {
    let grid = Grid::new();
    let slaves = [grid.slave("hostile"), grid.slave("hostile")];
    let call = grid.master().args("--failed failed").input(every_tenth("reject", 500));
    let master = call.finish().expect(1).expect_counts(500, 450, 50);
    expect_agreement(&grid, slaves, &[master]);
}

#[test]
fn records_that_are_held_count_when_they_are_finished() {
    let grid = Grid::new();
    let slaves = [grid.slave("word-count"), grid.slave("word-count")];
    let runs = [1, 3000].map(|records| grid.master().input(numbered("word ", records)).finish().expect(0));
    expect_agreement(&grid, slaves, &runs);
}

#[test]
fn records_that_a_sink_refuses_are_failed_and_not_done() {
    for (index, place) in place::all(&Grid::new()).iter().enumerate() {
        let grid = Grid::new();
        let text = if place.name() == "mysql" { "VARCHAR(20)" } else { "TEXT" };
        place.run(&format!("CREATE TABLE picky (line {text} CHECK (line <> 'sleep 1'))"));
        let start = || Slave::start(grid.slave_call("hostile").arg("--sink").arg(place.sink("picky")));
        let slaves = [start(), start()];
        let input = every_tenth("sleep 1", 300) + &every_tenth("reject", 50) + &every_tenth("retry", 20);
        let failed = format!("--retries 1 --failed failed{index}");
        let master = grid.master().args(&failed).input(input).finish().expect(1).expect_counts(370, 333, 37);
        expect_agreement(&grid, slaves, &[master]);
    }
}

#[test]
fn lines_count_like_records() {
    let grid = Grid::new();
    let slave = Slave::start(grid.slave_call("hostile").arg("--line-protocol"));
    send_lines(
        slave.port(),
        every_tenth("retry", 30) + &every_tenth("reject", 20) + &numbered("sleep 0 ", 50),
    );
    slave.wait_for_stderr("100 records read, 95 done, 5 failed");
    grid.wait_for_state(slave.port(), "enabled");
    assert_eq!(counted(&grid, [slave]), [95, 5]);
}
