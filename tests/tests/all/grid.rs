//! Masters and slaves that find each other, share nothing, and part in peace.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use simplegrid_tests::{Grid, Slave, numbered, sorted, wait};

#[test]
fn two_slaves_bring_everything_back_in_order() {
    let grid = Grid::new();
    let (_one, _two) = (grid.slave("echo"), grid.slave("echo"));
    let input = numbered("record ", 50_000);
    let master = grid.master().arg("-k").input(&input).finish().expect(0).expect_counts(50_000, 50_000, 0);
    assert!(master.text() == input, "the output differs from the input");
    assert!(master.summary().contains("2 nodes used, 0 lost"), "{}", master.summary());
}

#[test]
fn the_list_shows_a_node_before_during_and_after_a_run() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let (port, pid) = (slave.port(), slave.pid());
    assert_eq!(grid.state(port), "enabled");
    assert_eq!((grid.column(port, "children"), grid.column(port, "pid")), (2.into(), pid.into()));
    assert_eq!(grid.column(port, "task"), "echo");
    let master = grid.master().start();
    grid.wait_for_state(port, "reserved");
    assert!(grid.column(port, "reserved_by").is_string());
    master.finish().expect(0);
    grid.wait_for_state(port, "enabled");
    assert!(grid.column(port, "reserved_by").is_null());
    let table = grid.node_manager().arg("list").finish().expect(0).text();
    assert!(table.starts_with("NODE") && table.contains(&format!(":{port}")), "{table}");
}

#[test]
fn a_disabled_node_is_not_used_until_it_is_enabled() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let manage = |verb: &str| grid.manage(slave.port(), verb).finish().expect(0);
    manage("disable");
    assert_eq!(grid.state(slave.port()), "disabled");
    grid.master().args("--wait-nodes 300ms").input("a\n").finish().expect(3);
    manage("enable");
    grid.master().input("a\n").finish().expect(0);
}

#[test]
fn the_node_manager_finds_a_slave_of_this_machine_by_its_port() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    grid.node_manager().arg("-p").arg(slave.port().to_string()).arg("disable").finish().expect(0);
    assert_eq!(grid.state(slave.port()), "disabled");
}

#[test]
fn a_node_that_is_gone_is_invalid_until_it_is_released() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let port = slave.port();
    slave.signal(Signal::SIGKILL);
    slave.into_process().wait();
    grid.master().args("--wait-nodes 300ms").input("a\n").finish().expect(3);
    assert_eq!(grid.state(port), "invalid");
    grid.manage(port, "release").finish().expect(0);
    assert_eq!(grid.state(port), "enabled");
}

#[test]
fn a_node_that_does_not_exist_is_named() {
    let grid = Grid::new();
    for verb in ["enable", "disable", "release", "shutdown"] {
        let managed = grid.node_manager().args("-h nowhere -p 4711").arg(verb).finish();
        assert_ne!(managed.status, 0);
        assert_eq!(managed.errors().len(), 1, "{}", managed.stderr);
        assert!(managed.errors()[0].contains("nowhere:4711"), "{}", managed.stderr);
    }
}

#[test]
fn shutdown_returns_when_the_slave_has_ended() {
    let grid = Grid::new();
    let mut slave = grid.slave("echo");
    let port = slave.port();
    grid.manage(port, "shutdown").finish().expect(0);
    assert_eq!((grid.state(port).as_str(), grid.column(port, "pid")), ("disabled", serde_json::Value::Null));
    wait::until("the slave ends", || !slave.is_running());
    slave.into_process().wait().expect(0);
    assert!(grid.processes().is_empty(), "{:?}", grid.processes());
}

#[test]
fn a_slave_that_is_shut_down_in_a_run_finishes_what_it_has() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let master = grid.master().input(format!("before\n{}\n", grid.gate("gate"))).start();
    grid.wait_at_gate("gate", 1);
    let shutdown = grid.manage(slave.port(), "shutdown").start();
    slave.wait_for_stderr("asks this slave to end");
    grid.open_gate("gate");
    slave.into_process().wait().expect(0);
    shutdown.wait().expect(0);
    master.wait().expect(0).expect_counts(2, 2, 0);
    assert_eq!(grid.side_log("log").len(), 2, "nothing was run twice");
}

/// Checks in a slave's log that it served its masters one after the other.
#[track_caller]
fn expect_one_master_at_a_time(log: &str) -> usize {
    let mut serving = None;
    let mut served = 0;
    for line in log.lines() {
        if let Some((_, reservation)) = line.split_once("serving ") {
            assert_eq!(serving.replace(reservation.to_owned()), None, "two masters at once:\n{log}");
            served += 1;
        } else if serving.as_ref().is_some_and(|reservation| line.contains(&format!("{reservation} is "))) {
            serving = None;
        }
    }
    served
}

#[test]
fn two_masters_never_share_a_node() {
    let grid = Grid::new();
    let slaves = [grid.slave("echo"), grid.slave("echo")];
    let start =
        |name: &str| grid.master().args("-m 2 -k --wait-nodes 40s").input(numbered(name, 20_000)).start();
    let masters = [("a ", start("a ")), ("b ", start("b "))];
    for (name, master) in masters {
        let master = master.wait().expect(0).expect_counts(20_000, 20_000, 0);
        assert!(master.text() == numbered(name, 20_000), "the output of master {name}differs from its input");
    }
    let served: usize = slaves.iter().map(|slave| expect_one_master_at_a_time(&slave.stderr())).sum();
    assert!((2..=4).contains(&served), "both slaves have served {served} times");
}

#[test]
fn a_master_waits_for_nodes_that_another_has() {
    let grid = Grid::new();
    let slaves = [grid.slave("echo"), grid.slave("echo")];
    let first = grid.master().args("-m 2").start();
    slaves.iter().for_each(|slave| grid.wait_for_state(slave.port(), "reserved"));
    let second = grid.master().args("-m 2 --wait-nodes 40s").input("a\n").start();
    assert!(second.stdout().is_empty(), "all nodes are reserved");
    first.finish().expect(0);
    assert_eq!(second.wait().expect(0).text(), "a\n");
}

#[test]
fn without_any_node_a_master_gives_up_in_time() {
    let grid = Grid::new();
    let began = Instant::now();
    let master = grid.master().args("--wait-nodes 500ms").input("a\n").finish().expect(3);
    assert!(began.elapsed() < wait::PATIENCE / 2);
    assert_eq!(master.errors().len(), 1, "{}", master.stderr);
    assert!(master.errors()[0].contains("--wait-nodes"), "{}", master.stderr);
}

#[test]
fn a_slave_that_comes_late_gets_work() {
    let grid = Grid::new();
    let _early = grid.noting_slave();
    let mut master = grid.master().args("--reallocate-every 200ms").start();
    master.write("first\n");
    master.wait_for_lines(1);
    let late = grid.noting_slave();
    grid.wait_for_state(late.port(), "reserved");
    let workers: Vec<_> = late.workers(&grid.workers()).iter().map(|worker| worker.pid as u32).collect();
    wait::until("the late slave runs a record", || {
        master.write("more\n".repeat(20));
        grid.side_log("log").executions().any(|(_, worker)| workers.contains(&worker))
    });
    master.finish().expect(0);
}

#[test]
fn a_master_can_end_its_slaves() {
    let grid = Grid::new();
    let slaves = [grid.slave("echo"), grid.slave("echo")];
    grid.master().args("-s").input(numbered("record ", 1000)).finish().expect(0);
    for slave in slaves {
        let port = slave.port();
        slave.into_process().wait().expect(0);
        assert_eq!(grid.state(port), "disabled");
    }
    assert!(grid.processes().is_empty(), "{:?}", grid.processes());
}

#[test]
fn commands_for_slaves_are_accepted_and_unknown_ones_logged() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let master = grid.master().args("-i done=no -i scheduler=partitioned -i dance=tango").input("a\n");
    master.finish().expect(0);
    slave.wait_for_stderr("unknown administrative command");
    let log = slave.stderr();
    let line = log.lines().find(|line| line.contains("unknown administrative command")).unwrap();
    assert!(line.contains("warning") && line.contains("dance") && line.contains("tango"), "{line}");
    assert_eq!(log.matches("unknown administrative command").count(), 1, "{log}");
}

#[test]
fn a_run_has_one_task() {
    let grid = Grid::new();
    let slaves = [grid.slave("echo"), grid.slave("email-domain")];
    let input = "joe@example.org\n".repeat(1000);
    let master = grid.master().arg("-k").input(&input).finish().expect(0);
    let of_domain = "joe@example.org,example.org\n".repeat(1000);
    assert!(master.text() == input || master.text() == of_domain, "rows of two tasks:\n{}", master.text());
    slaves.iter().for_each(|slave| grid.wait_for_state(slave.port(), "enabled"));
}

#[test]
fn a_second_slave_on_a_live_port_is_refused() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let port = slave.port().to_string();
    let second = grid.slave_call("echo").arg("-p").arg(&port).finish();
    assert!([2, 4].contains(&second.status), "{}", second.stderr);
    assert_eq!(second.errors().len(), 1, "{}", second.stderr);
    assert!(second.errors()[0].contains(&port), "{}", second.stderr);
    assert_eq!(grid.state(slave.port()), "enabled");
    grid.master().input("a\n").finish().expect(0);
}

#[test]
fn a_node_that_says_it_cannot_go_on_disables_itself() {
    let grid = Grid::new();
    let slave = grid.slave("hostile");
    let port = slave.port();
    let master = grid.master().args("--wait-nodes 300ms").input("ok\nfatal\n").finish();
    assert_ne!(master.status, 0, "{}", master.stderr);
    let slave = slave.into_process().wait().expect(4);
    assert!(slave.errors()[0].contains("told to be fatal"), "{}", slave.stderr);
    assert_eq!(grid.state(port), "disabled");
}

#[test]
fn a_slave_serves_one_master_after_the_other() {
    let grid = Grid::new();
    let slave = grid.slave("word-count");
    for _ in 0..3 {
        let master = grid.master().input("a b a\n").finish().expect(0);
        assert_eq!(sorted(&master.stdout), ["a,2", "b,1"]);
    }
    assert_eq!(expect_one_master_at_a_time(&slave.stderr()), 3);
}

#[test]
fn a_slave_can_limit_the_time_of_a_record_by_itself() {
    let grid = Grid::new();
    let _slave = Slave::start(grid.slave_call("hostile").args("--record-timeout 1s"));
    let master = grid.master().args("-k --retries 0").path("--failed", grid.path("failed"));
    let master = master.input("before\nhang\nafter\n").finish().expect(1).expect_counts(3, 2, 1);
    assert_eq!(master.text(), "before\nafter\n");
    assert_eq!(grid.failed("failed")[0].reason, "timeout");
}

#[test]
fn arguments_of_the_slave_reach_a_task_that_knows_them() {
    let grid = Grid::new();
    let log = format!("side-log={}", grid.path("log").display());
    let call = grid.slave_call("hostile").arg("--manager-arg").arg(log).args("--manager-arg unknown=1");
    let _slave = Slave::start(call);
    grid.master().input("a\n").finish().expect(0);
    assert_eq!(grid.side_log("log").count("a"), 1);
}

#[test]
fn a_reader_that_has_seen_enough_frees_the_nodes() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let master = grid.master().arg("-k").head(1).input(numbered("record ", 300_000)).finish().expect(141);
    assert_eq!((master.stderr.as_str(), master.text().as_str()), ("", "record 0\n"));
    grid.wait_for_state(slave.port(), "enabled");
}

#[test]
fn long_records_and_rows_cross_the_network() {
    let grid = Grid::new();
    let _slaves = [grid.slave("hostile"), grid.slave("hostile")];
    let long = "x".repeat(10 << 20);
    let master = grid.master().arg("-k").input(format!("{long}\nhuge 30000000\n{long}\n")).finish().expect(0);
    let lengths: Vec<_> = master.text().lines().map(str::len).collect();
    assert_eq!(lengths, [10 << 20, 30_000_000, 10 << 20]);
}

#[test]
fn a_reader_that_pauses_loses_neither_rows_nor_nodes() {
    /// Longer than the silence after which a peer is given up (`limits.rs`).
    const PAUSE: Duration = Duration::from_secs(8);
    let grid = Grid::new();
    let _slaves = [grid.slave("echo"), grid.slave("echo")];
    // More than the output's pipe, the writer's queue and all windows together.
    let input = numbered(&"x".repeat(1000), 60_000);
    let mut master = grid.master().arg("-k").input(&input).paged().start();
    let began = Instant::now();
    wait::until("the reader is back", || began.elapsed() > PAUSE);
    master.read_stdout();
    let master = master.wait().expect(0).expect_counts(60_000, 60_000, 0);
    assert!(master.text() == input, "the output differs from the input");
    assert!(master.summary().contains(" 0 lost"), "{}", master.stderr);
}

#[test]
fn an_input_that_pauses_loses_no_nodes() {
    /// Longer than the silence after which a peer is given up (`limits.rs`).
    const PAUSE: Duration = Duration::from_secs(8);
    let grid = Grid::new();
    let _slaves = [grid.slave("echo"), grid.slave("echo")];
    let mut master = grid.master().start();
    master.write("a\n");
    let began = Instant::now();
    wait::until("the input goes on", || began.elapsed() > PAUSE);
    master.write("b\n");
    let master = master.finish().expect(0).expect_counts(2, 2, 0);
    assert!(master.summary().contains(" 0 lost"), "{}", master.stderr);
}

#[test]
fn a_record_that_takes_long_costs_no_node() {
    let grid = Grid::new();
    let _slaves = [grid.slave("hostile"), grid.slave("hostile")];
    let master = grid.master().arg("-k").input("sleep 8000\nsleep 8001\na\n").finish().expect(0);
    assert_eq!(master.text(), "sleep 8000\nsleep 8001\na\n");
    assert!(
        master.summary().contains(" 0 retried") && master.summary().contains(" 0 lost"),
        "{}",
        master.stderr
    );
}
