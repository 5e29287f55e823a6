//! A master that was let in, and follows no rule.

use simplegrid::internals::ids::{BatchId, Epoch, SlotIndex};
use simplegrid::internals::wire::{Frame, LossKind, MasterToSlave, SlaveToMaster};
use simplegrid_fuzz_targets::codec;
use simplegrid_tests::{Grid, Slave, numbered, wait};

use super::peer::Peer;

/// How far a slave's memory can grow: for each of two slots, seven items of a mebibyte can be waiting.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// Far more than any credit.
const MANY: u64 = 200;

/// A slave that has served once, and the processes and descriptors that it had then.
struct Victim<'g> {
    grid: &'g Grid,
    slave: Slave,
    descriptors: usize,
    kib: u64,
}

impl<'g> Victim<'g> {
    fn start(grid: &'g Grid) -> Self {
        let slave = grid.slave("echo");
        let mut victim = Self { grid, descriptors: 0, kib: 0, slave };
        victim.serves();
        (victim.descriptors, victim.kib) = (victim.slave.descriptors().len(), victim.peak_kib());
        victim
    }

    fn peak_kib(&self) -> u64 {
        let peak = self.slave.status("VmHWM").expect("it is running");
        peak.trim_end_matches("kB").trim().parse().expect("a number of KiB")
    }

    fn become_its_master(&self) -> Peer {
        Peer::become_master(self.slave.port(), 2)
    }

    /// An honest run comes out exactly right.
    fn serves(&self) {
        let finished = self.grid.master().arg("-k").input(numbered("record ", 1000)).finish().expect(0);
        assert!(finished.stdout == numbered("record ", 1000).into_bytes(), "the output is exactly right");
    }

    /// The slave serves as before, and nothing is left.
    fn expect_well(self) {
        self.serves();
        let grown = self.peak_kib() - self.kib;
        assert!(grown <= GROWTH_KIB_MAX, "the slave's memory has grown by {grown} KiB");
        // Killed workers are replaced; then everything is as before.
        wait::until("every descriptor is closed", || self.slave.descriptors().len() == self.descriptors);
    }
}

#[test]
fn batches_without_credit_close_the_connection() {
    let grid = Grid::new();
    let victim = Victim::start(&grid);
    let mut peer = victim.become_its_master();
    let record = [vec![b'x'; 1 << 20], b"\n".to_vec()].concat();
    let sent =
        (0..MANY).take_while(|batch| peer.send_batch(*batch, 0, 0, &[record.len() as u32], &record)).count();
    assert!(sent < MANY as usize, "all {sent} were taken");
    peer.expect_closed();
    victim.slave.wait_for_stderr("sends more to slot 0 than it has credit for");
    victim.expect_well();
}

#[test]
fn flushes_without_end_close_the_connection() {
    let grid = Grid::new();
    let victim = Victim::start(&grid);
    let mut peer = victim.become_its_master();
    let flush = |batch| MasterToSlave::Flush { batch: BatchId(batch), slot: SlotIndex(1), epoch: Epoch(0) };
    let all: Vec<u8> = (0..MANY).flat_map(|batch| codec::encode(&Frame::from(flush(batch)))).collect();
    peer.send(&all);
    peer.expect_closed();
    victim.slave.wait_for_stderr("than it has credit for");
    victim.expect_well();
}

#[test]
fn batches_for_no_worker_are_void() {
    let grid = Grid::new();
    let victim = Victim::start(&grid);
    let mut peer = victim.become_its_master();
    for batch in 0..MANY {
        assert!(peer.send_batch(batch, 2, 0, &[2], b"a\n") && peer.send_batch(batch, 0, 7, &[2], b"a\n"));
    }
    assert!(peer.send(&codec::encode(&Frame::from(MasterToSlave::Bye))));
    peer.wait_for(|said| {
        assert!(!matches!(said, SlaveToMaster::Report(_)), "nothing was run");
        *said == SlaveToMaster::Bye
    });
    victim.expect_well();
}

#[test]
fn wrong_tables_cost_a_worker_and_no_more() {
    let grid = Grid::new();
    let victim = Victim::start(&grid);
    let mut peer = victim.become_its_master();
    let tables: [&[u32]; 5] = [&[9], &[2, 1], &[u32::MAX], &[0, 0, 9], &[1; 70_000]];
    for (epoch, ends) in (0..).zip(tables) {
        assert!(peer.send_batch(epoch.into(), 0, epoch, ends, b"a\n"));
        peer.wait_for(|said| match said {
            SlaveToMaster::SlotLost(lost) => {
                assert!(lost.epoch == Epoch(epoch) && lost.kind == LossKind::Crash, "{lost:?}");
                true
            }
            _ => false,
        });
        peer.wait_for(|said| *said == SlaveToMaster::SlotUp { slot: SlotIndex(0), epoch: Epoch(epoch + 1) });
    }
    drop(peer);
    victim.expect_well();
}

#[test]
fn giant_heads_close_the_connection_and_take_no_memory() {
    let grid = Grid::new();
    let victim = Victim::start(&grid);
    for lengths in [[2 << 20, 0, 0], [u32::MAX, 0, 0], [10, u32::MAX, u32::MAX], [10, 1 << 30, 1]] {
        let mut peer = victim.become_its_master();
        peer.send(&lengths.map(u32::to_le_bytes).concat());
        peer.expect_closed();
    }
    // What is allowed takes memory as it arrives, not as it is announced.
    let mut peer = victim.become_its_master();
    peer.send(&[10, 0, 1_u32 << 30].map(u32::to_le_bytes).concat());
    peer.send(&[0; 1000]);
    drop(peer);
    victim.expect_well();
}

#[test]
fn commands_without_end_do_not_flood_the_log() {
    let grid = Grid::new();
    let victim = Victim::start(&grid);
    let mut peer = victim.become_its_master();
    let command = MasterToSlave::Command { name: "n".repeat(500), value: "v".repeat(50_000) };
    let command = codec::encode(&Frame::from(command));
    (0..MANY).for_each(|_| assert!(peer.send(&command)));
    assert!(peer.send(&codec::encode(&Frame::from(MasterToSlave::Bye))));
    peer.wait_for(|said| *said == SlaveToMaster::Bye);
    victim.slave.wait_for_stderr("more lines about masters and administrators");
    assert!(victim.slave.stderr().len() < 100_000, "{} bytes of log", victim.slave.stderr().len());
    victim.expect_well();
}
