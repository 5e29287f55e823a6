//! Standard output that is closed, cannot be written, or is full.

use simplegrid_tests::{Call, Grid, numbered};

/// A run and a master of the same task, each with a grid of its own that has a slave.
fn for_each_command(check: impl Fn(&Grid, Call<'_>)) {
    let grid = Grid::new();
    check(&grid, grid.run("hostile").task_arg("side-log", grid.path("log")));
    let grid = Grid::new();
    let _slave = grid.noting_slave();
    check(&grid, grid.master().args("--wait-nodes 30s"));
}

#[track_caller]
fn expect_refused(redirection: &str, reason: &str) {
    for_each_command(|grid, call| {
        let ended = call.input("a\nb\n").redirected(redirection).finish().expect(4);
        assert_eq!(ended.errors().len(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
        assert!(ended.stderr.contains("--output FILE"), "it says what to do: {}", ended.stderr);
        assert!(grid.side_log("log").is_empty(), "nothing was run");
    });
}

#[test]
fn a_closed_standard_output_is_refused_before_anything_runs() {
    expect_refused(">&-", "standard output is closed");
}

#[test]
fn a_standard_output_that_can_only_be_read_is_refused_before_anything_runs() {
    expect_refused("1</dev/null", "standard output is open for reading only");
}

#[test]
fn a_closed_standard_input_is_no_empty_input() {
    for_each_command(|_, call| {
        let ended = call.redirected("<&-").finish().expect(2);
        assert!(ended.stderr.contains("open standard input: it is closed"), "{}", ended.stderr);
    });
    let grid = Grid::new();
    let input = grid.write("input", "a\n");
    let run = grid.run("echo").arg(input).redirected("<&- 2>&-").finish().expect(0);
    assert_eq!(run.text(), "a\n", "a run that does not read it may have none");
    let run = grid.run("echo").args("--failed /dev/stderr").input("a\n").redirected("2>&-").finish();
    assert!(run.expect(2).stdout.is_empty(), "failed records have nowhere to go");
}

#[test]
fn rows_may_be_thrown_away() {
    for redirection in [">/dev/null", "1<>/dev/null"] {
        for_each_command(|_, call| {
            call.input("a\nb\n").redirected(redirection).finish().expect(0).expect_counts(2, 2, 0);
        });
    }
}

#[test]
fn a_run_that_needs_no_standard_output_may_have_none() {
    let grid = Grid::new();
    let run = grid.run("echo").path("-o", grid.path("rows")).input("a\n").redirected(">&-").finish();
    run.expect(0).expect_counts(1, 1, 0);
    assert_eq!(grid.read("rows"), b"a\n");
    let sink = format!("csv:{}", grid.path("sink").display());
    let run = grid.run("echo").arg("--sink").arg(sink).input("a\n").redirected(">&-").finish();
    run.expect(0).expect_counts(1, 1, 0);
}

#[test]
fn texts_that_cannot_be_printed_are_an_error() {
    let grid = Grid::new();
    for (redirection, reason) in [
        (">&-", "standard output is closed"),
        ("1</dev/null", "standard output is open for reading only"),
        (">/dev/full", "No space left"),
    ] {
        for args in ["config", "task list", "--help"] {
            let ended = grid.simplegrid().args(args).redirected(redirection).finish().expect(4);
            assert!(ended.stderr.contains(reason), "{args} {redirection}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_full_standard_output_ends_the_run_and_no_record_counts_as_done() {
    for_each_command(|_, call| {
        let ended = call.input(numbered("record ", 1000)).redirected(">/dev/full").finish().expect(4);
        assert!(ended.stderr.contains("cannot write standard output"), "{}", ended.stderr);
        assert_eq!((ended.count("done"), ended.count("failed")), (0, 0), "{}", ended.stderr);
        assert_eq!(ended.count("unfinished"), ended.count("read"), "{}", ended.stderr);
    });
}

#[test]
fn names_of_standard_output_mean_the_stream_itself() {
    let grid = Grid::new();
    for name in ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"] {
        grid.write("log", "kept\n");
        let run = grid.run("echo").args("-k -o").arg(name).input("a\nb\n").redirected(">>log").finish();
        run.expect(0);
        assert_eq!(grid.read("log"), b"kept\na\nb\n", "{name}");
        let run = grid.run("echo").args("-o").arg(name).input("a\n").redirected(">&-").finish().expect(4);
        assert!(run.stderr.contains("standard output is closed"), "{name}: {}", run.stderr);
    }
}

#[test]
fn failed_records_may_go_to_a_standard_error_that_is_a_file() {
    let grid = Grid::new();
    grid.write("log", "kept\n");
    let run = grid.run("hostile").args("--failed /dev/stderr").input("a\nreject\n").redirected("2>>log");
    run.finish().expect(1);
    let log = String::from_utf8(grid.read("log")).unwrap();
    assert!(log.starts_with("kept\n"), "{log}");
    assert!(log.contains("\"reason\":\"rejected\"") && log.contains("2 records read"), "{log}");
}

#[test]
fn a_standard_output_that_does_not_block_gets_every_row() {
    use std::os::fd::AsFd;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    let grid = Grid::new();
    let (mut reader, writer) = std::io::pipe().unwrap();
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let input = numbered("more than a pipe takes ", 20_000);
    let records = grid.write("records", &input);
    let mut command = grid.run("echo").arg("-k").arg(records).into_command();
    let mut run = command.stdin(std::process::Stdio::null()).stdout(writer).spawn().unwrap();
    drop(command);
    let mut rows = String::new();
    std::io::Read::read_to_string(&mut reader, &mut rows).unwrap();
    assert!(run.wait().unwrap().success() && rows == input, "{} of {} bytes", rows.len(), input.len());
}
