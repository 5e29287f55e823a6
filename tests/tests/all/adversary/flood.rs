//! Hundreds of connections that are not a master's.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

use simplegrid::internals::wire::{Frame, MasterToSlave, Role};
use simplegrid_fuzz_targets::codec;
use simplegrid_tests::{Grid, Process, Slave, numbered, wait};

use super::peer::{PREAMBLE, Peer, master};

/// How far a slave's memory can grow at its peak: 128 connections with a buffer of 80 KiB at most are 10 MiB.
const GROWTH_KIB_MAX: u64 = 32 * 1024;

/// Connections of each kind.
const EACH: usize = 40;

/// Lines of one kind that the slave's log allows in a second.
const LINES_A_SECOND_MAX: usize = 20;

/// A way to be a nuisance: its name, what it does once it is connected, and the reason that the log gives.
type Nuisance = (&'static str, fn(&mut Peer), &'static str);

/// All those that are closed at once, or close themselves.
const NUISANCES: [Nuisance; 9] = [
    ("garbage", send_garbage, "does not speak SimpleGrid's protocol"),
    (
        "another version",
        |peer| {
            peer.send(b"SIMPLEG\x09");
        },
        "speaks version 9",
    ),
    (
        "giant lengths",
        |peer| {
            peer.send(&[PREAMBLE, &[0xff; 12]].concat());
        },
        "announced a frame of",
    ),
    ("raw bytes before the hello", send_raw_bytes, "announced a frame of"),
    ("garbage after the preamble", send_bad_message, "cannot be read"),
    ("half a frame", send_half_a_hello, "in the middle of a message"),
    ("no hello", send_a_bye, "the first message was not a hello"),
    (
        "a second master",
        |peer| {
            peer.say_hello(master("a second one"));
        },
        "refused: it is serving",
    ),
    (
        "a long name",
        |peer| {
            peer.say_hello(master(&"x".repeat(60_000)));
        },
        "the name of its reservation",
    ),
];

fn send_garbage(peer: &mut Peer) {
    // Any generator will do that gives the same numbers each time.
    let mut state = 1_u32;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(5000)
    .collect();
    peer.send(&bytes);
}

fn send_raw_bytes(peer: &mut Peer) {
    peer.send(&[PREAMBLE, &[1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 6, 1, 2, 3, 4]].concat());
}

fn send_bad_message(peer: &mut Peer) {
    peer.send(&[PREAMBLE, &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0xee; 20]].concat());
}

fn send_half_a_hello(peer: &mut Peer) {
    peer.send(&[PREAMBLE, &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat());
    peer.end_sending();
}

fn send_a_bye(peer: &mut Peer) {
    peer.send(PREAMBLE);
    peer.send(&codec::encode(&Frame::from(MasterToSlave::Bye)));
}

fn peak_kib(process: &Process) -> u64 {
    let peak = process.status("VmHWM").expect("it is running");
    peak.trim_end_matches("kB").trim().parse().expect("a number of KiB")
}

/// A slave, a master that has begun its run, and what the slave had before.
struct Honest<'g> {
    slave: Slave,
    master: Process,
    descriptors: usize,
    peak_kib: u64,
    records: usize,
    _grid: &'g Grid,
}

impl<'g> Honest<'g> {
    fn start(grid: &'g Grid) -> Self {
        let slave = Slave::start(grid.slave_call("echo").arg("-v"));
        let descriptors = slave.descriptors().len();
        let master = grid.master().arg("-k").start();
        let mut honest = Self { peak_kib: 0, slave, master, descriptors, records: 0, _grid: grid };
        honest.go_on();
        honest.master.wait_for_lines(1);
        honest.peak_kib = peak_kib(&honest.slave);
        honest
    }

    /// More records come.
    fn go_on(&mut self) {
        let records: String =
            (self.records..self.records + 500).map(|number| format!("record {number}\n")).collect();
        self.records += 500;
        self.master.write(records);
    }

    /// The run ends as if nothing had happened, and nothing is left in the slave.
    fn finish(mut self) {
        self.go_on();
        let records = self.records as u64;
        let finished = self.master.finish().expect(0).expect_counts(records, records, 0);
        assert!(
            finished.stdout == numbered("record ", self.records).into_bytes(),
            "the output is exactly right"
        );
        let peak_kib = peak_kib(&self.slave);
        assert!(peak_kib - self.peak_kib <= GROWTH_KIB_MAX, "from {} to {peak_kib} KiB", self.peak_kib);
        let count = || self.slave.descriptors().len();
        wait::until("every descriptor is closed", || count() == self.descriptors);
    }
}

#[test]
fn every_nuisance_is_named_in_the_log_once_with_its_reason() {
    let grid = Grid::new();
    let honest = Honest::start(&grid);
    for (name, be_a_nuisance, reason) in NUISANCES {
        let mut peer = Peer::connect(honest.slave.port());
        let peer_name = peer.name();
        be_a_nuisance(&mut peer);
        peer.expect_closed();
        honest.slave.wait_for_stderr(&peer_name);
        let log = honest.slave.stderr();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(&peer_name)).collect();
        assert!(matches!(lines[..], [line] if line.contains(reason)), "{name}: {lines:?}");
    }
    honest.finish();
}

#[test]
fn a_run_goes_on_among_hundreds_of_nuisances() {
    let grid = Grid::new();
    let mut honest = Honest::start(&grid);
    let port = honest.slave.port();
    let began = Instant::now();
    let mut slow: Vec<_> = (0..EACH).map(|_| Peer::connect(port)).collect();
    let mut silent = Vec::new();
    for round in 0..EACH {
        for (_, be_a_nuisance, _) in NUISANCES {
            be_a_nuisance(&mut Peer::connect(port));
        }
        let mut silent_administrator = Peer::connect(port);
        silent_administrator.say_hello(Role::Administrator);
        silent.extend([silent_administrator, Peer::connect(port)]);
        drop(Peer::connect(port));
        for peer in &mut slow {
            // One byte in each round: the preamble, and then a hello that never ends.
            peer.send(&[PREAMBLE, &[0x10; EACH]].concat()[round..=round]);
        }
        honest.go_on();
    }
    let seconds = began.elapsed().as_secs() as usize + 2;
    let log = honest.slave.stderr();
    let lines = log.lines().filter(|line| line.contains("warning: a connection was closed")).count();
    assert!(lines <= seconds * LINES_A_SECOND_MAX, "{lines} lines in {seconds} s");
    honest.slave.wait_for_stderr("more connections were closed");
    drop((slow, silent));
    honest.finish();
}

#[test]
fn idle_connections_keep_neither_masters_nor_administrators_out() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let (port, descriptors) = (slave.port(), slave.descriptors().len());
    let idle: Vec<_> = (0..500).map(|_| Peer::connect(port)).collect();
    // While these stay open, each honest peer is let in, without waiting until the idle ones time out.
    let finished = grid.master().args("--wait-nodes 20s").input(numbered("record ", 100)).finish();
    finished.expect(0).expect_counts(100, 100, 0);
    slave.wait_for_stderr("more than 128 connections were waiting, and it was the oldest");
    assert!(slave.descriptors().len() <= descriptors + 140, "idle connections are bounded");
    drop(idle);
    wait::until("every descriptor is closed", || slave.descriptors().len() == descriptors);
    let idle: Vec<_> = (0..500).map(|_| Peer::connect(port)).collect();
    grid.manage(port, "shutdown").finish().expect(0);
    slave.into_process().wait().expect(0);
    drop(idle);
}

/// Opens idle connections without a pause, and keeps the newest of them, until `is_over`.
fn keep_idle_connections_coming(port: u16, is_over: &AtomicBool) {
    let mut idle = VecDeque::new();
    // Bounded, in case nothing else ends it.
    for _ in 0..100_000 {
        if is_over.load(Relaxed) {
            return;
        }
        idle.push_back(Peer::connect(port));
        if idle.len() > 200 {
            idle.pop_front();
        }
    }
}

#[test]
fn idle_connections_that_come_again_and_again_keep_no_master_out() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let (port, is_over) = (slave.port(), AtomicBool::new(false));
    thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| keep_idle_connections_coming(port, &is_over))));
        slave.wait_for_stderr("more connections were closed");
        let masters =
            (0..10).map(|_| grid.master().args("--wait-nodes 30s").input(numbered("record ", 100)).finish());
        let masters: Vec<_> = masters.collect();
        is_over.store(true, Relaxed);
        for master in masters {
            let master = master.expect(0).expect_counts(100, 100, 0);
            assert!(!master.stderr.contains("cannot be used"), "it was turned away: {}", master.stderr);
        }
    });
}
