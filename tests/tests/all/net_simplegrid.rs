//! Small behaviours of Net::SimpleGrid that its users count on, whatever else has changed.

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, DatabaseServer, Engine, Grid, Slave, numbered, wait};

/// The rates in the log lines about them.
fn sample_rates(log: &str) -> Vec<f64> {
    let after = |line: &str| Some(line.split_once("sample rate: ")?.1.split(' ').next()?.to_owned());
    log.lines().filter_map(after).map(|rate| rate.parse().expect("a rate is a number")).collect()
}

#[test]
fn a_slave_says_how_fast_it_is_as_often_as_it_is_told() {
    let grid = Grid::new();
    let slave = Slave::start(grid.slave_call("echo").args("--sample_rate_secs 1"));
    grid.master().input(numbered("record ", 10_000)).finish().expect(0);
    wait::until("the work shows in a rate", || sample_rates(&slave.stderr()).iter().any(|rate| *rate > 0.0));
    let so_far = sample_rates(&slave.stderr()).len();
    wait::until("there are more lines", || sample_rates(&slave.stderr()).len() >= so_far + 2);
    assert_eq!(sample_rates(&slave.stderr()).last(), Some(&0.0), "now it is idle");
    assert!(slave.stderr().contains("records/s done=10000 failed=0"), "{}", slave.stderr());
}

#[test]
fn a_quiet_slave_says_nothing_unless_something_is_wrong() {
    let grid = Grid::new();
    let mut slave = grid.slave_call("echo").args("-q -s 1").start();
    let port = wait::until_some("the slave is ready", || {
        assert!(slave.is_running(), "{}", slave.stderr());
        let node = grid.nodes().into_iter().find(|node| node["state"] == "enabled")?;
        u16::try_from(node["port"].as_u64()?).ok()
    });
    grid.master().input(numbered("record ", 1000)).finish().expect(0);
    // Enough time for a line about the rate.
    let seen = || grid.column(port, "last_seen").as_i64();
    let first = seen();
    wait::until("two seconds have passed", || seen() >= first.map(|seen| seen + 2));
    assert_eq!(slave.stderr(), "");
    // Something is wrong if a worker dies.
    grid.workers()[0].signal(Signal::SIGKILL);
    slave.wait_for_stderr("warning: a worker was lost");
    slave.signal(Signal::SIGTERM);
    slave.wait().expect(128 + 15);
}

#[test]
fn a_row_is_disabled_until_the_slave_is_ready() {
    let grid = Grid::new();
    let mut slave = grid.slave_call("hostile").task_arg("new", "hang").start();
    let node = wait::until_some("the slave has a row", || {
        assert!(slave.is_running(), "{}", slave.stderr());
        grid.nodes().pop().filter(|node| node["pid"].is_u64())
    });
    assert_eq!((&node["state"], &node["children"]), (&"disabled".into(), &2.into()));
    let master = grid.master().args("--wait-nodes 1s").input("a\n").finish().expect(3);
    assert!(master.errors()[0].contains("no node could be reserved"), "{}", master.stderr);
    assert_eq!(grid.nodes()[0]["state"], "disabled");
    slave.signal(Signal::SIGTERM);
    slave.wait().expect(128 + 15);
}

#[test]
fn a_slave_whose_workers_die_again_and_again_disables_its_row_and_ends() {
    let grid = Grid::new();
    let mut slave = grid.slave("echo");
    let port = slave.port();
    wait::until("the slave gives up", || {
        grid.workers().iter().for_each(|worker| worker.signal(Signal::SIGKILL));
        !slave.is_running()
    });
    let ended = slave.into_process().wait().expect(4);
    let error = ended.errors().first().map(|line| (*line).to_owned()).unwrap_or_default();
    assert!(error.contains("this slave cannot go on: worker "), "{}", ended.stderr);
    assert!(error.contains("failed to start 5 times in a row, last because "), "{}", ended.stderr);
    assert_eq!(grid.state(port), "disabled");
    assert!(grid.column(port, "pid").is_null());
}

#[test]
fn a_slave_is_refused_where_a_live_row_is_whatever_its_state() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let port = slave.port().to_string();
    // On another address the port is free, but the row's name is not.
    let again = || {
        let call = grid.slave_call("echo").args("--listen 127.0.0.2 --advertise 127.0.0.1 -p").arg(&port);
        call.finish().expect(4)
    };
    let refused = again();
    assert!(refused.errors()[0].contains("is in use"), "{}", refused.stderr);
    grid.manage(slave.port(), "disable").finish().expect(0);
    let refused = again();
    assert!(refused.errors()[0].contains("is in use"), "{}", refused.stderr);
    assert_eq!(grid.column(slave.port(), "pid"), slave.pid());
}

#[test]
fn a_negative_number_reserves_every_slave() {
    let grid = Grid::new();
    let _slaves: Vec<_> = (0..3).map(|_| grid.slave("echo")).collect();
    let master = |max: &str| {
        let call = grid.master().env("SIMPLEGRID_MAX_RESERVE", "1").args(max).input(numbered("", 30_000));
        call.finish().expect(0).summary().to_owned()
    };
    assert!(master("").contains("1 node used"));
    assert!(master("-m 2").contains("2 nodes used"));
    assert!(master("-m -1").contains("3 nodes used"));
    assert!(master("--max_reserve=-7").contains("3 nodes used"));
}

#[test]
fn a_reservation_names_process_user_and_host() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let master = grid.master().start();
    grid.wait_for_state(slave.port(), "reserved");
    let holder = grid.column(slave.port(), "reserved_by");
    let words: Vec<&str> = holder.as_str().expect("it is a text").split(' ').collect();
    let (pid, user) = (master.pid().to_string(), nix::unistd::geteuid().to_string());
    assert_eq!(words[..5], ["pid", &pid, "euid", &user, "host"], "{holder}");
    assert!(!words[5].is_empty() && words[6] == "run", "{holder}");
    master.finish().expect(0);
}

#[test]
fn a_master_can_shut_its_slaves_down() {
    for flag in ["-s", "--shutdown_slaves", "-i done=1", "--init_slave_cmd=done=yes"] {
        let grid = Grid::new();
        let slaves = [grid.slave("echo"), grid.slave("echo")];
        let ports = slaves.each_ref().map(|slave| slave.port());
        grid.master()
            .args(flag)
            .input(numbered("record ", 100))
            .finish()
            .expect(0)
            .expect_counts(100, 100, 0);
        for slave in slaves {
            let ended = slave.into_process().wait().expect(0);
            assert!(ended.stderr.contains("asks this slave to end"), "{flag}: {}", ended.stderr);
        }
        ports.iter().for_each(|port| assert_eq!(grid.state(*port), "disabled", "{flag}"));
    }
}

/// As `conf/server.addr` and the variable `SADDR` did for Net::SimpleGrid's scripts.
#[test]
fn the_registrys_server_is_named_in_a_file_or_by_the_environment() {
    for engine in Engine::available() {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let here = format!("127.0.0.1:{}", server.port());
        // A name that does not resolve, by RFC 2606.
        let grid = Grid::with_registry(server.database().url().replace(&here, "nowhere.invalid"));
        let file = format!("@{}", grid.write("server.addr", format!("{here}\n")).display());
        let slave = Slave::start(grid.slave_call("echo").args("--registry-server").arg(&file));
        let master = grid.master().env("SIMPLEGRID_REGISTRY_SERVER", &here).input("a\n");
        assert_eq!(master.finish().expect(0).text(), "a\n");
        let words = format!("list --json --registry-server {file}");
        assert!(
            grid.node_manager().args(&words).finish().expect(0).text().contains(&slave.port().to_string())
        );
        // In an address alone, the server is not found; an invalid name is the user's error.
        let wrong = grid.node_manager().args("list --registry-server user:hunter2@h").finish().expect(2);
        assert!(wrong.stderr.contains("write HOST or HOST:PORT") && !wrong.stderr.contains("hunter2"));
    }
    let grid = Grid::new();
    let wrong = grid.node_manager().args("list --registry-server h").finish().expect(2);
    assert!(wrong.errors()[0].contains("the registry is a file"), "{}", wrong.stderr);
}

/// Adds what each of Net::SimpleGrid's command lines has.
fn perl<'g>(call: Call<'g>, grid: &Grid, words: &str) -> Call<'g> {
    let dsn = format!("dsn=dbi:SQLite:dbname={}", grid.path("perl.db").display());
    call.args(words).arg(dsn).args("--manager_arg=domain=")
}

#[test]
fn command_lines_of_net_simplegrid_are_understood() {
    let grid = Grid::new();
    // slave.pl -p … -m 2 --task_arg … --manager_arg=… -q -s 60 -t CLASS
    let words = "slave -p 0 -m 1 --task_arg=flush=finish -s 60 -t hostile --manager_arg";
    let slave = Slave::start(perl(grid.simplegrid(), &grid, words));
    // master.pl --manager_arg=… --manager_arg=scheduler=… --max_reserve=10
    let words = "master --manager_arg=scheduler=Net::SimpleGrid::Scheduler::RoundRobinStrategy --max_reserve=10 --manager_arg";
    let master = perl(grid.simplegrid(), &grid, words).input("ok\n").finish().expect(0);
    assert!(master.summary().contains("1 node used"), "{}", master.stderr);
    // node-manager.pl -h HOST -p PORT --manager_args=… VERB
    for (verb, state) in [("disable", "disabled"), ("ENABLE", "enabled"), ("shutdown", "ended")] {
        let words = format!("node-manager -h 127.0.0.1 -p {} --manager_args", slave.port());
        let managed = perl(grid.simplegrid(), &grid, &words).arg(verb).finish().expect(0);
        assert!(managed.stderr.contains(state), "{}", managed.stderr);
    }
    slave.into_process().wait().expect(0);
}
