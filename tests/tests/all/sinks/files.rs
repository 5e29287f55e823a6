//! Rows in CSV files: each file is complete when it has its final name, and no row is lost when a slave is
//! killed.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, Grid, Slave, numbered, sorted, wait};

fn sinking<'g>(grid: &'g Grid, task: &str) -> Call<'g> {
    grid.slave_call(task).args("--sink csv:rows")
}

/// The names and contents of the files in a directory, without the ledgers.
fn files(directory: &Path) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.ok().filter(|entry| entry.path().is_file())?;
        Some((entry.file_name().into_string().ok()?, fs::read_to_string(entry.path()).ok()?))
    };
    let mut files: Vec<_> = entries.filter_map(read).collect();
    files.sort();
    files
}

/// The rows of all complete files, each of which has the header.
#[track_caller]
fn rows(directory: &Path, header: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for (name, text) in files(directory) {
        assert!(name.starts_with("rows-") && name.ends_with(".csv"), "{name} is not a file of rows");
        let (first, rest) = text.split_once('\n').expect("it has a header");
        assert_eq!(first, header, "{name}");
        rows.extend(rest.lines().map(str::to_owned));
    }
    rows.sort();
    rows
}

#[test]
fn each_slave_and_run_has_a_file_with_the_columns_on_top() {
    let grid = Grid::new();
    let slaves = [sinking(&grid, "email-domain"), sinking(&grid, "email-domain")].map(Slave::start);
    for _ in 0..2 {
        let master =
            grid.master().input(numbered("a@", 5000)).finish().expect(0).expect_counts(5000, 5000, 0);
        assert_eq!(master.text(), "");
        assert!(!master.stderr.contains("another directory"), "{}", master.stderr);
    }
    // A run ends only when its slaves have completed their files.
    let found = files(&grid.path("rows"));
    assert_eq!(found.len(), 4, "{:?}", found.iter().map(|(name, _)| name).collect::<Vec<_>>());
    let mut expected: Vec<_> = (0..5000).flat_map(|n| [format!("a@{n},{n}"), format!("a@{n},{n}")]).collect();
    expected.sort();
    assert!(rows(&grid.path("rows"), "address,domain") == expected);
    drop(slaves);
}

#[test]
fn raw_lines_are_quoted_where_csv_requires_it() {
    let grid = Grid::new();
    let run = grid.run("echo").args("--sink csv:rows").input("plain\na,b\n\"q\"\n\n").finish().expect(0);
    assert_eq!(run.text(), "");
    let found = rows(&grid.path("rows"), "line");
    assert_eq!(found, ["\"\"", "\"\"\"q\"\"\"", "\"a,b\"", "plain"]);
}

#[test]
fn files_of_a_killed_slave_are_completed_by_the_next_and_each_row_is_there_once() {
    let grid = Grid::new();
    let input = numbered("sleep 1 ", 3000);
    let first = Slave::start(sinking(&grid, "hostile"));
    let master = grid.master().args("--reallocate-every 200ms --wait-nodes 30s").input(&input).start();
    let part = || files(&grid.path("rows")).iter().map(|(_, text)| text.lines().count()).sum::<usize>();
    wait::until("rows are there", || part() > 300);
    first.signal(Signal::SIGKILL);
    let second = Slave::start(sinking(&grid, "hostile"));
    second.wait_for_stderr("left by a slave that was killed");
    master.wait().expect(0).expect_counts(3000, 3000, 0);
    let found = rows(&grid.path("rows"), "line");
    assert!(found == sorted(input.as_bytes()), "{} rows", found.len());
}

#[test]
fn a_slave_that_ends_and_a_run_that_is_interrupted_complete_their_files() {
    let grid = Grid::new();
    let slave = Slave::start(sinking(&grid, "hostile"));
    let mut master = grid.master().args("--wait-nodes 1s").start();
    master.write(numbered("sleep 1 ", 20));
    wait::until("rows are there", || !files(&grid.path("rows")).is_empty());
    master.signal(Signal::SIGKILL);
    wait::until("the file is complete", || {
        files(&grid.path("rows")).iter().all(|(name, _)| name.ends_with(".csv"))
    });
    slave.signal(Signal::SIGTERM);
    slave.into_process().wait().expect(143);
    let mut run = grid.run("hostile").args("--sink csv:others").start();
    run.write(numbered("sleep 1 ", 20));
    wait::until("rows are there", || !files(&grid.path("others")).is_empty());
    run.signal(Signal::SIGTERM);
    run.wait().expect(143);
    rows(&grid.path("others"), "line");
}

#[test]
fn a_part_that_is_edited_while_it_is_written_is_completed_as_it_is_with_a_warning() {
    let grid = Grid::new();
    let first = Slave::start(sinking(&grid, "hostile"));
    let mut master = grid.master().args("--wait-nodes 30s").start();
    master.write(numbered("sleep 1 ", 20));
    let part = || files(&grid.path("rows")).into_iter().find(|(name, _)| name.ends_with(".part"));
    wait::until("rows are there", || part().is_some_and(|(_, text)| text.lines().count() > 5));
    first.signal(Signal::SIGKILL);
    first.into_process().wait();
    let (name, text) = part().expect("its slave was killed");
    fs::write(grid.path("rows").join(&name), text.replace("sleep", "slept")).expect("it can be written");
    let second = Slave::start(sinking(&grid, "hostile"));
    second.wait_for_stderr("is not what its slave has written");
    let complete = files(&grid.path("rows")).into_iter().find(|(of, _)| name == format!("{of}.part"));
    assert_eq!(complete.expect("it is complete").1, text.replace("sleep", "slept"));
    master.finish().expect(0);
}

#[test]
fn slaves_with_directories_of_their_own_write_every_record_of_a_run_that_loses_nothing_once() {
    let grid = Grid::new();
    let start = |sink: &str| Slave::start(grid.slave_call("echo").arg("--sink").arg(sink));
    let _slaves = [start("csv:one"), start("csv:two")];
    let input = numbered("", 5000);
    let master = grid.master().input(&input).finish().expect(0).expect_counts(5000, 5000, 0);
    assert_eq!(master.stderr.matches("writes files into another directory").count(), 1, "{}", master.stderr);
    let mut found = rows(&grid.path("one"), "line");
    found.extend(rows(&grid.path("two"), "line"));
    found.sort();
    assert!(found == sorted(input.as_bytes()), "{} rows", found.len());
}

#[test]
fn a_full_disk_ends_the_slave_and_what_was_written_stays_whole() {
    let grid = Grid::new();
    let record = "x".repeat(1000);
    let input: String = (0..2000).map(|number| format!("{number} {record}\n")).collect();
    // An error instead of a signal, as with a full disk. The limit comes later, since workers need larger
    // files than this.
    let slave = Slave::start(sinking(&grid, "echo").files_up_to_blocks(u32::MAX));
    let limited =
        Command::new("prlimit").args(["--fsize=300000", "--pid"]).arg(slave.pid().to_string()).status();
    assert!(limited.expect("prlimit is there").success());
    let ended = grid.master().args("--wait-nodes 1s").input(&input).finish().expect(4);
    assert!(ended.errors()[0].contains("its sink: cannot write a file in rows: "), "{}", ended.stderr);
    let slave = slave.into_process().wait().expect(4);
    assert!(slave.errors()[0].contains("its sink: cannot write a file in rows: "), "{}", slave.stderr);
    let found = rows(&grid.path("rows"), "line");
    assert!(found.len() as u64 >= ended.count("done") && ended.count("done") < 2000, "{}", ended.stderr);
    assert!(found.iter().all(|row| row.ends_with(&record)), "no row is cut");
}
