//! Readers that stop reading: of stderr, of a slave's log, of the output and the failed records. They cost no
//! node and no run.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, ChildStderr, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use simplegrid_tests::{Grid, Process, kill, numbered, wait};

/// Bytes of log that each record makes: a few hundred records fill a pipe several times over.
const LOGGED_BYTES: usize = 1000;

/// Records whose task prints a lot to stderr.
fn talkative(count: usize) -> String {
    numbered(&format!("stderr {} ", "x".repeat(LOGGED_BYTES)), count)
}

/// Starts a command whose stderr is a pipe that no one reads.
fn start_unread(call: simplegrid_tests::Call<'_>) -> (Child, ChildStderr) {
    let mut command = call.into_command();
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be started");
    let stderr = child.stderr.take().expect("it is piped");
    (child, stderr)
}

/// Its exit status, once it has ended.
#[track_caller]
fn status_of(child: &mut Child) -> Option<i32> {
    wait::until_some("the program ends", || child.try_wait().expect("it is a child")).code()
}

#[test]
fn a_reader_of_stderr_that_has_stopped_holds_up_no_run() {
    let grid = Grid::new();
    let records = grid.write("records", talkative(600));
    let (mut run, mut stderr) = start_unread(grid.run("hostile").arg(records));
    assert_eq!(status_of(&mut run), Some(0));
    let mut text = String::new();
    stderr.read_to_string(&mut text).expect("it is text");
    assert!(text.contains("xxxx"), "{text}");
}

#[test]
fn a_reader_of_its_log_that_has_stopped_costs_a_slave_no_run() {
    let grid = Grid::new();
    let (mut slave, _stderr) = start_unread(grid.slave_call("hostile"));
    let records = grid.write("records", talkative(600));
    let master = grid.master().args("--wait-nodes 30s").arg(records).finish().expect(0);
    assert!(master.expect_counts(600, 600, 0).summary().contains("0 lost"));
    let pid = i32::try_from(slave.id()).expect("a process number is an i32");
    kill(pid, Signal::SIGTERM);
    assert_eq!(status_of(&mut slave), Some(143));
}

/// A named pipe whose reader does not read yet.
fn stalled_pipe(grid: &Grid, name: &str) -> File {
    mkfifo(&grid.path(name), Mode::S_IRWXU).expect("a named pipe can be made");
    let options = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(grid.path(name));
    options.expect("the reader of a named pipe does not wait for its writer")
}

/// Everything that comes out of a pipe until it has no writer.
fn read_all(mut pipe: File) -> String {
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::empty())).expect("it is open");
    let mut text = String::new();
    pipe.read_to_string(&mut text).expect("it is text");
    text
}

/// Records that fail, and are more than a pipe and all queues can hold.
fn many_bad_records() -> String {
    numbered(&format!("reject {}", "x".repeat(1000)), 40_000)
}

#[test]
fn a_stalled_reader_of_failed_records_costs_no_node() {
    let grid = Grid::new();
    let _slave = grid.slave("hostile");
    let pipe = stalled_pipe(&grid, "failed");
    let master = grid.master().args("--wait-nodes 30s --failed failed").input(many_bad_records()).start();
    master.wait_for_stderr("nothing has ended for 10s: the reader of the failed records takes no more");
    let failed = read_all(pipe);
    let master = master.wait().expect(1).expect_counts(40_000, 0, 40_000);
    assert_eq!(failed.lines().count(), 40_000);
    assert!(master.summary().contains("0 lost"), "{}", master.stderr);
}

#[test]
fn a_stalled_reader_of_the_output_costs_no_node() {
    let grid = Grid::new();
    let _slave = grid.slave("echo");
    let pipe = stalled_pipe(&grid, "rows");
    let input = numbered(&"x".repeat(1000), 40_000);
    let master = grid.master().args("-k --wait-nodes 30s -o rows").input(&input).start();
    master.wait_for_stderr("nothing has ended for 10s: the reader of the output takes no more rows");
    assert!(read_all(pipe) == input, "the output differs from the input");
    let master = master.wait().expect(0).expect_counts(40_000, 40_000, 0);
    assert!(master.summary().contains("0 lost"), "{}", master.stderr);
}

#[test]
fn two_signals_end_a_run_whose_results_are_not_read() {
    for flags in ["-o rows", "--failed failed", "-o rows --failed failed"] {
        let grid = Grid::new();
        let (_rows, _failed) = (stalled_pipe(&grid, "rows"), stalled_pipe(&grid, "failed"));
        let good = numbered(&"x".repeat(1000), 40_000);
        let input = if flags == "-o rows" { good } else { many_bad_records() };
        let run = grid.run("hostile").args(flags).input(input).start();
        run.wait_for_stderr("nothing has ended for 10s: the reader of ");
        expect_two_signals_to_end(run);
    }
}

#[track_caller]
fn expect_two_signals_to_end(run: Process) {
    run.signal(Signal::SIGTERM);
    run.wait_for_stderr("received, finishing what is in flight");
    run.signal(Signal::SIGTERM);
    run.wait().expect(143);
}

#[test]
fn two_signals_end_a_run_whose_last_rows_are_not_read() {
    // Everything is run, and all that is left is to write what a pipe does not take.
    let grid = Grid::new();
    let _rows = stalled_pipe(&grid, "rows");
    let input = numbered(&"x".repeat(1000), 2000);
    let run = grid.run("echo").args("-o rows").input(input).start();
    run.wait_for_stderr("nothing has ended for 10s: the reader of the output takes no more rows");
    expect_two_signals_to_end(run);
}

#[test]
fn pipes_without_a_reader_are_waited_for_and_named() {
    for flag in ["-o", "--failed", "--summary-json"] {
        let grid = Grid::new();
        mkfifo(&grid.path("pipe"), Mode::S_IRWXU).expect("a named pipe can be made");
        let start = || grid.run("hostile").args(flag).args("pipe").input("a\nreject\n").start();
        let run = start();
        run.wait_for_stderr("waiting until a program opens pipe for reading");
        expect_two_signals_to_end(run);
        let run = start();
        run.wait_for_stderr("waiting until a program opens pipe for reading");
        let text = fs::read_to_string(grid.path("pipe")).expect("it can be read");
        assert!(!text.is_empty(), "{flag}");
        run.wait().expect(1).expect_counts(2, 1, 1);
    }
}

#[test]
fn a_reader_of_failed_records_that_leaves_ends_the_run_with_a_reason() {
    let grid = Grid::new();
    drop_when_first_bytes_come(stalled_pipe(&grid, "failed"));
    let run = grid.run("hostile").args("--failed failed").input(many_bad_records()).finish().expect(4);
    assert!(run.stderr.contains("cannot write the failed records to failed: Broken pipe"), "{}", run.stderr);
}

/// A reader that has seen enough.
fn drop_when_first_bytes_come(mut pipe: File) {
    std::thread::spawn(move || {
        let mut first = [0; 1];
        wait::until("a line comes", || matches!(pipe.read(&mut first), Ok(1)));
    });
}
