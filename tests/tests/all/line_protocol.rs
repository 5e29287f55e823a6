//! Slaves that accept lines, as Net::SimpleGrid's programs and `nc` send them: what is run, what is not, and
//! which client is let in when.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, Grid, LineClient, Need, Slave, numbered, send_lines, sorted, wait};

const PARTITIONED: &str = ":scheduler=Net::SimpleGrid::ProcessScheduler::PartitionedStrategy\n";
const ROUND_ROBIN: &str = ":scheduler=Net::SimpleGrid::ProcessScheduler::RoundRobinStrategy\n";

/// A slave of the task `echo` that accepts lines.
fn echo_call(grid: &Grid) -> Call<'_> {
    grid.slave_call("echo").arg("--line-protocol")
}

#[track_caller]
fn echo(grid: &Grid) -> Slave {
    Slave::start(echo_call(grid))
}

/// A slave of the task `hostile`, whose executions are noted in the file `log`.
fn hostile_call(grid: &Grid) -> Call<'_> {
    grid.slave_call("hostile").task_arg("side-log", grid.path("log")).arg("--line-protocol")
}

/// Waits for as many rows as there are lines, and checks that they are these, in any order.
#[track_caller]
fn expect_rows(slave: &Slave, expected: &str) {
    slave.wait_for_lines(expected.lines().count());
    assert_eq!(sorted(&slave.stdout()), sorted(expected.as_bytes()));
}

#[test]
fn lines_are_run_and_rows_go_to_standard_output() {
    let grid = Grid::new();
    let slave = echo(&grid);
    send_lines(slave.port(), numbered("a", 1000) + "with a return\r\n\n:no command\nthe last has no end");
    let expected = numbered("a", 1000) + "with a return\n\n:no command\nthe last has no end\n";
    expect_rows(&slave, &expected);
    slave.wait_for_stderr("are done: 1004 records read, 1004 done, 0 failed, 0 retried");
    // The next client is served by the same slave.
    send_lines(slave.port(), "again\n");
    slave.wait_for_lines(1005);
}

#[test]
fn lines_with_equal_hashes_meet_in_one_worker_in_their_order() {
    let grid = Grid::new();
    let slave = Slave::start(hostile_call(&grid).args("-m 4"));
    let keyed = |number: usize| (number * 7 % 40 * 2, number);
    let text: String =
        (0..4000).map(keyed).map(|(key, number)| format!("{key:<10}k{key},{number}\n")).collect();
    send_lines(slave.port(), PARTITIONED.to_owned() + &text);
    let log = grid.side_log("log");
    assert_eq!(log.len(), 4000);
    let mut homes: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    let by_worker = log.by_worker();
    for (worker, records) in &by_worker {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for record in records {
            let (key, number) = record.split_once(',').expect("the hash is gone, and only the hash");
            homes.entry(key).or_default().insert(*worker);
            let number = number.parse().expect("it is a number");
            let before = last.insert(key, number);
            assert!(before.is_none_or(|before| before < number), "{key} comes in order");
        }
    }
    assert_eq!(homes.len(), 40);
    assert!(homes.values().all(|workers| workers.len() == 1), "{homes:?}");
    assert_eq!(by_worker.len(), 4, "no worker is idle, though all hashes are even");
}

#[test]
fn lines_without_a_hash_fail_alone() {
    let grid = Grid::new();
    let slave = echo(&grid);
    send_lines(
        slave.port(),
        PARTITIONED.to_owned() + "7         good\nno hash here\n7\n\n12        good, too\n",
    );
    expect_rows(&slave, "good\ngood, too\n");
    slave
        .wait_for_stderr("record 2 failed, rejected: it has no partition key: it does not begin with a hash");
    slave.wait_for_stderr("are done: 5 records read, 2 done, 3 failed");
}

#[test]
fn commands_stand_anywhere_and_what_is_unknown_does_no_harm() {
    let grid = Grid::new();
    let slave = echo(&grid);
    let text = [
        ROUND_ROBIN,
        ":scpto=user@host:dir\na\n:scheduler=My::Own::Strategy\nb\n:scheduler.weight=3\n",
        PARTITIONED,
        "1         c\n:unknown=x\n2         :d=is a record here\n",
        ROUND_ROBIN,
        "e\n",
    ];
    send_lines(slave.port(), text.concat());
    expect_rows(&slave, "a\nb\nc\n:d=is a record here\ne\n");
    slave.wait_for_stderr("ask for «scheduler=My::Own::Strategy», which is unknown");
    slave.wait_for_stderr("ask for «scheduler.weight=3», which is unknown");
    slave.wait_for_stderr("unknown administrative command; ignored name=\"unknown\" value=\"x\"");
}

#[test]
fn done_ends_the_slave_once_the_lines_are_done() {
    let grid = Grid::new();
    let slave = echo(&grid);
    let port = slave.port();
    send_lines(port, ":done=1\n:done=no\na\n");
    slave.wait_for_lines(1);
    send_lines(port, "b\n:done=1\nc\n");
    let ended = slave.into_process().wait().expect(0);
    assert_eq!(sorted(&ended.stdout), ["a", "b", "c"]);
    assert_eq!(grid.state(port), "disabled");
}

#[test]
fn done_waits_for_the_clients_that_came_before() {
    let grid = Grid::new();
    let slave = Slave::start(hostile_call(&grid));
    let port = slave.port();
    let mut first = LineClient::connect(port);
    first.send(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    // What node-manager.pl sends.
    let mut last = LineClient::connect(port);
    last.send(ROUND_ROBIN.to_owned() + ":done=1\n");
    drop(last);
    assert_eq!(grid.state(port), "enabled");
    grid.open_gate("gate");
    first.send(numbered("a", 100));
    first.finish();
    let ended = slave.into_process().wait().expect(0);
    assert_eq!(ended.stdout.iter().filter(|byte| **byte == b'\n').count(), 101);
}

#[test]
fn half_a_line_of_a_client_that_breaks_off_is_not_run() {
    let grid = Grid::new();
    let slave = echo(&grid);
    let mut client = LineClient::connect(slave.port());
    client.send("whole\nhalf");
    slave.wait_for_lines(1);
    client.reset();
    slave.wait_for_stderr("broke off: ");
    slave.wait_for_stderr("half a line is dropped");
    send_lines(slave.port(), "next\n");
    expect_rows(&slave, "whole\nnext\n");
}

#[test]
fn workers_that_are_killed_cost_no_line() {
    let grid = Grid::new();
    let slave = Slave::start(echo_call(&grid).args("-m 3"));
    let text = numbered("line ", 100_000);
    let port = slave.port();
    let mut client = LineClient::connect(port);
    let (first, rest) = text.split_at(text.len() / 2);
    client.send(first);
    slave.wait_for_lines(100);
    for worker in slave.workers(&grid.workers()).iter().take(2) {
        worker.signal(Signal::SIGKILL);
    }
    slave.wait_for_stderr("a worker was lost: ");
    client.send(rest);
    client.finish();
    expect_rows(&slave, &text);
    slave.wait_for_stderr("are done: 100000 records read, 100000 done, 0 failed");
}

#[test]
fn a_line_that_kills_workers_is_found_and_its_neighbours_are_not_harmed() {
    let grid = Grid::new();
    let slave = Slave::start(hostile_call(&grid));
    send_lines(slave.port(), numbered("a", 500) + "abort\n" + &numbered("b", 500));
    expect_rows(&slave, &(numbered("a", 500) + &numbered("b", 500)));
    slave.wait_for_stderr("record 501 failed, crash: ");
    // Once for each, although both the pool and the run see it.
    assert_eq!(slave.stderr().matches("a worker was lost").count(), 3, "{}", slave.stderr());
    slave.wait_for_stderr("are done: 1001 records read, 1000 done, 1 failed, 2 retried");
}

#[test]
fn failures_are_shown_ten_times_and_then_counted() {
    let grid = Grid::new();
    let slave = Slave::start(hostile_call(&grid));
    send_lines(slave.port(), "reject\n".repeat(15));
    slave.wait_for_stderr("… and 5 more records failed");
    slave.wait_for_stderr("are done: 15 records read, 0 done, 15 failed");
    assert_eq!(slave.stderr().matches(" failed, rejected: ").count(), 10);
}

#[test]
fn any_bytes_are_lines_and_one_that_is_too_long_fails_alone() {
    let grid = Grid::new();
    let slave = echo(&grid);
    let garbage: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    let long = vec![b'x'; 17 * 1024 * 1024];
    send_lines(
        slave.port(),
        [&garbage[..], b"\nSIMPLEG\x01 in the second line\n", &long, b"\nlast\n"].concat(),
    );
    slave.wait_for_lines(3);
    let rows = slave.stdout();
    assert!(rows.windows(garbage.len()).any(|window| window == garbage));
    assert!(rows.ends_with(b"last\n"));
    slave.wait_for_stderr("record 3 failed, too-long: the record has 17825793 bytes");
    slave.wait_for_stderr("are done: 4 records read, 3 done, 1 failed");
}

#[test]
fn many_clients_are_served_one_after_the_other() {
    let grid = Grid::new();
    let slave = echo(&grid);
    let port = slave.port();
    let clients: Vec<_> = (0..60)
        .map(|client| std::thread::spawn(move || send_lines(port, numbered(&format!("{client}:"), 200))))
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("each is served"));
    let expected: String = (0..60).map(|client| numbered(&format!("{client}:"), 200)).collect();
    expect_rows(&slave, &expected);
}

#[test]
fn clients_that_say_nothing_or_send_no_record_keep_no_one_out() {
    let grid = Grid::new();
    let slave = echo(&grid);
    let silent: Vec<_> = (0..150).map(|_| LineClient::connect(slave.port())).collect();
    // What a master of Net::SimpleGrid sends that finds the node reserved, and then keeps the connection.
    let mut idle = LineClient::connect(slave.port());
    idle.send(ROUND_ROBIN);
    send_lines(slave.port(), "a line\n");
    slave.wait_for_lines(1);
    assert_eq!(grid.master().input("a record\n").finish().expect(0).text(), "a record\n");
    // They can still send something.
    idle.send("another line\n");
    slave.wait_for_lines(2);
    drop(silent);
}

#[test]
fn a_master_and_clients_have_the_slave_one_at_a_time() {
    let grid = Grid::new();
    let slave = Slave::start(hostile_call(&grid));
    let mut client = LineClient::connect(slave.port());
    client.send(format!("{}\n", grid.gate("first")));
    grid.wait_at_gate("first", 1);
    let mut master = grid.master().args("--wait-nodes 40s -v").start();
    master.wait_for_stderr("lines from 127.0.0.1:");
    grid.open_gate("first");
    client.finish();
    // Now the master has it, and a client waits.
    master.write(format!("{}\n", grid.gate("second")));
    grid.wait_at_gate("second", 1);
    let port = slave.port();
    let waiting = std::thread::spawn(move || send_lines(port, "a line\n"));
    master.write("a record\n");
    master.wait_for_lines(1);
    assert_eq!(grid.side_log("log").count("a line"), 0, "the client waits");
    grid.open_gate("second");
    master.finish().expect(0);
    waiting.join().expect("the client is served");
    assert_eq!(grid.side_log("log").count("a line"), 1);
}

#[test]
fn an_administrator_gets_in_and_the_client_is_cut_off() {
    let grid = Grid::new();
    let slave = Slave::start(hostile_call(&grid));
    let port = slave.port();
    let mut client = LineClient::connect(port);
    client.send(numbered("a", 100) + &grid.gate("gate") + "\n");
    grid.wait_at_gate("gate", 1);
    let shutdown = grid.manage(port, "shutdown").start();
    slave.wait_for_stderr("an administrator asks this slave to end");
    grid.wait_for_state(port, "cleanup");
    grid.open_gate("gate");
    client.expect_closed();
    shutdown.wait().expect(0);
    let ended = slave.into_process().wait().expect(0);
    assert!(
        ended.stderr.contains("are cut off because the slave is ending: 101 records read, 101 done"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_signal_lets_what_was_read_finish() {
    let grid = Grid::new();
    let slave = Slave::start(hostile_call(&grid));
    let mut client = LineClient::connect(slave.port());
    client.send(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    let mut waiting = LineClient::connect(slave.port());
    waiting.send("never run\n");
    slave.signal(Signal::SIGTERM);
    waiting.expect_closed();
    grid.open_gate("gate");
    client.expect_closed();
    let ended = slave.into_process().wait().expect(128 + 15);
    // The other client's connection may not even have been accepted when the signal came.
    assert!(ended.stderr.contains("1 record read, 1 done, 0 failed"), "{}", ended.stderr);
    assert_eq!(grid.side_log("log").count("never run"), 0);
}

#[test]
fn a_client_that_is_too_fast_is_held_up() {
    let grid = Grid::new();
    let slave = Slave::start(hostile_call(&grid).args("-m 1"));
    let mut client = LineClient::connect(slave.port());
    client.send(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    let taken = client.send_until_stuck(&b"a line of some thirty letters\n".repeat(10_000));
    assert!(taken < 64 * 1024 * 1024, "{taken} bytes were read, though nothing ran them");
    grid.open_gate("gate");
    client.finish();
    slave.wait_for_stderr("are done: ");
}

#[test]
fn lines_are_refused_unless_they_are_asked_for() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let mut client = LineClient::connect(slave.port());
    client.send(ROUND_ROBIN);
    slave.wait_for_stderr("a connection was closed: the peer does not speak SimpleGrid's protocol");
    assert_eq!(slave.stdout(), b"");
}

#[test]
fn listening_beyond_this_machine_is_warned_about() {
    let grid = Grid::new();
    let slave = Slave::start(echo_call(&grid).args("--listen 0.0.0.0"));
    slave.wait_for_stderr("warning: --line-protocol on 0.0.0.0: anyone who can reach this port");
    let local = echo(&grid);
    assert!(!local.stderr().contains("--line-protocol on"));
}

#[test]
fn a_slave_whose_output_is_closed_cannot_go_on() {
    let grid = Grid::new();
    let slave = Slave::start(echo_call(&grid).head(1));
    let mut client = LineClient::connect(slave.port());
    // The first row closes the output, and a later one notices.
    let sending = std::thread::spawn(move || client.send_until_stuck(b"a line\n"));
    let ended = slave.into_process().wait().expect(4);
    sending.join().expect("the client ends, too");
    assert!(ended.stderr.contains("this slave cannot go on: standard output is closed"), "{}", ended.stderr);
}

#[test]
fn nc_sends_a_file() {
    let there = Command::new("nc").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if Need::Nc.check(there.map_err(|error| format!("`nc` cannot be run: {error}"))).is_none() {
        return;
    }
    let grid = Grid::new();
    let slave = echo(&grid);
    let file = grid.write("lines", numbered("line ", 1000));
    let mut nc = Command::new("nc")
        .args(["127.0.0.1", &slave.port().to_string()])
        .stdin(File::open(file).expect("it was just written"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("nc can be started");
    slave.wait_for_lines(1000);
    expect_rows(&slave, &numbered("line ", 1000));
    // Some versions wait until the other side closes the connection, others end with the file.
    let _ = nc.kill();
    let said = nc.wait_with_output().expect("nc ends").stdout;
    assert_eq!(said, b"", "a slave never answers lines");
}

#[test]
fn a_row_shows_whether_the_slave_can_be_had() {
    let grid = Grid::new();
    let slave = echo(&grid);
    send_lines(slave.port(), "a\n");
    wait::until("the row counts it", || grid.column(slave.port(), "done") == 1);
    assert_eq!(grid.state(slave.port()), "enabled");
}

#[test]
fn rows_go_to_the_sink_if_the_slave_has_one() {
    let grid = Grid::new();
    let sink = format!("--sink=sqlite:{}?table=rows", grid.path("rows.db").display());
    let slave = Slave::start(echo_call(&grid).arg(sink));
    send_lines(slave.port(), numbered("a", 5000));
    send_lines(slave.port(), PARTITIONED.to_owned() + "7         b\n8         c\n");
    slave.wait_for_stderr("are done: 2 records read, 2 done, 0 failed");
    let rows = rusqlite::Connection::open(grid.path("rows.db")).expect("the sink has made it");
    let count = |sql: &str| rows.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("it is a table");
    assert_eq!(count("SELECT count(*) FROM rows"), 5002);
    assert_eq!(count("SELECT count(DISTINCT line) FROM rows"), 5002);
    assert_eq!(count("SELECT count(*) FROM rows WHERE line IN ('b', 'c')"), 2);
    assert_eq!(slave.stdout(), b"");
}

#[test]
fn a_client_can_have_the_files_of_a_sink_delivered() {
    let grid = Grid::new();
    let (rows, delivered) = (grid.path("rows"), grid.path("delivered"));
    std::fs::create_dir(&rows).expect("the directory is new");
    std::fs::create_dir(&delivered).expect("the directory is new");
    let slave = Slave::start(echo_call(&grid).arg(format!("--sink=csv:{}", rows.display())));
    send_lines(
        slave.port(),
        format!(":scpto=relative\n:scpto={}\n", delivered.display()) + &numbered("a", 100),
    );
    slave.wait_for_stderr("are done: 100 records read, 100 done, 0 failed");
    let packages = std::fs::read_dir(&delivered).expect("it is there");
    let names: Vec<_> = packages.map(|entry| entry.expect("it is there").file_name()).collect();
    assert!(names.len() == 1 && names[0].to_string_lossy().ends_with(".tar.gz"), "{names:?}");
    // An invalid destination is reported, and costs no line.
    send_lines(slave.port(), ":scpto=relative\nb\n");
    slave.wait_for_stderr("«scpto=relative» is ignored");
    slave.wait_for_stderr("are done: 1 record read, 1 done, 0 failed");
}

#[test]
fn a_task_that_cannot_go_on_ends_the_slave_and_the_log_says_what_is_lost() {
    let grid = Grid::new();
    let slave = Slave::start(hostile_call(&grid));
    let port = slave.port();
    let mut client = LineClient::connect(port);
    client.send("ok\nfatal\n");
    client.expect_closed();
    let ended = slave.into_process().wait().expect(4);
    assert!(ended.stderr.contains("could not all be run, and the rest is lost: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("told to be fatal"), "{}", ended.stderr);
    assert_eq!(grid.state(port), "disabled");
}

#[test]
fn clients_that_wait_with_a_long_line_take_little_memory() {
    let grid = Grid::new();
    let slave = Slave::start(hostile_call(&grid));
    let mut first = LineClient::connect(slave.port());
    first.send(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut client = LineClient::connect(slave.port());
            std::thread::spawn(move || {
                let sent = client.send_until_stuck(&[b'x'; 1024 * 1024]);
                assert!(sent < 16 * 1024 * 1024, "{sent} bytes were taken of a line that waits");
                client
            })
        })
        .collect();
    let waiting: Vec<_> = waiting.into_iter().map(|client| client.join().expect("it gets stuck")).collect();
    let text = slave.status("VmRSS").expect("it is running");
    let resident = text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    assert!(resident.is_some_and(|kib| kib < 100 * 1024), "{text} for clients that only wait");
    waiting.into_iter().for_each(LineClient::reset);
    grid.open_gate("gate");
    first.finish();
    slave.wait_for_stderr("are done: 1 record read, 1 done");
}
