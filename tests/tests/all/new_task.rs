//! `simplegrid task new`: what it makes builds, and passes its own tests, outside this workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use simplegrid_tests::{Grid, Need, program};

/// The folder of a new task.
fn new_task(grid: &Grid, args: &str) -> PathBuf {
    let made = grid.simplegrid().args("task new my-own").args(args).finish().expect(0);
    assert!(made.text().contains("cd my-own"), "{}", made.text());
    grid.path("my-own")
}

/// Runs a command in the folder, with the program under test where the tests of a task look for it.
fn succeed(folder: &Path, command: &mut Command) -> String {
    let output = command
        .current_dir(folder)
        .env("SIMPLEGRID", program::path())
        .env("SIMPLEGRID_TASK_PATH", program::deps())
        .env("XDG_CONFIG_HOME", folder)
        .env("XDG_STATE_HOME", folder)
        .output()
        .expect("it can be started");
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{command:?}:\n{said}");
    said
}

#[test]
fn a_new_task_in_rust_builds_and_passes_its_tests() {
    let grid = Grid::new();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests are in the repository");
    let folder = new_task(&grid, &format!("--plugin-api {}", repository.display()));
    // The versions that this workspace has, because they are on this machine already.
    fs::copy(repository.join("Cargo.lock"), folder.join("Cargo.lock")).expect("the lock file can be copied");
    let mut cargo = Command::new(env!("CARGO"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-task");
    cargo.args(["test", "--offline"]).env("CARGO_TARGET_DIR", target);
    let said = succeed(&folder, &mut cargo);
    assert_eq!(said.matches("test result: ok.").count(), 3, "{said}");
}

#[test]
fn a_new_task_in_c_builds_and_passes_its_tests() {
    let grid = Grid::new();
    let folder = new_task(&grid, "--lang c");
    let make = Command::new("make").arg("--version").output();
    if Need::Make.check(make).is_none() {
        return;
    }
    let said = succeed(&folder, Command::new("make").arg("test"));
    assert!(said.contains("all is well") && !said.contains("warning"), "{said}");
}

#[test]
fn a_new_command_passes_its_tests() {
    let grid = Grid::new();
    let folder = new_task(&grid, "--lang exec");
    assert!(succeed(&folder, &mut Command::new("./test.sh")).contains("all is well"));
}

#[test]
fn a_new_task_takes_the_place_of_nothing() {
    let grid = Grid::new();
    let taken = grid.write("my-own", "mine");
    let run = grid.simplegrid().args("task new my-own").finish().expect(2);
    assert!(run.stderr.contains("exists already"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(taken).expect("it is there"), "mine");
    for name in ["Not-Good", "../x", "match"] {
        grid.simplegrid().args("task new").arg(name).finish().expect(2);
    }
}
