//! The second signal: it ends every program, wherever it stands, whatever it waits for.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use rusqlite::Connection;
use simplegrid_tests::{Grid, Process, Slave, kill, numbered, wait};

/// How long the end may take. The programs themselves wait for a second at most, and the rest is for a busy
/// machine; without an end of its own, none of these waits would be over by then.
const END_MAX: Duration = Duration::from_secs(20);

/// A program that waits for something that will not come, and what must live as long as it waits.
struct Stuck {
    process: Process,
    _keep: Box<dyn std::any::Any>,
}

impl Stuck {
    fn new(process: Process) -> Self {
        Self::with(process, ())
    }

    fn with(process: Process, keep: impl std::any::Any) -> Self {
        Self { process, _keep: Box::new(keep) }
    }
}

/// Where a program can stand when the signals come.
type Stage = (&'static str, fn(&Grid) -> Stuck);

/// Sends two signals to each, and checks that it ends, with one of the statuses, and leaves no worker behind.
#[track_caller]
fn expect_ends(stages: &[Stage], statuses: &[i32]) {
    for (stage, start) in stages {
        println!("{stage}");
        let grid = Grid::new();
        let Stuck { mut process, _keep } = start(&grid);
        process.signal(Signal::SIGTERM);
        wait::until(&format!("{stage}: the first signal is noticed"), || {
            !process.is_running() || process.stderr().contains("received, finishing what is in flight")
        });
        if process.is_running() {
            process.signal(Signal::SIGTERM);
        }
        wait::until_some_within(END_MAX, &format!("{stage}: it ends"), || {
            (!process.is_running()).then_some(())
        });
        let status = process.wait().status;
        drop(_keep);
        assert!(statuses.contains(&status), "{stage}: exit status {status}");
        wait::until(&format!("{stage}: no worker is left"), || grid.workers().is_empty());
    }
}

/// A pipe with a name, of which no other end is open.
fn fifo(grid: &Grid) -> std::path::PathBuf {
    let path = grid.path("fifo");
    nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("it can be made");
    path
}

/// A server that accepts connections and says nothing, and a table in its database.
fn silent_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, format!("postgres://someone@127.0.0.1:{port}/grid"))
}

/// Keeps everyone else out of a SQLite file.
fn locked(path: &Path) -> Connection {
    let lock = Connection::open(path).expect("it is a database");
    lock.busy_timeout(wait::PATIENCE).expect("it can be set");
    lock.execute_batch("BEGIN EXCLUSIVE").expect("it can be locked");
    lock
}

fn wait_for_workers(grid: &Grid, count: usize) {
    wait::until("its workers are there", || grid.workers().len() == count);
}

fn stop_workers(grid: &Grid) {
    grid.workers().iter().for_each(|worker| worker.signal(Signal::SIGSTOP));
}

/// Has a record that waits in a worker.
fn at_gate(grid: &Grid, mut process: Process) -> Process {
    process.write(format!("one\n{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    process
}

/// A run with a record that waits in a worker.
fn busy_run(grid: &Grid) -> Process {
    at_gate(
        grid,
        grid.run("hostile").task_arg("side-log", grid.path("log")).args("--drain-timeout 1h").start(),
    )
}

/// A master with a record that waits in a slave.
fn busy_master(grid: &Grid) -> (Slave, Process) {
    let slave = grid.noting_slave();
    let master = at_gate(grid, grid.master().args("--drain-timeout 1h").start());
    (slave, master)
}

const RUN: [Stage; 10] = [
    ("while its node is prepared", |grid| {
        let run = grid.run("hostile").task_arg("prepare", "hang").args("--start-timeout 1h").start();
        wait::until("something is prepared", || grid.processes().len() > 1);
        Stuck::new(run)
    }),
    ("while its workers are made ready", |grid| {
        let run = grid.run("hostile").task_arg("new", "hang").args("--start-timeout 1h").start();
        wait_for_workers(grid, 2);
        Stuck::new(run)
    }),
    ("while its input is a pipe that no one writes to", |grid| {
        let run = grid.run("echo").arg(fifo(grid)).start();
        wait_for_workers(grid, 2);
        Stuck::new(run)
    }),
    ("while its output is a pipe that no one has opened", |grid| {
        let run = grid.run("echo").path("--output", fifo(grid)).start();
        wait_for_workers(grid, 2);
        wait::until_the_next_strike(Duration::from_secs(1));
        Stuck::new(run)
    }),
    ("while its output is a pipe that no one reads", |grid| {
        let run = grid.run("hostile").args("--drain-timeout 1h").paged().input("huge 1000000\n").start();
        run.wait_for_stderr("nothing has ended for 10s: ");
        Stuck::new(run)
    }),
    ("while its failed records go to a pipe that no one has opened", |grid| {
        let run = grid.run("echo").path("--failed", fifo(grid)).start();
        wait_for_workers(grid, 2);
        wait::until_the_next_strike(Duration::from_secs(1));
        Stuck::new(run)
    }),
    ("while the server of its sink does not answer", |grid| {
        let (server, url) = silent_server();
        let run = grid.run("echo").arg("--sink").arg(format!("{url}?table=t")).start();
        let (connection, _) = server.accept().expect("it is connected to");
        Stuck::with(run, (server, connection))
    }),
    ("while its sink is locked", |grid| {
        let rows = grid.path("rows.db");
        let run = grid.run("hostile").task_arg("side-log", grid.path("log")).args("--drain-timeout 1h");
        let mut run = run.arg("--sink").arg(format!("sqlite:{}?table=t", rows.display())).start();
        wait_for_workers(grid, 2);
        run.wait_for_stderr("rows go to");
        let lock = locked(&rows);
        run.write("one\n");
        wait::until("the record has been run", || grid.side_log("log").len() == 1);
        Stuck::with(run, lock)
    }),
    ("while a record does not end", |grid| Stuck::new(busy_run(grid))),
    ("while its workers are stopped", |grid| {
        let run = busy_run(grid);
        stop_workers(grid);
        Stuck::new(run)
    }),
];

#[test]
fn two_signals_always_end_a_run() {
    expect_ends(&RUN, &[143]);
}

const MASTER: [Stage; 5] = [
    ("while the server of its registry does not answer", |grid| {
        let (server, url) = silent_server();
        let master = grid.master().env("SIMPLEGRID_REGISTRY", url).start();
        let (connection, _) = server.accept().expect("it is connected to");
        Stuck::with(master, (server, connection))
    }),
    ("while its output is a pipe that no one has opened", |grid| {
        let master = grid.master().args("-v --wait-nodes 1h").path("--output", fifo(grid)).start();
        wait::until("it has opened the registry", || !grid.read("grid.db").is_empty());
        wait::until_the_next_strike(Duration::from_secs(1));
        Stuck::new(master)
    }),
    ("while its slave is stopped", |grid| {
        let (slave, master) = busy_master(grid);
        slave.signal(Signal::SIGSTOP);
        // Workers of a slave that is stopped are not its own.
        Stuck::with(master, EndsSlave(slave))
    }),
    ("while its registry is locked", |grid| {
        let (slave, master) = busy_master(grid);
        let lock = locked(&grid.path("grid.db"));
        Stuck::with(master, (EndsSlave(slave), lock))
    }),
    ("while a record does not end", |grid| {
        let (slave, master) = busy_master(grid);
        Stuck::with(master, EndsSlave(slave))
    }),
];

/// A slave that is killed before anyone looks for what a master has left behind.
struct EndsSlave(Slave);

impl Drop for EndsSlave {
    fn drop(&mut self) {
        self.0.signal(Signal::SIGKILL);
    }
}

#[test]
fn two_signals_always_end_a_master() {
    expect_ends(&MASTER, &[143]);
}

const SLAVE: [Stage; 6] = [
    ("while the server of its registry does not answer", |grid| {
        let (server, url) = silent_server();
        let slave = grid.slave_call("echo").env("SIMPLEGRID_REGISTRY", url).start();
        let (connection, _) = server.accept().expect("it is connected to");
        Stuck::with(slave, (server, connection))
    }),
    ("while its node is prepared", |grid| {
        let slave = grid.slave_call("hostile").task_arg("prepare", "hang").args("--start-timeout 1h").start();
        wait::until("something is prepared", || grid.processes().len() > 1);
        Stuck::new(slave)
    }),
    ("while its workers are made ready", |grid| {
        let slave = grid.slave_call("hostile").task_arg("new", "hang").args("--start-timeout 1h").start();
        wait_for_workers(grid, 2);
        Stuck::new(slave)
    }),
    ("while a record does not end", |grid| {
        let (slave, master) = busy_slave(grid);
        Stuck::with(slave, master)
    }),
    ("while its workers are stopped", |grid| {
        let (slave, master) = busy_slave(grid);
        stop_workers(grid);
        Stuck::with(slave, master)
    }),
    ("while its registry is locked", |grid| {
        let (slave, master) = busy_slave(grid);
        let lock = locked(&grid.path("grid.db"));
        Stuck::with(slave, (master, lock))
    }),
];

/// A slave with a record that waits in a worker, and the record's master.
fn busy_slave(grid: &Grid) -> (Process, Process) {
    let call = grid.slave_call("hostile").task_arg("side-log", grid.path("log")).args("--drain-timeout 1h");
    let slave = Slave::start(call);
    let master = at_gate(grid, grid.master().start());
    (slave.into_process(), master)
}

#[test]
fn two_signals_always_end_a_slave() {
    expect_ends(&SLAVE, &[143]);
}

#[test]
fn two_signals_end_a_run_whose_log_no_one_reads() {
    let grid = Grid::new();
    let text = numbered(&format!("stderr {} ", "x".repeat(1000)), 300);
    let records = grid.write("records", format!("{text}{}\n", grid.gate("gate")));
    let run =
        grid.run("hostile").task_arg("side-log", grid.path("log")).args("--drain-timeout 1h").arg(records);
    let mut command = run.into_command();
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = command.spawn().expect("the program can be started");
    let pid = i32::try_from(run.id()).expect("a process number is an i32");
    grid.wait_at_gate("gate", 1);
    kill(pid, Signal::SIGTERM);
    // What it says about the first signal cannot be read.
    wait::until_the_next_strike(Duration::from_secs(1));
    kill(pid, Signal::SIGTERM);
    let status = wait::until_some_within(END_MAX, "it ends", || run.try_wait().expect("it is a child"));
    assert_eq!(status.code(), Some(143));
    wait::until("no worker is left", || grid.workers().is_empty());
}

/// Checks that what was in flight when a drain took too long is said to be unfinished.
#[track_caller]
fn expect_unfinished(grid: &Grid, process: Process) {
    process.signal(Signal::SIGTERM);
    let ended = process.wait().expect(143);
    let said = "what is in flight has taken longer than 2s (--drain-timeout), stopping at once";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_eq!(
        (ended.count("read"), ended.count("done"), ended.count("unfinished")),
        (2, 1, 1),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.text(), "one\n");
    wait::until("it has left the record", || grid.workers().iter().all(|worker| worker.pid != at(grid)));
}

/// The worker that was given the record of the gate.
fn at(grid: &Grid) -> i32 {
    grid.wait_at_gate("gate", 1)
}

#[test]
fn a_drain_that_takes_too_long_leaves_what_is_in_flight_unfinished() {
    let grid = Grid::new();
    let run = grid.run("hostile").task_arg("side-log", grid.path("log")).args("--drain-timeout 2s").start();
    let run = at_gate(&grid, run);
    run.wait_for_lines(1);
    expect_unfinished(&grid, run);

    let grid = Grid::new();
    let slave = grid.noting_slave();
    let master = at_gate(&grid, grid.master().args("--drain-timeout 2s").start());
    master.wait_for_lines(1);
    expect_unfinished(&grid, master);
    grid.wait_for_state(slave.port(), "enabled");
}
