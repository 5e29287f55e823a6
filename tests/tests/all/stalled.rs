//! Readers that stop reading: of stderr, of a slave's log. They hold nothing up.

use std::io::Read;
use std::process::{Child, ChildStderr, Stdio};

use nix::sys::signal::Signal;
use simplegrid_tests::{Grid, kill, numbered, wait};

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
