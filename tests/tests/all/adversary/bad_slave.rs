//! Slaves that follow no rule, entered into the registry by hand, beside an honest one.

use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use simplegrid::internals::build::{Build, Digest};
use simplegrid::internals::ids::{BatchId, Epoch, SlotIndex};
use simplegrid::internals::plugin::{OutputKind, TaskOutput};
use simplegrid::internals::record::RawRecords;
use simplegrid::internals::registry::{Announcement, NodeKey, Registry};
use simplegrid::internals::scoreboard::{Outcome, Status};
use simplegrid::internals::wire::{
    BatchHead, Frame, LossKind, MasterToSlave, Refusal, ReportHead, SeqRanges, SlaveToMaster, SlotLost,
    Welcome,
};
use simplegrid_fuzz_targets::codec;
use simplegrid_tests::{Grid, numbered, wait};

use super::peer::{PREAMBLE, Peer};

/// How much memory a master can use in all, with a dozen bad slaves and one good one.
const PEAK_KIB_MAX: u64 = 128 * 1024;

/// How many times a slave repeats a message that it would send for ever.
const ENDLESS: u32 = 100_000;

/// A way to be bad: its name, what the slave does once a master is connected, and what the master reports.
type Badness = (&'static str, fn(&mut Peer), &'static str);

const BADNESSES: [Badness; 17] = [
    (
        "no SimpleGrid",
        |peer| {
            peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        },
        "does not speak SimpleGrid",
    ),
    (
        "another version",
        |peer| {
            peer.send(b"SIMPLEG\x02");
        },
        "speaks version 2",
    ),
    ("no slots", |peer| welcome(peer, 0), "0 slots"),
    ("too many slots", |peer| welcome(peer, u16::MAX), "65535 slots"),
    ("no answer", |peer| say(peer, SlaveToMaster::Draining), "answered the hello with an unexpected message"),
    ("busy and gone", |peer| say(peer, SlaveToMaster::Refused(Refusal::NoHello)), "does not take this run"),
    ("garbage", send_garbage, "announced a frame"),
    ("a batch it never got", report_unknown_batch, "reports on batch 4242, which it does not have"),
    ("a record that is none", report_wrong_index, "a report lacks outcomes"),
    ("ends beyond the body", report_beyond_body, "holds an invalid outcome"),
    ("a record twice", report_twice, "a whole batch after single records of it"),
    ("slots up for ever", come_up_for_ever, "is up, which is up already"),
    ("workers lost for ever", lose_workers_for_ever, "lost again and again"),
    ("holding for ever", hold_for_ever, "still held after several flushes"),
    ("half a report", send_half_a_report, "has been silent"),
    ("silence", |peer| welcome(peer, 2), "has been silent"),
    ("a long complaint", complain_at_length, "was lost: xxxx"),
];

fn say(peer: &mut Peer, message: SlaveToMaster) {
    peer.send(&codec::encode(&Frame::from(message)));
}

fn up(peer: &mut Peer, slot: u16, epoch: u32) -> bool {
    let (slot, epoch) = (SlotIndex(slot), Epoch(epoch));
    peer.send(&codec::encode(&Frame::from(SlaveToMaster::SlotUp { slot, epoch })))
}

/// Answers the hello, with the first two slots up.
fn welcome(peer: &mut Peer, slots: u16) {
    let (task, program) = ("echo".to_owned(), "a test".to_owned());
    let output = TaskOutput { kind: OutputKind::Lines, columns: Vec::new() };
    say(
        peer,
        SlaveToMaster::Welcome(Welcome {
            task,
            task_version: "1".to_owned(),
            output,
            build: Build::default(),
            slots,
            program,
            sink: None,
        }),
    );
    up(peer, 0, 0);
    up(peer, 1, 0);
}

/// Becomes a slave with two slots, and waits for the first batch.
fn first_batch(peer: &mut Peer) -> Option<(BatchHead, Vec<u8>)> {
    welcome(peer, 2);
    loop {
        let frame = peer.read::<MasterToSlave>()?;
        if let MasterToSlave::Batch(head) = frame.head {
            return Some((head, frame.body.to_vec()));
        }
    }
}

fn report(
    peer: &mut Peer,
    to: &BatchHead,
    all_done: bool,
    last: bool,
    said: &[(u64, u16, Status)],
    body: &[u8],
) {
    let BatchHead { batch, slot, epoch, .. } = to.clone();
    let head = SlaveToMaster::Report(ReportHead { slot, epoch, batch, all_done, last, busy_ns: 1 });
    let outcomes = said.iter().map(|(end, index, status)| Outcome {
        end: *end,
        batch_low: batch.0 as u32,
        index: *index,
        status: *status,
    });
    peer.send(&codec::encode(&Frame { head, table: Outcome::table(outcomes), body: body.to_vec().into() }));
}

fn send_garbage(peer: &mut Peer) {
    welcome(peer, 2);
    peer.send(&[0xff; 1000]);
}

fn report_unknown_batch(peer: &mut Peer) {
    let Some((batch, _)) = first_batch(peer) else { return };
    let unknown = BatchHead { batch: BatchId(4242), ..batch };
    report(peer, &unknown, false, true, &[], b"rows that nobody asked for\n");
}

fn report_wrong_index(peer: &mut Peer) {
    let Some((batch, _)) = first_batch(peer) else { return };
    report(peer, &batch, false, true, &[(5, 60_000, Status::Done)], b"rows\n");
}

fn report_beyond_body(peer: &mut Peer) {
    let Some((batch, _)) = first_batch(peer) else { return };
    report(peer, &batch, false, true, &[(1 << 40, 0, Status::Done)], b"rows\n");
}

fn report_twice(peer: &mut Peer) {
    let Some((batch, record)) = first_batch(peer) else { return };
    // The first record is done as it should be; it must count once.
    let end = record.iter().position(|byte| *byte == b'\n').map_or(record.len(), |at| at + 1);
    report(peer, &batch, false, false, &[(end as u64, 0, Status::Done)], &record[..end]);
    report(peer, &batch, true, true, &[], &record);
}

fn come_up_for_ever(peer: &mut Peer) {
    welcome(peer, 2);
    for epoch in 1..ENDLESS {
        if !up(peer, 0, epoch) {
            return;
        }
    }
}

fn lose_workers_for_ever(peer: &mut Peer) {
    welcome(peer, 2);
    for epoch in 0..ENDLESS {
        let (slot, message) = (SlotIndex(0), "x".repeat(20_000));
        let lost = SlotLost { slot, epoch: Epoch(epoch), blame: None, kind: LossKind::Crash, message };
        let said = codec::encode(&Frame::from(SlaveToMaster::SlotLost(lost)));
        if !peer.send(&said) || !up(peer, 0, epoch + 1) {
            return;
        }
    }
}

fn hold_for_ever(peer: &mut Peer) {
    welcome(peer, 2);
    while let Some(frame) = peer.read::<MasterToSlave>() {
        match frame.head {
            MasterToSlave::Batch(head) => {
                let records = RawRecords::new(head.base, &frame.table, &frame.body).len();
                let held: Vec<_> = (0..records).map(|index| (0, index as u16, Status::Held)).collect();
                report(peer, &head, false, true, &held, b"");
                say(peer, SlaveToMaster::Draining);
            }
            MasterToSlave::Flush { batch, slot, epoch } => {
                let seqs = SeqRanges::default();
                let head = BatchHead { batch, slot, epoch, base: 0, with_row_ends: false, seqs };
                report(peer, &head, false, true, &[], b"");
            }
            _ => {}
        }
    }
}

fn send_half_a_report(peer: &mut Peer) {
    if first_batch(peer).is_some() {
        peer.send(&[9, 0, 0, 0, 16, 0, 0, 0, 0, 1, 0, 0, 3, 0]);
    }
}

fn complain_at_length(peer: &mut Peer) {
    if first_batch(peer).is_some() {
        say(peer, SlaveToMaster::Failed { message: "x".repeat(1_000_000) });
    }
}

/// Enters a bad slave into the registry. Its thread ends when its master has closed the connection.
fn enter(grid: &Grid, (name, be_bad, _): Badness) -> JoinHandle<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let announcement = Announcement {
        key: NodeKey::new("127.0.0.1", port),
        children: 2,
        task: "echo".to_owned(),
        task_version: None,
        // Those of the task echo.
        columns: Digest::of(br#"["echo",{"kind":"lines","columns":[]}]"#),
        build: Build::default(),
        advertise: Some("127.0.0.1".to_owned()),
        pid: std::process::id(),
        version: "a test".to_owned(),
        dead_pid: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let url = grid.registry().parse().expect("a URL");
    let entered = runtime.block_on(async {
        let registry = Registry::open(&url).await?;
        registry.announce(&announcement).await?;
        registry.enable(&announcement.key).await
    });
    entered.expect("the registry works");
    let serve = move || {
        let mut peer = Peer::new(listener.accept().expect("a master comes").0);
        // No other connection is accepted: a master that comes again finds nothing.
        drop(listener);
        assert!(peer.read_preamble(), "a master says who it is");
        if !matches!(name, "no SimpleGrid" | "another version") {
            peer.send(PREAMBLE);
            assert!(peer.read::<MasterToSlave>().is_some(), "a master says hello");
        }
        be_bad(&mut peer);
        peer.expect_closed();
    };
    thread::Builder::new().name(name.to_owned()).spawn(serve).expect("a thread")
}

#[test]
fn bad_slaves_cannot_spoil_a_run() {
    let grid = Grid::new();
    let _honest = grid.slave("echo");
    let bad: Vec<_> = BADNESSES.map(|badness| enter(&grid, badness)).into();
    let mut master = grid.master().arg("-k").start();
    let mut records = 0;
    wait::until("every bad slave is shut out", || {
        // There is always more to do, so that each of them gets some.
        let more: String = (records..records + 100).map(|number| format!("record {number}\n")).collect();
        records += 100;
        master.write(more);
        bad.iter().all(JoinHandle::is_finished)
    });
    bad.into_iter().for_each(|thread| thread.join().expect("it was as bad as it could be"));
    let peak = master.status("VmHWM").unwrap();
    let peak_kib: u64 = peak.trim_end_matches("kB").trim().parse().unwrap();
    assert!(peak_kib <= PEAK_KIB_MAX, "{peak_kib} KiB");
    let finished = master.finish().expect(0).expect_counts(records, records, 0);
    assert!(
        finished.stdout == numbered("record ", records as usize).into_bytes(),
        "the output is exactly right"
    );
    let log: String = finished.stderr.lines().map(|line| format!("{line:.200}\n")).collect();
    for (name, _, reason) in BADNESSES {
        assert!(log.contains(reason), "{name}: {reason:?} is not in\n{log}");
    }
    assert!(finished.stderr.len() < 1_000_000, "{} bytes of log", finished.stderr.len());
}
