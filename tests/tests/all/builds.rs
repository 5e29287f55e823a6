//! A run is of one build: slaves whose tasks differ do not mix in it, and neither do the workers of a slave.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, Finished, Grid, PluginBuild, Process, Slave, numbered, sha256, wait};

const OTHER_COLUMNS: &[&str] = &["record", "score", "build"];

fn slave(grid: &Grid, library: &Path) -> Slave {
    grid.slave(&library.display().to_string())
}

fn slave_call<'g>(grid: &'g Grid, library: &Path) -> Call<'g> {
    grid.slave_call(&library.display().to_string())
}

fn run<'g>(grid: &'g Grid, library: &Path) -> Call<'g> {
    grid.run(&library.display().to_string())
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

fn times(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// Waits until a run has used a node and looked for others several times.
#[track_caller]
fn keep_busy_until_refused(master: &mut Process) {
    wait::until("a node is not used", || {
        master.write(numbered("busy ", 50));
        master.stderr().contains("is not used")
    });
    keep_busy(master);
}

/// Gives a run enough to do that it looks for nodes several times meanwhile.
fn keep_busy(master: &mut Process) {
    let rows = |master: &Process| times(&String::from_utf8_lossy(&master.stdout()), "\n");
    let before = rows(master);
    wait::until("more is done", || {
        master.write(numbered("more ", 50));
        rows(master) > before + 2000
    });
}

#[test]
fn slaves_with_other_columns_take_no_part_in_a_run() {
    let grid = Grid::new();
    let old = slave(&grid, &PluginBuild::new("old").install(&grid, "libold.so"));
    let new = PluginBuild::new("new").columns(OTHER_COLUMNS).install(&grid, "libnew.so");
    let new = slave(&grid, &new);
    let mut master = grid.master().args("--header -m -1 --reallocate-every 20ms").start();
    keep_busy_until_refused(&mut master);
    let master = master.finish().expect(0);
    let text = master.text();
    let header = text.lines().next().unwrap_or_default();
    let cells = |row: &str| times(row, ",");
    assert!(["record,build", "record,score,build"].contains(&header), "{header}");
    assert!(text.lines().all(|row| cells(row) == cells(header)), "rows of both builds in one output");
    assert!(master.summary().contains("1 node used, 0 lost"), "{}", master.summary());
    assert_eq!(times(&master.stderr, "is not used"), 1, "it is said once:\n{}", master.stderr);
    assert!(master.stderr.contains("column 2 is"), "which columns differ:\n{}", master.stderr);
    // Neither slave was reserved again and again.
    for slave in [&old, &new] {
        let log = slave.stderr();
        assert_eq!((times(&log, "serving "), times(&log, " is done")), (1, 1), "{log}");
    }
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

/// A library that finds others beside itself must be loaded by its name, so all that can be done is to
/// notice.
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

#[test]
fn a_grid_is_upgraded_slave_by_slave_while_a_run_goes_on() {
    let grid = Grid::new();
    let library = PluginBuild::new("old").install(&grid, "libstamp.so");
    let old = slave(&grid, &library);
    let mut master = grid.master().args("-m -1 --header --reallocate-every 20ms").start();
    let mut wait_for_rows_of = |build: &str| {
        wait::until(&format!("rows of the build {build} are written"), || {
            master.write(numbered("", 50));
            builds(&master.stdout()).iter().any(|there| there == build)
        });
    };
    wait_for_rows_of("old");
    PluginBuild::new("new").version("2").install(&grid, "libstamp.so");
    let new = slave(&grid, &library);
    wait_for_rows_of("new");
    old.signal(Signal::SIGTERM);
    old.into_process().wait().expect(143);
    PluginBuild::new("other").columns(OTHER_COLUMNS).install(&grid, "libstamp.so");
    let other = slave(&grid, &library);
    keep_busy(&mut master);
    let master = master.finish().expect(0);
    assert_eq!(master.count("read"), master.count("done"));
    assert!(master.summary().contains("2 nodes used, 0 lost"), "{}", master.summary());
    assert_eq!(builds(&master.stdout), ["build", "new", "old"]);
    // Its row says that it does not fit, so it was not even asked.
    assert!(!other.stderr().contains("serving"), "{}", other.stderr());
    drop(new);
}

#[test]
fn with_same_version_another_build_takes_no_part() {
    let grid = Grid::new();
    let old = slave(&grid, &PluginBuild::new("old").install(&grid, "libold.so"));
    let new = slave(&grid, &PluginBuild::new("new").version("2").install(&grid, "libnew.so"));
    // One that differs only in its file or version joins, unless it must not.
    let mut master = grid.master().args("-m -1").start();
    wait::until("both builds have written rows", || {
        master.write(numbered("", 50));
        builds(&master.stdout()).len() == 2
    });
    let master = master.finish().expect(0);
    assert!(master.summary().contains("2 nodes used"), "{}", master.summary());
    for slave in [&old, &new] {
        grid.wait_for_state(slave.port(), "enabled");
    }
    let mut master = grid.master().args("-m -1 --same-version --reallocate-every 20ms").start();
    keep_busy_until_refused(&mut master);
    let master = master.finish().expect(0);
    assert_eq!(builds(&master.stdout).len(), 1, "{:?}", builds(&master.stdout));
    assert_eq!(times(&master.stderr, "is not used"), 1, "{}", master.stderr);
    assert!(master.stderr.contains("--same-version"), "{}", master.stderr);
}

#[test]
fn expect_task_lets_only_slaves_with_that_file_take_part() {
    let grid = Grid::new();
    let old = PluginBuild::new("old").install(&grid, "libold.so");
    let new = PluginBuild::new("new").install(&grid, "libnew.so");
    let (_old, _new) = (slave(&grid, &old), slave(&grid, &new));
    for (name, library) in [("old", &old), ("new", &new)] {
        let master = grid.master().args("-m -1 --expect-task").arg(sha256(library));
        let master = master.input(numbered("", 3000)).finish().expect(0);
        assert_eq!(builds(&master.stdout), [name]);
        assert!(master.summary().contains("1 node used"), "{}", master.summary());
    }
    let nothing = grid.master().args("--wait-nodes 300ms --expect-task").arg("ab".repeat(32));
    let nothing = nothing.input("a\n").finish().expect(3);
    assert!(nothing.errors()[0].contains("2 nodes run another build"), "{}", nothing.stderr);
    assert!(nothing.errors()[0].contains(&sha256(&old)[..12]), "{}", nothing.stderr);
}

#[test]
fn expect_task_refuses_another_file_at_the_start_and_says_which_it_is() {
    let grid = Grid::new();
    let library = PluginBuild::new("one").install(&grid, "libstamp.so");
    let (right, wrong) = (sha256(&library), "ab".repeat(32));
    for call in [run(&grid, &library), slave_call(&grid, &library)] {
        let refused = call.arg("--expect-task").arg(&wrong).input("a\n").finish().expect(2);
        let said = refused.errors().join("\n");
        assert!(said.contains(&right) && said.contains(&wrong), "{}", refused.stderr);
        assert!(said.contains(&library.display().to_string()), "{}", refused.stderr);
    }
    run(&grid, &library).arg("--expect-task").arg(right.to_uppercase()).input("a\n").finish().expect(0);
    let refused = run(&grid, &library).args("--expect-task abc").input("a\n").finish().expect(2);
    assert!(refused.stderr.contains("64 hexadecimal digits"), "{}", refused.stderr);
}

fn journaled(call: Call<'_>) -> Call<'_> {
    call.args("-k --header -o rows --journal journal input")
}

#[track_caller]
fn kill_at_the_gate(grid: &Grid, call: Call<'_>) {
    grid.write("input", numbered("before ", 40) + &grid.gate("gate") + "\n" + &numbered("after ", 40));
    let begun = journaled(call).start();
    let empty = || grid.read("journal").len();
    let mut lengths = std::collections::BTreeSet::new();
    // Its name, its header, and then a checkpoint.
    wait::until("there is a checkpoint", || {
        lengths.insert(empty());
        !grid.read("rows").is_empty() && lengths.len() > 2
    });
    begun.signal(Signal::SIGKILL);
    begun.wait();
}

#[track_caller]
fn expect_refusal(refused: &Finished, what: &str) {
    let said = refused.errors().join("\n");
    assert!(said.contains(what), "{}", refused.stderr);
    assert!(said.contains("journal"), "{}", refused.stderr);
}

#[test]
fn a_journal_goes_on_only_with_the_same_columns() {
    let grid = Grid::new();
    let library = PluginBuild::new("old").install(&grid, "libstamp.so");
    kill_at_the_gate(&grid, run(&grid, &library));
    grid.open_gate("gate");
    let before = (grid.read("rows"), grid.read("journal"));
    PluginBuild::new("other").columns(OTHER_COLUMNS).install(&grid, "libstamp.so");
    expect_refusal(&journaled(run(&grid, &library)).finish().expect(2), "column 2");
    PluginBuild::new("new").version("2").install(&grid, "libstamp.so");
    expect_refusal(
        &journaled(run(&grid, &library).arg("--same-version")).finish().expect(2),
        "--same-version",
    );
    assert!(before == (grid.read("rows"), grid.read("journal")), "what is refused changes nothing");
    let ended = journaled(run(&grid, &library)).finish().expect(0).expect_counts(81, 81, 0);
    assert!(ended.stderr.contains("another build"), "the log says so:\n{}", ended.stderr);
    let rows = grid.read("rows");
    assert_eq!(builds(&rows), ["build", "new", "old"]);
    let records: Vec<_> = String::from_utf8(rows)
        .unwrap()
        .lines()
        .skip(1)
        .map(|row| row.split_once(',').unwrap().0.to_owned())
        .collect();
    assert!(records.join("\n") + "\n" == String::from_utf8(grid.read("input")).unwrap(), "{records:?}");
}

#[test]
fn a_master_with_a_journal_passes_over_slaves_with_other_columns() {
    let grid = Grid::new();
    let old = PluginBuild::new("old").install(&grid, "libold.so");
    let other = PluginBuild::new("other").columns(OTHER_COLUMNS).install(&grid, "libother.so");
    let first = slave(&grid, &old);
    kill_at_the_gate(&grid, grid.master());
    first.signal(Signal::SIGKILL);
    first.into_process().wait();
    grid.open_gate("gate");
    let _other = slave(&grid, &other);
    let alone = journaled(grid.master().args("--wait-nodes 300ms")).finish().expect(3);
    expect_refusal(&alone, "1 node runs another build");
    let _old = slave(&grid, &old);
    journaled(grid.master().args("-m -1")).finish().expect(0).expect_counts(81, 81, 0);
    assert_eq!(builds(&grid.read("rows")), ["build", "old"]);
}

#[test]
fn a_build_is_shown_by_the_list_and_by_inspect() {
    let grid = Grid::new();
    let one = PluginBuild::new("one").install(&grid, "libone.so");
    let two = PluginBuild::new("two").version("2").install(&grid, "libtwo.so");
    let other = PluginBuild::new("one").columns(OTHER_COLUMNS).install(&grid, "libother.so");
    let inspect = |library: &Path| {
        let call = grid.simplegrid().args("task inspect --json").arg(library);
        serde_json::from_str::<serde_json::Value>(&call.finish().expect(0).text()).unwrap()
    };
    let manifest = |library: &Path| inspect(library)["manifest_sha256"].as_str().unwrap().to_owned();
    assert_eq!(inspect(&one)["file_sha256"], sha256(&one));
    assert_eq!(manifest(&one), manifest(&two), "a version is no content");
    assert_ne!(manifest(&one), manifest(&other));
    let text = grid.simplegrid().args("task inspect").arg(&one).finish().expect(0).text();
    assert!(text.contains(&sha256(&one)) && text.contains(&manifest(&one)), "{text}");
    let slave = slave(&grid, &one);
    assert_eq!(grid.column(slave.port(), "file_sha256"), sha256(&one));
    assert_eq!(grid.column(slave.port(), "manifest_sha256"), manifest(&one));
}
