//! Peers that connect to a slave and are not a master: the connection is closed with a reason in the log, and
//! no one else notices.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use simplegrid_tests::{Grid, numbered, wait};

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the slave listens");
    stream.set_read_timeout(Some(wait::PATIENCE)).expect("a timeout can be set");
    stream
}

/// Reads until the slave closes the connection.
#[track_caller]
fn expect_closed(mut stream: TcpStream) {
    let mut said = Vec::new();
    // A reset is as good as an end: the slave resets the connection if it has not read everything.
    if let Err(error) = stream.read_to_end(&mut said) {
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::ConnectionReset,
            "the slave keeps the connection: {error}"
        );
    }
}

#[test]
fn garbage_is_refused_while_a_master_works_on() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    let mut master = grid.master().arg("-k").start();
    master.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    for garbage in [&b"GET / HTTP/1.1\r\nHost: slave\r\n\r\n"[..], &[0xff; 4096], &[0; 64]] {
        let mut stream = connect(slave.port());
        // The slave can close the connection before it has read everything.
        let _ = stream.write_all(garbage);
        expect_closed(stream);
    }
    slave.wait_for_stderr("a connection was closed:");
    grid.open_gate("gate");
    master.write(numbered("record ", 1000));
    master.finish().expect(0).expect_counts(1001, 1001, 0);
}

#[test]
fn a_peer_that_says_nothing_is_closed() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let silent = connect(slave.port());
    assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
    expect_closed(silent);
    slave.wait_for_stderr("did not say who it is");
}

#[test]
fn a_peer_that_leaves_at_once_is_nothing_to_speak_of() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    for _ in 0..50 {
        let stream = connect(slave.port());
        let _ = stream.shutdown(Shutdown::Both);
    }
    assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
    assert!(!slave.stderr().contains("error"), "{}", slave.stderr());
}

#[test]
fn many_silent_peers_do_not_keep_a_master_out_for_ever() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let flood: Vec<_> = (0..200).map(|_| connect(slave.port())).collect();
    let master = grid.master().args("--wait-nodes 40s").input(numbered("record ", 100));
    master.finish().expect(0).expect_counts(100, 100, 0);
    drop(flood);
}

#[test]
fn a_second_master_is_told_which_master_is_served() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let first = grid.master().start();
    grid.wait_for_state(slave.port(), "reserved");
    // Someone gives the row away while its master is alive: the slave knows better.
    grid.manage(slave.port(), "release").finish();
    let second = grid.master().args("--wait-nodes 40s").input("a\n").start();
    first.finish().expect(0);
    assert_eq!(second.wait().expect(0).text(), "a\n");
}
