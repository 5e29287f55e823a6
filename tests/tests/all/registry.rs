//! The registry is lost, or another program meddles with it: what runs goes on.

use std::fs;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use simplegrid_tests::{Grid, Slave, numbered, wait};

/// All files of the registry: SQLite keeps a journal beside it.
fn registry_files(grid: &Grid) -> Vec<std::path::PathBuf> {
    ["grid.db", "grid.db-wal", "grid.db-shm"]
        .map(|name| grid.path(name))
        .into_iter()
        .filter(|path| path.exists())
        .collect()
}

#[test]
fn a_run_goes_on_without_the_registry() {
    let grid = Grid::new();
    let _slaves = [grid.noting_slave(), grid.noting_slave()];
    let mut master = grid.master().arg("-k").start();
    master.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    for file in registry_files(&grid) {
        fs::remove_file(file).expect("it can be removed");
    }
    grid.open_gate("gate");
    master.write(numbered("record ", 1000));
    master.finish().expect(0).expect_counts(1001, 1001, 0);
}

#[test]
fn a_slave_enters_its_row_again_if_the_registry_was_removed() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    for file in registry_files(&grid) {
        fs::remove_file(file).expect("it can be removed");
    }
    wait::until("the row is there again", || grid.state(slave.port()) == "enabled");
    assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
}

/// How a file is replaced that others have open: in words, and in deeds.
type Replacement = (&'static str, fn(&Grid));

/// What can become of a file that others have open.
const REPLACEMENTS: [Replacement; 5] = [
    ("removed, but for what SQLite keeps beside it", |grid| remove(grid, "grid.db")),
    ("removed", |grid| {
        registry_files(grid).iter().for_each(|file| fs::remove_file(file).unwrap_or_default())
    }),
    ("robbed of its journal", |grid| remove(grid, "grid.db-wal")),
    ("emptied", |grid| fs::write(grid.path("grid.db"), "").expect("it can be written")),
    ("replaced by a new one", |grid| {
        let new = format!("sqlite:{}", grid.path("new.db").display());
        grid.node_manager().args("list --registry").arg(new).finish().expect(0);
        fs::rename(grid.path("new.db"), grid.path("grid.db")).expect("it can be renamed");
    }),
];

fn remove(grid: &Grid, name: &str) {
    fs::remove_file(grid.path(name)).expect("it can be removed");
}

#[test]
fn a_registry_that_is_replaced_while_masters_start_holds_no_run_up() {
    for (how, replace) in REPLACEMENTS {
        let grid = Grid::new();
        let slaves = [grid.slave("echo"), grid.slave("echo")];
        for _ in 0..3 {
            let mut early = grid.master().args("-m 1").start();
            replace(&grid);
            let late = grid.master().args("-m 1 --wait-nodes 30s").input(numbered("late ", 100)).finish();
            assert_eq!(late.status, 0, "{how}: {}", late.stderr);
            late.expect_counts(100, 100, 0);
            early.write(numbered("early ", 100));
            let early = early.finish();
            assert_eq!(early.status, 0, "{how}: {}", early.stderr);
            early.expect_counts(100, 100, 0);
            for slave in &slaves {
                wait::until("the slave is free again", || grid.state(slave.port()) == "enabled");
            }
        }
    }
}

#[test]
fn a_registry_that_is_replaced_under_a_master_that_waits_for_nodes_is_looked_into_again() {
    for (how, replace) in REPLACEMENTS {
        let grid = Grid::new();
        let master = grid.master().args("--wait-nodes 40s").input("a\n").start();
        wait::until("the master has looked", || grid.path("grid.db-wal").exists());
        replace(&grid);
        let _slave = grid.slave("echo");
        let master = master.finish();
        assert_eq!((master.status, master.text()), (0, "a\n".to_owned()), "{how}: {}", master.stderr);
    }
}

#[test]
fn a_file_that_is_not_a_registry_is_named() {
    let grid = Grid::new();
    let text = grid.write("text.db", "this is no database, whatever its name says\n".repeat(100));
    let url = format!("sqlite:{}", text.display());
    let calls = [grid.master().input("a\n"), grid.slave_call("echo"), grid.node_manager().arg("list")];
    for call in calls {
        let finished = call.arg("--registry").arg(&url).finish();
        assert!([2, 4].contains(&finished.status), "{}", finished.stderr);
        assert_eq!(finished.errors().len(), 1, "{}", finished.stderr);
        assert!(finished.errors()[0].contains("text.db"), "{}", finished.stderr);
    }
}

#[test]
fn many_slaves_can_start_at_once() {
    let grid = Grid::new();
    let starting: Vec<_> = (0..6).map(|_| grid.slave_call("echo").args("-m 1").start()).collect();
    starting.iter().for_each(|slave| slave.wait_for_stderr("listening on "));
    assert_eq!(grid.nodes().iter().filter(|node| node["state"] == "enabled").count(), 6);
    let master = grid.master().args("-m -1 -k").input(numbered("record ", 20_000)).finish().expect(0);
    assert!(master.text() == numbered("record ", 20_000), "the output differs from the input");
}

/// Changes the registry as another program would.
fn meddle(grid: &Grid, sql: &str) {
    let registry = Connection::open(grid.path("grid.db")).expect("the file is there");
    registry.busy_timeout(wait::PATIENCE).expect("a timeout can be set");
    registry.execute_batch(sql).expect("the statement is right");
}

#[test]
fn the_node_of_a_dead_master_is_free_when_its_lease_is_over() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let port = slave.port();
    let mut first = grid.master().start();
    first.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    // The slave cannot see that its master dies, so only time frees the row.
    slave.signal(Signal::SIGSTOP);
    first.signal(Signal::SIGKILL);
    first.wait().expect(-9);
    let second = grid.master().args("--wait-nodes 60s").input("a\n").start();
    let lease_until = grid.column(port, "lease_until").as_i64().expect("the row is reserved");
    let now = || std::time::UNIX_EPOCH.elapsed().expect("the clock is right").as_secs() as i64;
    wait::until("the lease is over", || now() > lease_until);
    assert!(second.stdout().is_empty(), "the slave stands still");
    slave.signal(Signal::SIGCONT);
    assert_eq!(second.wait().expect(0).text(), "a\n");
}

#[test]
fn a_reservation_whose_master_never_came_ends_with_its_lease() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    meddle(
        &grid,
        "UPDATE nodes SET state = 'reserved', reserved_by = 'nobody', lease_until = 1 + unixepoch()",
    );
    assert_eq!(grid.state(slave.port()), "reserved");
    assert_eq!(grid.master().args("--wait-nodes 40s").input("a\n").finish().expect(0).text(), "a\n");
    grid.wait_for_state(slave.port(), "enabled");
}

#[test]
fn a_node_that_a_master_does_not_know_it_has_is_given_back() {
    let grid = Grid::new();
    let (first, second) = (grid.noting_slave(), grid.noting_slave());
    let mut master = grid.master().args("-m 1").start();
    master.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    let held = if grid.state(first.port()) == "reserved" { &first } else { &second };
    let other = if held.port() == first.port() { second.port() } else { first.port() };
    // As if the answer to a reservation had been lost.
    meddle(
        &grid,
        &format!(
            "UPDATE nodes SET state = 'reserved', lease_until = 600 + unixepoch(),
                 reserved_by = (SELECT max(reserved_by) FROM nodes) WHERE port = {other}"
        ),
    );
    grid.wait_for_state(other, "enabled");
    assert_eq!(grid.state(held.port()), "reserved");
    grid.open_gate("gate");
    master.finish().expect(0).expect_counts(1, 1, 0);
}

#[test]
fn a_slave_that_is_killed_in_a_run_takes_part_again_when_it_is_started_again() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let port = slave.port().to_string();
    let mut master = grid.master().args("-k --wait-nodes 40s").start();
    master.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    slave.signal(Signal::SIGKILL);
    slave.into_process().wait().expect(-9);
    let _again =
        Slave::start(grid.slave_call("hostile").task_arg("side-log", grid.path("log")).arg("-p").arg(port));
    grid.wait_at_gate("gate", 2);
    grid.open_gate("gate");
    master.write(numbered("record ", 100));
    let master = master.finish().expect(0).expect_counts(101, 101, 0);
    assert!(master.summary().contains("2 nodes used, 1 lost"), "{}", master.summary());
}

#[test]
fn the_name_of_a_live_slave_is_refused_to_another() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    // Another address has the port free, but the row is the same.
    let second = grid.slave_call("echo").args("--listen 127.0.0.3 --advertise 127.0.0.1 -p");
    let second = second.arg(slave.port().to_string()).finish();
    assert!([2, 4].contains(&second.status), "{}", second.stderr);
    assert!(second.errors()[0].contains(&format!("process {}", slave.pid())), "{}", second.stderr);
    assert_eq!(grid.state(slave.port()), "enabled");
    assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
}

#[test]
fn slaves_that_are_silent_are_pruned_and_those_in_use_stay() {
    let grid = Grid::new();
    let (used, dead) = (grid.noting_slave(), grid.noting_slave());
    let dead_port = dead.port();
    grid.manage(dead_port, "disable").finish().expect(0);
    let mut master = grid.master().start();
    master.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    dead.signal(Signal::SIGKILL);
    dead.into_process().wait().expect(-9);
    wait::until("the silent row is pruned", || {
        let pruned = grid.node_manager().args("prune --silent-for 0s").finish().expect(0);
        assert!(!pruned.text().contains(&used.port().to_string()), "{}", pruned.text());
        grid.state(dead_port) == "absent"
    });
    assert_eq!(grid.state(used.port()), "reserved");
    grid.open_gate("gate");
    master.finish().expect(0).expect_counts(1, 1, 0);
}

#[test]
fn a_live_slave_that_is_pruned_comes_back() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    meddle(&grid, "UPDATE nodes SET last_seen = 1");
    grid.node_manager().args("prune").finish().expect(0);
    grid.wait_for_state(slave.port(), "enabled");
    assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
}

#[test]
fn a_registry_that_is_locked_holds_nothing_up_but_reservations() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let mut master = grid.master().arg("-k").start();
    master.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    let lock = Connection::open(grid.path("grid.db")).expect("the file is there");
    lock.busy_timeout(wait::PATIENCE).expect("a timeout can be set");
    lock.execute_batch("BEGIN EXCLUSIVE").expect("it can be locked");
    slave.wait_for_stderr("the registry fails");
    grid.open_gate("gate");
    master.write(numbered("record ", 1000));
    master.wait_for_lines(1001);
    drop(lock);
    slave.wait_for_stderr("the registry is back");
    master.finish().expect(0).expect_counts(1001, 1001, 0);
    grid.wait_for_state(slave.port(), "enabled");
}

#[test]
fn runs_that_are_over_before_all_nodes_have_joined_leave_them_free() {
    let grid = Grid::new();
    let slaves: Vec<_> = (0..4).map(|_| grid.slave_call("echo").args("-m 1").start()).collect();
    let slaves: Vec<_> = slaves.into_iter().map(Slave::when_ready).collect();
    for _ in 0..15 {
        grid.master().args("-m -1").input("one record\n").finish().expect(0);
        let states: Vec<_> = slaves.iter().map(|slave| grid.state(slave.port())).collect();
        assert!(states.iter().all(|state| state == "enabled"), "{states:?}");
    }
}
