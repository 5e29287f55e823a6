//! All workers of a slave are of one build.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use simplegrid_tests::{Grid, PluginBuild, Slave, numbered, wait};

const OTHER_COLUMNS: &[&str] = &["record", "score", "build"];

fn slave(grid: &Grid, library: &Path) -> Slave {
    grid.slave(&library.display().to_string())
}

/// The builds that the rows name, without repetition.
fn builds(rows: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(rows);
    let mut builds: Vec<_> =
        text.lines().filter_map(|row| Some(row.rsplit_once(',')?.1.to_owned())).collect();
    builds.sort();
    builds.dedup();
    builds
}

#[test]
fn a_worker_restarted_after_its_library_was_replaced_is_of_the_old_build() {
    for name_is_removed in [false, true] {
        let grid = Grid::new();
        let library = PluginBuild::new("old").install(&grid, "libstamp.so");
        let slave = slave(&grid, &library);
        if name_is_removed {
            fs::remove_file(&library).unwrap();
        } else {
            PluginBuild::new("new").columns(OTHER_COLUMNS).install(&grid, "libstamp.so");
        }
        let before = slave.workers(&grid.processes());
        assert_eq!(before.len(), 2, "{before:?}");
        before.iter().for_each(|worker| worker.signal(Signal::SIGKILL));
        wait::until("both workers are replaced", || {
            let now = slave.workers(&grid.processes());
            now.len() == 2 && now.iter().all(|worker| !before.contains(worker))
        });
        let master = grid.master().arg("--header").input(numbered("", 2000)).finish().expect(0);
        assert_eq!(builds(&master.stdout), ["build", "old"], "removed: {name_is_removed}");
    }
}

#[test]
fn a_library_that_needs_its_directory_is_not_loaded_once_it_was_replaced() {
    let grid = Grid::new();
    let old = PluginBuild::new("old").linked_with("-Wl,-rpath,$ORIGIN/lib");
    let library = old.install(&grid, "libstamp.so");
    let slave = slave(&grid, &library);
    // The same bytes in another file are the same build.
    old.install(&grid, "libstamp.so");
    let before = slave.workers(&grid.processes());
    before[0].signal(Signal::SIGKILL);
    wait::until("a worker is replaced", || {
        let now = slave.workers(&grid.processes());
        now.len() == 2 && now.iter().all(|worker| *worker != before[0])
    });
    PluginBuild::new("new").linked_with("-Wl,-rpath,$ORIGIN/lib").install(&grid, "libstamp.so");
    slave.workers(&grid.processes())[0].signal(Signal::SIGKILL);
    let slave = slave.into_process().wait().expect(4);
    let said = slave.errors().join("\n");
    assert!(said.contains("was replaced since the start"), "{}", slave.stderr);
    assert!(said.contains(&library.display().to_string()) && !said.contains("/proc/self/fd"), "{said}");
}

#[test]
fn a_worker_does_not_start_on_a_library_that_was_overwritten_in_place() {
    let grid = Grid::new();
    let library = PluginBuild::new("old").install(&grid, "libstamp.so");
    let slave = slave(&grid, &library);
    let other = PluginBuild::new("new").install(&grid, "libother.so");
    fs::write(&library, fs::read(other).unwrap()).unwrap();
    slave.workers(&grid.processes()).iter().for_each(|worker| worker.signal(Signal::SIGKILL));
    let slave = slave.into_process().wait().expect(4);
    let said = slave.errors().join("\n");
    assert!(said.contains("was overwritten since the start"), "{}", slave.stderr);
    assert!(said.contains(&library.display().to_string()), "{said}");
}
