//! The registry is lost, or someone meddles with it: what runs goes on.

use std::fs;

use simplegrid_tests::{Grid, numbered, wait};

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

#[test]
fn a_registry_that_is_none_is_named() {
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
