//! Files that a run names twice, whatever their names: the command is refused, and no file has changed.

use std::fs;
use std::os::unix::fs::symlink;

use simplegrid_tests::{Call, Grid};

/// A grid with a file that must stay as it is.
fn grid_with_precious() -> Grid {
    let grid = Grid::new();
    grid.write("precious", "a\nb\n");
    fs::hard_link(grid.path("precious"), grid.path("hard")).expect("a file can have two names");
    symlink("precious", grid.path("soft")).expect("a link can be made");
    symlink("new", grid.path("dangling")).expect("a link can be made");
    grid
}

/// Checks that a command is refused because of these two, and that nothing is changed.
#[track_caller]
fn expect_refused(grid: &Grid, call: Call<'_>, both: [&str; 2]) {
    let ended = call.finish().expect(2);
    assert_eq!(ended.errors().len(), 1, "{}", ended.stderr);
    let error = ended.errors()[0];
    assert!(error.contains("the same file") && both.iter().all(|one| error.contains(one)), "{error}");
    assert_eq!(grid.read("precious"), b"a\nb\n", "{error}");
    assert!(!grid.path("new").exists() && !grid.path("journal").exists(), "what was created is gone again");
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    for name in ["precious", "hard", "soft", "./precious"] {
        for flag in ["-o", "--failed", "--summary-json"] {
            let grid = grid_with_precious();
            expect_refused(&grid, grid.run("echo").args(flag).arg(name).arg("precious"), [name, "precious"]);
            let call = grid.run("echo").args(flag).arg(name).redirected("<precious");
            expect_refused(&grid, call, [name, "standard input"]);
        }
        let grid = grid_with_precious();
        let call = grid.run("echo").args("-o new --journal").arg(name).arg("precious");
        expect_refused(&grid, call, ["--journal", "precious"]);
        let _slave = grid.slave("echo");
        expect_refused(&grid, grid.master().args("-o").arg(name).arg("precious"), [name, "precious"]);
    }
}

#[test]
fn an_empty_input_is_no_journal_either() {
    let grid = grid_with_precious();
    grid.write("input", "");
    expect_refused(&grid, grid.run("echo").args("-o new --journal input input"), ["--journal", "input"]);
    assert_eq!(grid.read("input"), b"");
}

#[test]
fn a_standard_output_that_is_an_input_is_refused() {
    let grid = grid_with_precious();
    let stdout = "standard output";
    expect_refused(&grid, grid.run("echo").arg("precious").redirected(">>hard"), [stdout, "precious"]);
    let call = grid.run("echo").redirected("<precious >>soft");
    expect_refused(&grid, call, [stdout, "standard input"]);
}

#[test]
fn outputs_that_are_one_file_are_refused() {
    let pairs = [
        ("-o precious", "--failed hard", ["--output", "--failed"]),
        ("-o soft", "--failed precious", ["--output", "--failed"]),
        ("-o precious", "--summary-json precious", ["--output", "--summary-json"]),
        ("--failed precious", "--summary-json hard", ["--failed", "--summary-json"]),
        ("-o new", "--failed dangling", ["--output", "--failed"]),
        ("-o dangling", "--failed new", ["--output", "--failed"]),
        ("-o dangling", "--failed ./new", ["--output", "--failed"]),
        ("-o hard", "--journal precious", ["--output", "--journal"]),
        ("-o new", "--journal dangling", ["--output", "--journal"]),
        ("-o new --failed journal", "--journal journal", ["--failed", "--journal"]),
        ("-o new --journal journal", "--summary-json journal", ["--summary-json", "--journal"]),
    ];
    for (one, other, both) in pairs {
        let grid = grid_with_precious();
        expect_refused(&grid, grid.run("echo").args(one).args(other).input("x\n"), both);
    }
}

#[test]
fn standard_output_is_compared_like_any_other_file() {
    let grid = grid_with_precious();
    let stdout = "standard output";
    for name in ["/dev/stdout", "/proc/self/fd/1", "hard"] {
        let call = grid.run("echo").args("--failed").arg(name).input("x\n").redirected(">>precious");
        expect_refused(&grid, call, [stdout, "--failed"]);
    }
    // A pipe is one file, too.
    let call = grid.run("echo").args("--failed /dev/stdout").input("x\n");
    expect_refused(&grid, call, [stdout, "--failed"]);
    let call = grid.run("echo").args("-o /dev/stdout --summary-json /dev/fd/1").input("x\n");
    expect_refused(&grid, call, ["--output /dev/stdout", "--summary-json"]);
}

#[test]
fn devices_may_be_named_several_times() {
    let grid = Grid::new();
    let call = grid.run("echo").args("-o /dev/null --failed /dev/null --summary-json /dev/null /dev/null");
    call.finish().expect(0).expect_counts(0, 0, 0);
    let call = grid.run("echo").args("--failed /dev/stderr --summary-json /dev/stderr").input("a\n");
    assert_eq!(call.finish().expect(0).text(), "a\n");
    let call = grid.run("echo").args("--failed /dev/stderr").input("a\n").redirected("2>&1").finish();
    assert!(call.expect(0).text().contains("a\n"));
}

#[test]
fn what_a_refused_run_would_have_emptied_is_as_it_was() {
    let grid = grid_with_precious();
    for task in ["no-such-task", "hostile"] {
        let run = grid.run(task).args("-o precious --failed new --summary-json no-such-directory/x");
        run.input("x\n").finish().expect(2);
        assert_eq!(grid.read("precious"), b"a\nb\n");
        assert!(!grid.path("new").exists());
    }
}
