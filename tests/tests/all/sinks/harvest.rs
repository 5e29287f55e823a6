//! `-i harvest=DEST`: the files of a run are packed and delivered, or the master says that they were not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use simplegrid_tests::{Grid, Slave, numbered, sorted, wait};

fn slave(grid: &Grid) -> Slave {
    Slave::start(grid.slave_call("echo").args("--sink csv:rows"))
}

/// All rows in the packages in a directory.
#[track_caller]
fn unpacked(directory: &Path) -> Vec<String> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(directory).expect("it is there") {
        let path = entry.expect("it can be read").path();
        assert!(path.to_str().is_some_and(|name| name.ends_with(".tar.gz")), "{}", path.display());
        let listed = Command::new("tar").arg("-xzOf").arg(&path).output().expect("tar is there");
        assert!(listed.status.success(), "{}", path.display());
        let text = String::from_utf8(listed.stdout).expect("it is text");
        rows.extend(text.lines().filter(|line| *line != "line").map(str::to_owned));
    }
    rows.sort();
    rows
}

/// How many files there are beside the ledgers.
#[track_caller]
fn left(grid: &Grid) -> usize {
    let entries = fs::read_dir(grid.path("rows")).expect("it is there");
    entries
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name() != ".simplegrid_ledger"))
        .count()
}

/// Makes a program `scp` that runs this script, and returns a PATH that begins with it.
fn fake_scp(grid: &Grid, script: &str) -> String {
    let directory = grid.path("bin");
    fs::create_dir_all(&directory).expect("it can be made");
    let program = directory.join("scp");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("it can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it can be made a program");
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default())
}

#[test]
fn the_files_of_a_run_are_delivered_to_a_directory() {
    let grid = Grid::new();
    let _slaves = [slave(&grid), slave(&grid)];
    grid.master().input("of another run\n").finish().expect(0);
    fs::create_dir(grid.path("harvest")).expect("it can be made");
    let input = numbered("", 4000);
    let destination = format!("harvest={}", grid.path("harvest").display());
    let master = grid.master().arg("-i").arg(destination).input(&input).finish().expect(0);
    assert_eq!(master.stderr.matches("delivered 1 file as rows-").count(), 2, "{}", master.stderr);
    assert_eq!(unpacked(&grid.path("harvest")), sorted(input.as_bytes()));
}

#[test]
fn the_files_of_a_run_are_delivered_through_scp() {
    let grid = Grid::new();
    let path = fake_scp(&grid, "for last; do :; done; cp \"$4\" \"./${last#*:}/\"");
    fs::create_dir(grid.path("there")).expect("it can be made");
    let call = grid.slave_call("echo").args("--sink csv:rows").env("PATH", &path);
    let _slave = Slave::start(call);
    let input = numbered("", 100);
    let master = grid.master().args("-i scpto=joe@example:there").input(&input).finish().expect(0);
    assert!(master.stderr.contains("to joe@example:there"), "{}", master.stderr);
    assert_eq!(unpacked(&grid.path("there")), sorted(input.as_bytes()));
}

#[test]
fn a_harvest_that_fails_is_an_exit_status() {
    let grid = Grid::new();
    let path = fake_scp(&grid, "echo 'Host key verification failed.' >&2; exit 255");
    let _slave = Slave::start(grid.slave_call("echo").args("--sink csv:rows").env("PATH", &path));
    let master = grid.master().args("-i harvest=joe@example:there").input("a\n").finish().expect(4);
    let error = master.errors()[0];
    assert!(error.contains("scp ended with exit status: 255: Host key verification failed."), "{error}");
    assert!(master.stderr.contains("1 record read, 1 done, 0 failed"), "{}", master.stderr);
    let master = grid.master().args("-i harvest=/nowhere/at/all").input("a\n").finish().expect(4);
    assert!(master.errors()[0].contains("cannot write into /nowhere/at/all"), "{}", master.stderr);
    assert_eq!(left(&grid), 2, "the files of both runs stay, and no package");
}

#[test]
fn a_delivery_that_hangs_does_not_keep_the_slave_from_others() {
    let grid = Grid::new();
    let path = fake_scp(&grid, "echo $$ > scp-runs; exec sleep 1000");
    let slave = Slave::start(grid.slave_call("echo").args("--sink csv:rows").env("PATH", &path));
    let master = grid.master().args("-i harvest=joe@example:there").input("a\n").start();
    wait::until("scp runs", || !grid.read("scp-runs").is_empty());
    master.signal(Signal::SIGKILL);
    grid.wait_for_state(slave.port(), "enabled");
    grid.master().input("b\n").finish().expect(0);
    slave.signal(Signal::SIGTERM);
    slave.into_process().wait().expect(143);
    assert_eq!(left(&grid), 2, "the files of both runs stay, and no package");
}

#[test]
fn an_impossible_destination_is_refused_at_the_start() {
    let grid = Grid::new();
    for (destination, says) in [
        ("harvest=-oProxyCommand=reboot:x", "begins with a dash"),
        ("scpto=joe@host:$(reboot)", "has characters other than"),
        ("harvest=rows", "is relative"),
        ("harvest=", "does not name a destination"),
    ] {
        let ended = grid.master().arg("-i").arg(destination).input("").finish().expect(2);
        assert!(ended.errors()[0].contains(says), "{destination}: {}", ended.stderr);
    }
}

#[test]
fn a_harvest_misses_a_slave_that_is_lost_but_not_one_that_drains() {
    let grid = Grid::new();
    let slow = || Slave::start(grid.slave_call("hostile").args("--sink csv:rows"));
    let (lost, drained, last) = (slow(), slow(), slow());
    fs::create_dir(grid.path("harvest")).expect("it can be made");
    let destination = format!("harvest={}", grid.path("harvest").display());
    let input = numbered("sleep 1 ", 3000);
    let master = grid.master().arg("-i").arg(destination).input(&input).start();
    let written = |slave: &Slave| {
        let suffix = format!("{}.csv.part", slave.port());
        let names = fs::read_dir(grid.path("rows")).into_iter().flatten().flatten();
        names
            .map(|entry| entry.file_name())
            .any(|name| name.to_str().is_some_and(|name| name.ends_with(&suffix)))
    };
    wait::until("all have rows", || written(&lost) && written(&drained) && written(&last));
    drained.signal(Signal::SIGTERM);
    lost.signal(Signal::SIGKILL);
    let master = master.wait().expect(4);
    let errors = master.errors();
    assert!(errors.len() == 1 && errors[0].contains("was lost: the rows that it wrote"), "{}", master.stderr);
    assert_eq!(master.stderr.matches("delivered 1 file").count(), 2, "{}", master.stderr);
}

#[test]
fn there_is_nothing_to_harvest_of_a_table() {
    let grid = Grid::new();
    let _slave = Slave::start(grid.slave_call("echo").args("--sink sqlite:rows.db?table=t"));
    let master = grid.master().args("-i harvest=/tmp").input("a\n").finish().expect(0);
    assert!(
        master.stderr.contains("there is nothing to harvest: the rows go to the table t"),
        "{}",
        master.stderr
    );
}
