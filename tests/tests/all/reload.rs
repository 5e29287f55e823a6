//! A slave is given another build of its library while it works: nothing is lost, nothing runs twice, and a
//! file that cannot be used changes nothing.

use std::fs;

use nix::sys::signal::Signal;
use simplegrid_tests::{Finished, Grid, PluginBuild, Process, Slave, numbered, sha256, wait};

const OTHER_COLUMNS: &[&str] = &["record", "score", "build"];

fn slave(grid: &Grid) -> Slave {
    grid.slave(&grid.path("libstamp.so").display().to_string())
}

fn install(grid: &Grid, name: &str) {
    PluginBuild::new(name).version(name).install(grid, "libstamp.so");
}

fn reload(grid: &Grid, slave: &Slave) -> Finished {
    grid.manage(slave.port(), "reload").finish()
}

/// The records of rows, in order, and the builds that wrote them.
fn records_and_builds(rows: &[u8]) -> (Vec<String>, Vec<String>) {
    let text = String::from_utf8_lossy(rows);
    let cells = text.lines().filter_map(|row| row.rsplit_once(','));
    let (mut records, mut builds): (Vec<_>, Vec<_>) =
        cells.map(|(record, build)| (record.to_owned(), build.to_owned())).unzip();
    records.sort();
    builds.sort();
    builds.dedup();
    (records, builds)
}

/// Waits until a run has rows of a build.
#[track_caller]
fn wait_for_rows_of(master: &mut Process, build: &str, read: &mut Vec<String>) {
    wait::until(&format!("rows of the build {build} are written"), || {
        let more: Vec<_> = (read.len()..read.len() + 200).map(|number| format!("r{number}")).collect();
        master.write(more.join("\n") + "\n");
        read.extend(more);
        records_and_builds(&master.stdout()).1.iter().any(|there| there == build)
    });
}

#[test]
fn a_library_that_is_rebuilt_and_reloaded_ten_times_in_a_run_loses_and_repeats_nothing() {
    let grid = Grid::new();
    install(&grid, "b0");
    let slave = slave(&grid);
    let mut master = grid.master().start();
    let mut read = Vec::new();
    wait_for_rows_of(&mut master, "b0", &mut read);
    for number in 1..=10 {
        let name = format!("b{number}");
        install(&grid, &name);
        let reloaded = reload(&grid, &slave).expect(0);
        assert!(reloaded.stderr.contains(&format!("version {name}")), "{}", reloaded.stderr);
        wait_for_rows_of(&mut master, &name, &mut read);
        let shown = sha256(&grid.path("libstamp.so"));
        wait::until("the row shows the build", || grid.column(slave.port(), "file_sha256") == shown.as_str());
    }
    let master = master.finish().expect(0);
    let (records, builds) = records_and_builds(&master.stdout);
    read.sort();
    assert!(records == read, "{} rows of {} records", records.len(), read.len());
    assert_eq!(builds.len(), 11, "{builds:?}");
    assert_eq!((master.count("retried"), master.count("failed")), (0, 0), "{}", master.summary());
    assert!(master.summary().contains("1 node used, 0 lost"), "{}", master.summary());
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing_and_the_reason_is_said() {
    let grid = Grid::new();
    install(&grid, "old");
    let slave = grid.slave_call(&grid.path("libstamp.so").display().to_string()).args("--start-timeout 2s");
    let slave = Slave::start(slave);
    let before = slave.workers(&grid.processes());
    let refused = |why: &str| {
        let refused = reload(&grid, &slave).expect(4);
        assert!(
            refused.stderr.contains("was not reloaded") && refused.stderr.contains(why),
            "{}",
            refused.stderr
        );
        slave.wait_for_stderr(why);
    };
    grid.write("new", "no library");
    fs::rename(grid.path("new"), grid.path("libstamp.so")).unwrap();
    refused("libstamp.so");
    fs::remove_file(grid.path("libstamp.so")).unwrap();
    refused("there is no");
    PluginBuild::new("new").columns(OTHER_COLUMNS).install(&grid, "libstamp.so");
    refused("column 2 is");
    PluginBuild::new("new").hanging().install(&grid, "libstamp.so");
    refused("did not end within 2s");
    assert_eq!(slave.workers(&grid.processes()), before, "the old workers stay");
    let run = grid.master().input(numbered("", 100)).finish().expect(0);
    assert_eq!(records_and_builds(&run.stdout).1, ["old"]);
}

#[test]
fn records_that_are_held_are_finished_before_their_worker_makes_room() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let mut master = grid.master().start();
    for round in 0..5 {
        master.write(
            (0..50).map(|number| format!("hold {round}-{number}\nok {round}-{number}\n")).collect::<String>(),
        );
        wait::until("some have run", || grid.side_log("log").count(&format!("ok {round}-0")) > 0);
        reload(&grid, &slave).expect(0);
    }
    let master = master.finish().expect(0).expect_counts(500, 500, 0);
    assert_eq!(master.count("retried"), 0, "{}", master.summary());
    let log = grid.side_log("log");
    assert_eq!((log.len(), log.count("hold 0-0")), (500, 1), "nothing has run twice");
}

#[test]
fn a_worker_that_is_killed_in_a_reload_costs_its_record_one_more_try() {
    let grid = Grid::new();
    install(&grid, "old");
    let slave = slave(&grid);
    let mut master = grid.master().start();
    let gate = grid.path("gate");
    master.write(format!("until {}\n", gate.display()));
    slave.wait_for_stderr("serving");
    let old = slave.workers(&grid.processes());
    install(&grid, "new");
    let reloading = grid.manage(slave.port(), "reload").start();
    slave.wait_for_stderr("workers change over");
    old.iter().for_each(|worker| worker.signal(Signal::SIGKILL));
    grid.write("gate", "");
    reloading.finish().expect(0);
    let master = master.finish().expect(0).expect_counts(1, 1, 0);
    assert_eq!(records_and_builds(&master.stdout).1, ["new"]);
}

#[test]
fn a_run_that_is_pinned_to_a_build_is_not_given_another() {
    let grid = Grid::new();
    install(&grid, "old");
    let slave = slave(&grid);
    let mut read = Vec::new();
    let mut master = grid.master().args("--same-version").start();
    wait_for_rows_of(&mut master, "old", &mut read);
    install(&grid, "new");
    let refused = reload(&grid, &slave).expect(4);
    assert!(refused.stderr.contains("pinned to one build"), "{}", refused.stderr);
    let master = master.finish().expect(0);
    assert_eq!(records_and_builds(&master.stdout).1, ["old"]);
    grid.wait_for_state(slave.port(), "enabled");
    reload(&grid, &slave).expect(0);
    let master = grid.master().args("--same-version").input("a\n").finish().expect(0);
    assert_eq!(master.text(), "a,new\n");
}

#[test]
fn all_slaves_are_reloaded_one_after_the_other_up_to_the_first_that_refuses() {
    let grid = Grid::new();
    install(&grid, "old");
    let mut slaves = [slave(&grid), slave(&grid), slave(&grid)];
    slaves.sort_by_key(|slave| slave.port());
    let all = || grid.node_manager().args("reload --all").finish();
    install(&grid, "new");
    assert_eq!(all().expect(0).stderr.matches("has reloaded its library").count(), 3);
    PluginBuild::new("new").columns(OTHER_COLUMNS).install(&grid, "libstamp.so");
    let refused = all().expect(4);
    assert!(
        refused.stderr.contains("0 of 3 slaves were reloaded before, and 2 were not asked"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains(&format!(":{} was not reloaded", slaves[0].port())),
        "{}",
        refused.stderr
    );
    let named = grid.node_manager().args("-p 7 reload --all").finish().expect(2);
    assert!(named.stderr.contains("leave out --port"), "{}", named.stderr);
}

#[test]
fn reloads_that_come_together_are_made_one_after_the_other_and_a_disabled_row_stays_so() {
    let grid = Grid::new();
    install(&grid, "old");
    let slave = slave(&grid);
    grid.manage(slave.port(), "disable").finish().expect(0);
    install(&grid, "new");
    let reloads: Vec<_> = (0..3).map(|_| grid.manage(slave.port(), "reload").start()).collect();
    for reload in reloads {
        let reloaded = reload.finish().expect(0);
        assert!(reloaded.stderr.contains("version new"), "{}", reloaded.stderr);
    }
    assert_eq!(grid.state(slave.port()), "disabled");
}

#[test]
fn a_slave_that_ends_or_has_ended_is_not_reloaded() {
    let grid = Grid::new();
    install(&grid, "old");
    let slave = slave(&grid);
    let (port, gate) = (slave.port(), grid.path("gate"));
    let mut master = grid.master().start();
    master.write(format!("until {}\n", gate.display()));
    slave.wait_for_stderr("serving");
    install(&grid, "new");
    let reloading = grid.manage(port, "reload").start();
    slave.wait_for_stderr("workers change over");
    slave.signal(Signal::SIGTERM);
    let interrupted = reloading.finish().expect(4);
    assert!(interrupted.stderr.contains("it is shutting down"), "{}", interrupted.stderr);
    grid.write("gate", "");
    master.finish().expect(0).expect_counts(1, 1, 0);
    slave.into_process().wait().expect(143);
    let refused = grid.manage(port, "reload").finish().expect(4);
    assert!(refused.stderr.contains("has ended"), "{}", refused.stderr);
}

#[test]
fn equal_keys_stay_in_order_over_reloads() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let mut master = grid.master().args("--partition-by field:0").start();
    for round in 0..5 {
        let numbers = round * 400..(round + 1) * 400;
        master.write(numbers.map(|number| format!("k{},{number}\n", number % 7)).collect::<String>());
        wait::until("some have run", || grid.side_log("log").len() > round * 400);
        reload(&grid, &slave).expect(0);
    }
    let master = master.finish().expect(0).expect_counts(2000, 2000, 0);
    assert_eq!(master.count("retried"), 0, "{}", master.summary());
    let log = grid.side_log("log");
    assert_eq!(log.len(), 2000, "nothing has run twice");
    for key in 0..7 {
        let of_key = log.records().filter_map(|record| record.strip_prefix(&format!("k{key},")));
        let numbers: Vec<usize> = of_key.map(|number| number.parse().expect("it is a number")).collect();
        assert!(numbers.is_sorted(), "the key k{key} comes in order: {numbers:?}");
    }
}
