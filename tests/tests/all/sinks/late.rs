//! A commit that comes late, move by move: the test is the master of two slaves that have the same record of
//! the same run, and it decides when each goes on.

use simplegrid::internals::ids::{BatchId, Epoch, SlotIndex};
use simplegrid::internals::record::Records;
use simplegrid::internals::wire::{Batch, Frame, MasterToSlave, SeqRanges, SlaveToMaster};
use simplegrid_fuzz_targets::codec;
use simplegrid_tests::{Grid, Slave};

use super::place::{self, Place};
use crate::adversary::peer::Peer;

fn slave(grid: &Grid, place: &Place<'_>) -> Slave {
    let call = grid.slave_call("hostile").arg("--sink").arg(place.sink("found")).args("-m 1");
    Slave::start(call.task_arg("side-log", grid.path("log")))
}

/// Sends records with these numbers as a batch.
fn send(peer: &mut Peer, batch: u64, seqs: SeqRanges, records: &[&str]) {
    let (slot, epoch) = (SlotIndex(0), Epoch(0));
    let records = Records::from_iter(records.iter().map(|record| format!("{record}\n")));
    let batch = Batch { batch: BatchId(batch), slot, epoch, records, with_row_ends: false, seqs };
    peer.send(&codec::encode(&batch.into_frame()));
}

fn seqs(numbers: &[u64]) -> SeqRanges {
    numbers.iter().copied().map(simplegrid::internals::ids::Seq).collect()
}

/// Waits for the report of a batch. All its records must be done, and it must have no rows.
#[track_caller]
fn expect_done(peer: &mut Peer, batch: u64) {
    while let Some(frame) = peer.read::<SlaveToMaster>() {
        if let SlaveToMaster::Report(report) = frame.head {
            assert_eq!((report.batch, report.all_done, report.last), (BatchId(batch), true, true));
            assert!(frame.table.is_empty() && frame.body.is_empty());
            return;
        }
    }
    panic!("the slave has closed the connection");
}

#[test]
fn a_record_that_another_slave_has_committed_is_done_and_adds_nothing() {
    let grid = Grid::new();
    for place in place::with_files(&grid) {
        let gate = format!("gate-{}", place.name());
        let slaves = [slave(&grid, &place), slave(&grid, &place)];
        let [mut late, mut soon] = [0, 1].map(|slave| Peer::become_master(slaves[slave].port(), 1));
        send(&mut late, 0, seqs(&[7, 2000]), &["first of the late one", &grid.gate(&gate)]);
        grid.wait_at_gate(&gate, 1);
        send(&mut soon, 0, seqs(&[2000, 8]), &["soon", "another"]);
        expect_done(&mut soon, 0);
        grid.open_gate(&gate);
        expect_done(&mut late, 0);
        let expected = ["first of the late one", "soon", "another"];
        place.expect_once_so_far("found", "line", expected.map(str::to_owned).into_iter());
        slaves[0].wait_for_stderr("records of earlier attempts were in the sink already: 1");
        // When the run is over, not even a new record gets in.
        soon.send(&codec::encode(&Frame::from(MasterToSlave::Conclude { run_is_over: true, harvest: None })));
        soon.wait_for(|said| *said == SlaveToMaster::Concluded { delivered: None, problem: None });
        assert_eq!(place.ledger_pages(), 0, "{}", place.name());
        send(&mut late, 1, seqs(&[2000, 9]), &["again from the late one", "and another"]);
        expect_done(&mut late, 1);
        assert_eq!(place.count("found"), 3, "{}", place.name());
    }
}

#[test]
fn a_master_that_does_not_number_its_records_is_turned_away() {
    let grid = Grid::new();
    let place = Place::sqlite(&grid);
    let slave = slave(&grid, &place);
    let mut peer = Peer::become_master(slave.port(), 1);
    send(&mut peer, 0, SeqRanges::default(), &["a"]);
    peer.expect_closed();
    slave.wait_for_stderr("a batch does not give the numbers of its records");
    let mut peer = Peer::become_master(slave.port(), 1);
    send(&mut peer, 0, seqs(&[0]), &["a"]);
    expect_done(&mut peer, 0);
}
