//! Slaves and masters that are killed or stopped between a commit and its acknowledgement: every row is there
//! once (G7).

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, Dice, Grid, Proxy, Slave, Way, numbered, wait};

use super::place::{self, Place};

/// How many slaves are killed in a run.
const KILLS: usize = 24;

/// What a slave says about records that were in the sink already.
const REPEATED: &str = "records of earlier attempts were in the sink already";

fn sinking<'g>(grid: &'g Grid, place: &Place<'_>, task: &str) -> Call<'g> {
    grid.slave_call(task).arg("--sink").arg(place.sink("found"))
}

/// A slave that masters reach through a proxy, at another address of this machine.
fn behind_proxy(call: Call<'_>) -> (Slave, Proxy) {
    let slave = Slave::start(call.args("--advertise 127.0.0.2"));
    let address = |host: [u8; 4]| SocketAddr::from((host, slave.port()));
    let proxy =
        Proxy::start(address([127, 0, 0, 2]), address([127, 0, 0, 1])).expect("the port is free there, too");
    (slave, proxy)
}

/// Records that take a millisecond each, so that every batch has few of them.
fn slow(count: usize) -> String {
    numbered("sleep 1 ", count)
}

#[test]
fn slaves_that_are_killed_at_any_moment_leave_every_row_once() {
    let grid = Grid::new();
    for (seed, place) in place::with_files(&grid).iter().enumerate() {
        let start = || Slave::start(sinking(&grid, place, "hostile"));
        let mut slaves = [start(), start()];
        let mut master = grid.master().args("--reallocate-every 200ms --wait-nodes 30s").start();
        let mut dice = Dice::new(seed as u64);
        let mut input = String::new();
        for kill in 0..KILLS {
            let part = numbered(&format!("sleep 1 {kill} "), 300);
            master.write(&part);
            input += &part;
            wait::until_the_next_strike(Duration::from_millis(dice.between(20, 160) as u64));
            let victim = dice.roll(2);
            slaves[victim].signal(Signal::SIGKILL);
            slaves[victim] = start();
        }
        let records = input.lines().count() as u64;
        let master = master.finish().expect(0).expect_counts(records, records, 0);
        assert!(master.count("retried") > 0, "{}: no kill has met a record: {}", place.name(), master.stderr);
        place.expect_once("found", "line", input.lines().map(str::to_owned));
    }
}

#[test]
fn rows_whose_acknowledgement_was_lost_are_not_inserted_again() {
    let grid = Grid::new();
    for place in place::with_files(&grid) {
        let gate = format!("lost-{}", place.name());
        let noting = || sinking(&grid, &place, "hostile").task_arg("side-log", grid.path("log"));
        let (first, proxy) = behind_proxy(noting());
        let mut master = grid.master().args("--reallocate-every 200ms --wait-nodes 30s").start();
        let input = format!("{}\n{}", grid.gate(&gate), numbered("", 3000));
        master.write(&input);
        master.close_input();
        grid.wait_at_gate(&gate, 1);
        // From now on the master does not hear about commits.
        proxy.stall(&[Way::ToMaster]);
        grid.open_gate(&gate);
        let is_there = |record: &str| place.values("found", "line").contains_key(record);
        wait::until("the record is committed", || is_there(&grid.gate(&gate)));
        first.signal(Signal::SIGKILL);
        drop(proxy);
        let second = Slave::start(noting());
        master.wait().expect(0).expect_counts(3001, 3001, 0);
        second.wait_for_stderr(REPEATED);
        place.expect_once("found", "line", input.lines().map(str::to_owned));
    }
}

#[test]
fn sums_whose_acknowledgement_was_lost_are_not_added_again() {
    let grid = Grid::new();
    for place in place::with_files(&grid) {
        let (first, proxy) = behind_proxy(sinking(&grid, &place, "word-count").args("-m 1"));
        let mut master = grid.master().args("--reallocate-every 200ms --wait-nodes 30s").start();
        master.wait_for_stderr("rows go to");
        // From now on an acknowledgement takes so long that the slave is gone before it arrives.
        proxy.delay(Duration::from_secs(3));
        // Some of the records, which make one sum. They run again with the others, in another sum.
        master.write("word\n".repeat(10));
        wait::until("a sum is committed", || place.count("found") > 0);
        first.signal(Signal::SIGKILL);
        drop(proxy);
        let second = Slave::start(sinking(&grid, &place, "word-count"));
        master.write("word\n".repeat(990));
        master.finish().expect(0).expect_counts(1000, 1000, 0);
        second.wait_for_stderr(REPEATED);
        place.wait_for_complete_files("found");
        assert_eq!(place.sum("found", "count"), 1000, "{}", place.name());
    }
}

#[test]
fn a_slave_that_was_stopped_and_commits_late_adds_nothing() {
    let grid = Grid::new();
    for place in place::with_files(&grid) {
        let gate = format!("gate-{}", place.name());
        let noting = || sinking(&grid, &place, "hostile").task_arg("side-log", grid.path("log")).args("-m 1");
        let (first, proxy) = behind_proxy(noting());
        let mut master = grid.master().args("--reallocate-every 200ms --wait-nodes 30s").start();
        grid.wait_for_state(first.port(), "reserved");
        let record = grid.gate(&gate);
        master.write(format!("{record}\n"));
        grid.wait_at_gate(&gate, 1);
        // Its worker goes on, but the slave does not read what it has done. The cable is cut for a while, so
        // that the slave learns late that its master has gone on without it.
        first.signal(Signal::SIGSTOP);
        proxy.stall(&[Way::ToMaster, Way::ToSlave]);
        let second = Slave::start(noting());
        grid.wait_at_gate(&gate, 2);
        grid.open_gate(&gate);
        master.finish().expect(0).expect_counts(1, 1, 0);
        assert_eq!(place.count("found"), 1, "{}", place.name());
        first.signal(Signal::SIGCONT);
        // Whether it commits before it learns that its master is gone is a matter of chance; in `late.rs` it
        // is not.
        first.wait_for_stderr("is lost");
        place.expect_once("found", "line", std::iter::once(record));
        drop(second);
    }
}

#[test]
fn a_run_that_is_killed_again_and_again_and_goes_on_leaves_every_row_once() {
    let grid = Grid::new();
    let input = slow(4000);
    grid.write("input", &input);
    for (seed, place) in place::with_files(&grid).iter().enumerate() {
        let name = place.name();
        let files = format!("-o out-{name} --failed failed-{name} --journal journal-{name} input");
        let start = || grid.run("hostile").arg("--sink").arg(place.sink("found")).args(&files).start();
        let mut dice = Dice::new(seed as u64);
        for kill in 0..10 {
            let before = place.count("found");
            let mut run = start();
            wait::until("rows are there", || place.count("found") > before || !run.is_running());
            wait::until_the_next_strike(Duration::from_millis(dice.roll(120) as u64));
            assert!(run.is_running(), "{name}: run {kill} was over before it was killed: {}", run.stderr());
            run.signal(Signal::SIGKILL);
            run.wait();
        }
        start().wait().expect(0).expect_counts(4000, 4000, 0);
        place.expect_once("found", "line", input.lines().map(str::to_owned));
        assert!(grid.read(&format!("out-{name}")).is_empty(), "the rows are not in the output");
        assert_eq!(place.ledger_pages(), 0, "{name}: the run is over");
        start().wait().expect(0);
        place.expect_once("found", "line", input.lines().map(str::to_owned));
    }
}

#[test]
fn a_master_that_is_killed_and_goes_on_finds_what_its_slaves_have_committed() {
    let grid = Grid::new();
    let input = slow(4000);
    grid.write("input", &input);
    for (seed, place) in place::with_files(&grid).iter().enumerate() {
        let name = place.name();
        let slaves = [0, 1].map(|_| Slave::start(sinking(&grid, place, "hostile")));
        let files = format!("-o out-{name} --journal journal-{name} --wait-nodes 30s input");
        let start = || grid.master().args(&files).start();
        let mut dice = Dice::new(seed as u64);
        for _ in 0..6 {
            let before = place.count("found");
            let mut master = start();
            wait::until("rows are there", || place.count("found") > before || !master.is_running());
            wait::until_the_next_strike(Duration::from_millis(dice.roll(120) as u64));
            assert!(master.is_running(), "{name}: it was over before it was killed: {}", master.stderr());
            master.signal(Signal::SIGKILL);
            master.wait();
        }
        start().wait().expect(0).expect_counts(4000, 4000, 0);
        place.expect_once("found", "line", input.lines().map(str::to_owned));
        drop(slaves);
    }
}

#[test]
fn a_run_that_is_ended_before_it_has_read_anything_is_not_over() {
    let grid = Grid::new();
    for place in place::with_files(&grid) {
        let name = place.name();
        let slave = Slave::start(sinking(&grid, &place, "echo"));
        let files = format!("-o out-{name} --journal journal-{name}");
        let master = grid.master().args(&files).start();
        grid.wait_for_state(slave.port(), "reserved");
        slave.wait_for_stderr("serving");
        master.signal(Signal::SIGTERM);
        master.wait().expect(143);
        grid.master().args(&files).input(numbered("", 10)).finish().expect(0).expect_counts(10, 10, 0);
        assert_eq!(place.count("found"), 10, "{name}");
    }
}
