//! Rows that belong to slaves of Net::SimpleGrid itself, among our own. Such a slave takes whatever is sent
//! to its port for lines, so no program of ours may connect to it.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use simplegrid_test_servers::Listener;
use simplegrid_tests::{Grid, wait};

/// A slave of Net::SimpleGrid, as far as others can tell: it notes what it is sent.
struct PerlSlave {
    listener: Listener,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl PerlSlave {
    fn start() -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let listener = Listener::start(move |_, mut connection| {
            let mut bytes = Vec::new();
            // A connection that breaks has been heard all the same.
            let _ = connection.read_to_end(&mut bytes);
            hears.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        });
        Self { listener, heard }
    }

    fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    fn expect_silence(&self) {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
        assert_eq!(self.listener.connections(), 0);
    }
}

fn meddle(grid: &Grid, sql: &str) {
    let registry = Connection::open(grid.path("grid.db")).expect("the file is there");
    registry.busy_timeout(wait::PATIENCE).expect("a timeout can be set");
    registry.execute_batch(sql).expect("the statement is right");
}

#[test]
fn shutdown_and_reload_send_nothing_to_a_slave_of_net_simplegrid() {
    let grid = Grid::new();
    grid.node_manager().arg("list").finish().expect(0);
    let perl = PerlSlave::start();
    let port = perl.address().port();
    meddle(
        &grid,
        &format!(
            "INSERT INTO nodes (hostname, port, reserved_by, children, state) VALUES ('127.0.0.1', {port}, '', 5, 'disabled')"
        ),
    );
    for state in ["enabled", "reserved", "invalid", "disabled"] {
        meddle(&grid, &format!("UPDATE nodes SET state = '{state}', start_time = 1203355633"));
        for (verb, advice) in [("shutdown", ":done=0"), ("reload", "start it anew")] {
            let refused = grid.manage(port, verb).finish().expect(4);
            assert!(
                refused.errors()[0].contains("belongs to a slave of Net::SimpleGrid"),
                "{}",
                refused.stderr
            );
            assert!(refused.errors()[0].contains(advice), "{}", refused.stderr);
        }
    }
    perl.expect_silence();
}

/// Net::SimpleGrid's slaves use a row that is disabled, no matter which slave has left it, and do not touch
/// our columns.
#[test]
fn nothing_is_sent_to_a_slave_of_net_simplegrid_that_has_taken_over_a_row_of_ours() {
    let grid = Grid::new();
    let ours = grid.slave("echo");
    let key = ours.port();
    grid.manage(key, "shutdown").finish().expect(0);
    ours.into_process().wait().expect(0);
    // The row of a slave that has ended needs no connection.
    let again = grid.manage(key, "shutdown").finish().expect(0);
    assert!(again.stderr.contains("has ended"), "{}", again.stderr);
    let perl = PerlSlave::start();
    let port = perl.address().port();
    meddle(&grid, &format!("UPDATE nodes SET port = {port}, state = 'enabled', start_time = unixepoch()"));
    let master = grid.master().args("--wait-nodes 1s").input("a\n").finish().expect(3);
    assert!(master.errors()[0].contains("no node could be reserved"), "{}", master.stderr);
    grid.manage(port, "shutdown").finish().expect(4);
    grid.node_manager().args("prune --silent-for 0s").finish().expect(0);
    assert_eq!(grid.state(port), "enabled");
    perl.expect_silence();
}

#[test]
fn shutdown_sends_nothing_where_a_slave_has_been_silent() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let port = slave.port();
    slave.signal(nix::sys::signal::Signal::SIGKILL);
    slave.into_process().wait();
    let perl = PerlSlave::start();
    let new_port = perl.address().port();
    meddle(&grid, &format!("UPDATE nodes SET port = {new_port}, last_seen = last_seen - 60"));
    let refused = grid.manage(new_port, "shutdown").finish().expect(4);
    assert!(refused.errors()[0].contains("has said nothing for 6"), "{port}: {}", refused.stderr);
    perl.expect_silence();
}
