//! `--summary-json`: refused if it cannot be written, and no summary is taken for this run's that is not.

use simplegrid_tests::Grid;

#[test]
fn a_summary_that_cannot_be_opened_is_named_before_anything_runs() {
    let grid = Grid::new();
    let cannot_be_opened = grid.path("loop");
    std::os::unix::fs::symlink("loop", &cannot_be_opened).unwrap();
    let run = grid.run("hostile").task_arg("side-log", grid.path("log"));
    let run = run.path("--summary-json", &cannot_be_opened).input("a\n").finish().expect(2);
    assert_eq!(run.errors().len(), 1, "{}", run.stderr);
    assert!(run.errors()[0].contains("--summary-json"), "{}", run.stderr);
    assert!(grid.side_log("log").is_empty());
}

#[test]
fn a_summary_that_cannot_be_written_is_said_and_ends_with_4() {
    let grid = Grid::new();
    for input in ["a\n", "a\nreject\n"] {
        let run = grid.run("hostile").args("--summary-json /dev/full").input(input).finish().expect(4);
        assert_eq!(run.errors().len(), 1, "{}", run.stderr);
        assert!(run.errors()[0].contains("cannot write the summary to /dev/full"), "{}", run.stderr);
        assert_eq!(run.count("done"), 1, "the summary is still said: {}", run.stderr);
        assert!(run.text().contains("a\n"));
    }
}

#[test]
fn an_old_summary_is_not_left_behind_by_a_run_that_is_killed() {
    let grid = Grid::new();
    grid.write("summary", "{\"complete\": true}");
    let mut run = grid.run("echo").args("--summary-json summary").start();
    run.write("a\n");
    run.wait_for_lines(1);
    run.signal(nix::sys::signal::Signal::SIGKILL);
    run.wait().expect(-9);
    assert_eq!(grid.read("summary"), b"");
}

#[test]
fn a_summary_can_go_to_another_program() {
    let grid = Grid::new();
    let mkfifo = nix::unistd::mkfifo(&grid.path("pipe"), nix::sys::stat::Mode::S_IRWXU);
    mkfifo.unwrap();
    let pipe = grid.path("pipe");
    let reader = std::thread::spawn(move || std::fs::read(pipe).unwrap());
    grid.run("echo").args("--summary-json pipe").input("a\n").finish().expect(0);
    let summary: serde_json::Value = serde_json::from_slice(&reader.join().unwrap()).unwrap();
    assert_eq!(summary["done"], 1);
}
