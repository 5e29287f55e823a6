//! Slaves that break the rules: they are given up, and nothing is counted twice, forgotten, or sent for ever.

use std::time::Duration;

use bytes::Bytes;

use super::test_run::{SentBatch, TestRun, in_order, rules, slot};
use crate::ids::{BatchId, Epoch, NodeId};
use crate::limits::{BATCHES_PER_SLOT_MAX, HELD_BATCHES_MAX, MESSAGE_BYTES_MAX};
use crate::scoreboard::Status;
use crate::wire::{LossKind, ReportHead, SlotLost};

/// A report of node 0 about its slot 0.
fn report(batch: BatchId, all_done: bool, last: bool) -> ReportHead {
    ReportHead { slot: slot(0, 0).index, epoch: Epoch(0), batch, all_done, last, busy_ns: 1 }
}

fn hear(run: &mut TestRun, report: &ReportHead, table: Bytes, body: &'static str) {
    let actions = run.state.on_report(NodeId(0), report, &table, &body.into(), run.now);
    run.take(actions);
}

/// A run with a batch of three records at node 0.
fn with_a_batch(rules: crate::master::decisions::RunRules) -> (TestRun, SentBatch) {
    let mut run = TestRun::new(rules, &[1]);
    run.read(["1"]);
    let batch = run.last_sent();
    run.echo(&batch);
    run.read(["2", "3", "4"]);
    let batch = run.last_sent();
    assert_eq!(batch.records.len(), 3);
    (run, batch)
}

/// Another node takes over, and the run ends with every record done once.
fn ends_well(mut run: TestRun, rows: &str) {
    assert_eq!(run.given_up.len(), 1, "the bad node is given up");
    run.join(7, 1);
    run.end_input();
    while !run.finished {
        match run.flushes.pop() {
            Some(flush) => run.flushed(flush, BatchId(0), &[], ""),
            None => {
                let batch = run.last_sent();
                run.echo(&batch);
            }
        }
    }
    let mut written: Vec<_> = run.take_written().lines().map(str::to_owned).collect();
    written.sort();
    assert_eq!(written.join(" "), rows);
    assert_eq!(run.state.counts().done, run.state.counts().read);
}

#[test]
fn a_record_that_was_reported_is_not_done_again_with_its_batch() {
    for rules in [rules(), in_order()] {
        let (mut run, batch) = with_a_batch(rules);
        run.say(&batch, batch.batch, &[(1, Status::Done, "3\n".to_owned())], false);
        hear(&mut run, &report(batch.batch, true, true), Bytes::new(), "2\n3\n4\n");
        ends_well(run, "1 2 3 4");
    }
}

#[test]
fn a_slot_that_is_up_cannot_come_up_and_get_its_credit_again() {
    let (mut run, _) = with_a_batch(rules());
    let actions = run.state.on_slot_up(slot(0, 0), Epoch(1), run.now);
    run.take(actions);
    ends_well(run, "1 2 3 4");
}

#[test]
fn ends_of_batches_that_were_not_sent_give_no_credit() {
    let (mut run, batch) = with_a_batch(rules());
    hear(&mut run, &report(BatchId(batch.batch.0 + 1), false, true), Bytes::new(), "");
    ends_well(run, "1 2 3 4");
}

#[test]
fn the_slaves_own_flushes_give_no_credit() {
    let (mut run, _) = with_a_batch(rules());
    for _ in 0..20 {
        hear(&mut run, &report(BatchId::OWN_FLUSH, false, true), Bytes::new(), "");
        if run.state.wants_records() {
            run.read(["more"]);
        }
    }
    assert!(run.sent.len() < BATCHES_PER_SLOT_MAX, "{:?}", run.sent);
}

#[test]
fn rows_of_batches_that_were_not_sent_are_not_written() {
    let (mut run, batch) = with_a_batch(rules());
    hear(&mut run, &report(BatchId(batch.batch.0 + 9), false, false), Bytes::new(), "not asked for\n");
    ends_well(run, "1 2 3 4");
}

#[test]
fn a_batch_that_ends_without_outcomes_is_run_elsewhere() {
    let (mut run, batch) = with_a_batch(in_order());
    run.say(&batch, batch.batch, &[(0, Status::Done, "2\n".to_owned())], true);
    ends_well(run, "1 2 3 4");
}

#[test]
fn invalid_outcomes_and_outcomes_beyond_the_body_are_refused() {
    for table in [vec![0xff; 16], vec![0; 15], [[9, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat()] {
        let (mut run, batch) = with_a_batch(in_order());
        hear(&mut run, &report(batch.batch, false, true), table.into(), "2\n");
        ends_well(run, "1 2 3 4");
    }
}

#[test]
fn records_that_are_held_whatever_is_flushed_do_not_keep_the_run_from_its_end() {
    let (mut run, batch) = with_a_batch(rules());
    let held = [0, 1, 2].map(|index| (index, Status::Held, String::new()));
    run.say(&batch, batch.batch, &held, true);
    run.end_input();
    while let Some(flush) = run.flushes.pop() {
        run.flushed(flush, BatchId(0), &[], "");
    }
    ends_well(run, "1 2 3 4");
}

#[test]
fn holding_everything_does_not_fill_the_memory() {
    let mut run = TestRun::new(rules(), &[1]);
    let mut records = 0;
    while run.given_up.is_empty() {
        assert!(records < 100, "it goes on for ever");
        run.read([records.to_string()]);
        records += 1;
        let batch = run.last_sent();
        run.say(&batch, batch.batch, &[(0, Status::Held, String::new())], true);
    }
    assert!(records > HELD_BATCHES_MAX, "so many are allowed");
    run.join(7, 1);
    run.end_input();
    assert_eq!(run.sent.len(), 1, "they are run elsewhere");
}

#[test]
fn workers_that_are_lost_for_ever_are_an_end_of_their_node() {
    let (mut run, _) = with_a_batch(rules());
    let mut losses = 0;
    loop {
        run.kill(slot(0, 0), LossKind::Crash, None);
        if !run.given_up.is_empty() {
            break;
        }
        run.up(slot(0, 0));
        losses += 1;
        assert!(losses < 100, "it goes on for ever");
    }
    assert!(losses > 10, "some bad luck is allowed");
    ends_well(run, "1 2 3 4");
}

#[test]
fn a_message_is_cut() {
    let (mut run, batch) = with_a_batch(rules());
    run.say(&batch, batch.batch, &[(0, Status::Rejected, "x".repeat(3 * MESSAGE_BYTES_MAX))], false);
    assert_eq!(run.failed[0].message.len(), MESSAGE_BYTES_MAX);
    let lost = SlotLost {
        slot: slot(0, 9).index,
        epoch: Epoch(0),
        blame: None,
        kind: LossKind::Crash,
        message: String::new(),
    };
    let actions = run.state.on_slot_lost(NodeId(0), &lost, run.now);
    assert_eq!(actions, [], "the loss of a slot that does not exist changes nothing");
}

/// How many of `losses` workers a slave may lose, one each `pause`, before it is given up, if it is. There
/// are records that they could run, or none.
fn losses_until_given_up(records: &[&str], losses: usize, pause: Duration) -> Option<usize> {
    let mut run = TestRun::new(rules(), &[1]);
    run.read(records);
    (1..=losses).find(|_| {
        run.kill(slot(0, 0), LossKind::Crash, None);
        run.up(slot(0, 0));
        run.pass(pause);
        !run.given_up.is_empty()
    })
}

#[test]
fn a_slave_that_loses_an_idle_worker_now_and_then_is_not_given_up() {
    assert_eq!(losses_until_given_up(&[], 200, Duration::from_secs(10)), None);
    assert_eq!(losses_until_given_up(&[], 200, Duration::from_millis(100)), None);
    assert!(losses_until_given_up(&[], 200, Duration::from_millis(10)).is_some(), "it makes its losses up");
    assert!(losses_until_given_up(&["a"], 200, Duration::from_secs(1)).is_some(), "it cannot work");
}
