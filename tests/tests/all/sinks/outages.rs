//! Databases that go away and come back in the middle of a run: the run waits, and nothing is lost or there
//! twice.

use std::time::Duration;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use simplegrid_tests::{DatabaseServer, Dice, Engine, Grid, Process, Slave, numbered, wait};

use super::place::Place;

fn slave(grid: &Grid, place: &Place<'_>) -> Slave {
    Slave::start(grid.slave_call("hostile").arg("--sink").arg(place.sink("found")))
}

fn expect_all(place: &Place<'_>, master: Process, input: &str) {
    let records = input.lines().count() as u64;
    let master = master.wait().expect(0).expect_counts(records, records, 0);
    assert!(master.summary().contains("1 node used, 0 lost"), "{}", master.summary());
    place.expect_once("found", "line", input.lines().map(str::to_owned));
}

#[test]
fn a_server_that_is_restarted_in_mid_run_costs_nothing() {
    let grid = Grid::new();
    let input = numbered("sleep 1 ", 4000);
    for engine in Engine::available() {
        let mut server = DatabaseServer::start(engine).expect("it is installed");
        let sink = format!("{}?table=found", server.database().url());
        write_at_commit(&server);
        let slave = Slave::start(grid.slave_call("hostile").arg("--sink").arg(&sink));
        let master = grid.master().input(&input).start();
        let database = database_of(&sink);
        let count = |server: &DatabaseServer| -> usize {
            let rows =
                server.try_administer(Some(&database), "SELECT count(*) FROM found").unwrap_or_default();
            rows.first().and_then(|row| row[0].as_deref()?.parse().ok()).unwrap_or(0)
        };
        let mut dice = Dice::new(7);
        for round in 0..4 {
            let before = count(&server);
            wait::until("more rows are there", || count(&server) > before);
            wait::until_the_next_strike(Duration::from_millis(dice.roll(60) as u64));
            // A server that is killed may have committed what it did not acknowledge.
            if round % 2 == 0 {
                server.kill()
            } else {
                server.stop()
            }
            slave.wait_for_stderr("the sink fails, trying again until it works");
            server.start_again();
            write_at_commit(&server);
        }
        slave.wait_for_stderr("the sink is back");
        let master = master.wait().expect(0).expect_counts(4000, 4000, 0);
        assert!(master.summary().contains("1 node used, 0 lost"), "{}", master.summary());
        let found = server.administer(Some(&database), "SELECT count(*), count(DISTINCT line) FROM found");
        assert_eq!(found, [[Some("4000".to_owned()), Some("4000".to_owned())]], "{engine:?}");
        assert!(!slave.stderr().contains("hunter2"), "{}", slave.stderr());
    }
}

/// The tests' MariaDB writes commits to the disk when it likes, and would forget them when it is killed.
/// PostgreSQL does what each connection asks for.
fn write_at_commit(server: &DatabaseServer) {
    if server.engine() == Engine::Mariadb {
        server.administer(None, "SET GLOBAL innodb_flush_log_at_trx_commit = 2");
    }
}

/// The database in a URL.
fn database_of(url: &str) -> String {
    let path = url.rsplit_once('/').expect("it names a database").1;
    path.split('?').next().expect("there is something before the query").to_owned()
}

#[test]
fn a_slave_waits_for_a_server_that_does_not_answer_and_says_that_it_is_alive() {
    let grid = Grid::new();
    let input = numbered("sleep 1 ", 2000);
    for engine in Engine::available() {
        let server = DatabaseServer::start(engine).expect("it is installed");
        let place = Place::Server(engine, server.database());
        let _slave = slave(&grid, &place);
        let mut master = grid.master().input(&input).start();
        wait::until("rows are there", || place.count("found") > 0);
        server.freeze();
        // Longer than a master waits for a silent slave.
        wait::until_the_next_strike(Duration::from_secs(7));
        assert!(master.is_running(), "{}", master.stderr());
        server.thaw();
        expect_all(&place, master, &input);
    }
}

#[test]
fn a_file_that_another_program_has_locked_is_waited_for() {
    let grid = Grid::new();
    let place = Place::sqlite(&grid);
    let slave = slave(&grid, &place);
    let blocker = Connection::open(grid.path("rows.db")).expect("it can be opened");
    blocker.execute_batch("BEGIN IMMEDIATE").expect("it can be locked");
    let input = numbered("", 100);
    let mut master = grid.master().input(&input).start();
    slave.wait_for_stderr("the sink fails, trying again until it works");
    assert!(master.is_running(), "{}", master.stderr());
    blocker.execute_batch("ROLLBACK").expect("it can be unlocked");
    expect_all(&place, master, &input);
}

#[test]
fn a_table_that_is_dropped_in_mid_run_ends_the_slave_with_a_reason() {
    let grid = Grid::new();
    for place in super::place::all(&grid) {
        let slave = slave(&grid, &place);
        let mut master = grid.master().args("--wait-nodes 1s").start();
        master.write("sleep 1 0\n");
        wait::until("a row is there", || place.count("found") > 0);
        place.run("DROP TABLE found");
        master.write("sleep 1 1\n");
        let master = master.finish().expect(4);
        assert!(master.errors()[0].contains("its sink: "), "{}", master.stderr);
        let ended = slave.into_process().wait().expect(4);
        assert!(ended.errors()[0].contains("this slave cannot go on: its sink: "), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
}

#[test]
fn a_drain_commits_what_is_in_flight() {
    let grid = Grid::new();
    for place in super::place::all(&grid) {
        let slave = slave(&grid, &place);
        let mut master = grid.master().args("--wait-nodes 1s").start();
        master.write(numbered("sleep 5 ", 50));
        wait::until("rows are there", || place.count("found") > 0);
        slave.signal(Signal::SIGTERM);
        slave.into_process().wait().expect(143);
        let ended = master.finish();
        assert_eq!(place.count("found") as u64, ended.count("done"), "{}: {}", place.name(), ended.stderr);
    }
}

#[test]
fn a_run_whose_database_is_gone_can_be_ended() {
    let grid = Grid::new();
    for engine in Engine::available() {
        let server = DatabaseServer::start(engine).expect("it is installed");
        let place = Place::Server(engine, server.database());
        let mut run = grid.run("hostile").arg("--sink").arg(place.sink("found")).start();
        run.write("sleep 1 0\n");
        wait::until("a row is there", || place.count("found") > 0);
        server.freeze();
        run.write("sleep 1 1\n");
        run.signal(Signal::SIGTERM);
        run.wait_for_stderr("a second signal stops at once");
        run.signal(Signal::SIGTERM);
        run.wait().expect(143);
        server.thaw();
    }
}
