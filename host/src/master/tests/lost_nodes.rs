//! Records that bring their nodes down, and records that are only there when it happens.

use super::test_run::{SentBatch, TestRun, by_first_letter, rules, slot};
use crate::ids::NodeId;
use crate::master::decisions::{Reason, RunRules};
use crate::scoreboard::Status;
use crate::wire::LossKind;

/// What a record says that kills its node.
const GUILTY: &str = "guilty";

fn is_guilty(sent: &SentBatch) -> bool {
    sent.records.iter().any(|record| record.starts_with(GUILTY))
}

/// Lets the slots learn that their records are fast, so that they get several batches of many records.
fn warm_up(run: &mut TestRun) {
    for _ in 0..3 {
        while run.state.wants_records() {
            run.read((0..100).map(|number| format!("w{number}")));
        }
        while !run.sent.is_empty() {
            let batch = run.sent.remove(0);
            run.echo(&batch);
        }
    }
    run.take_written();
}

/// Node after node comes, and is lost as soon as a worker of it begins the batch of the guilty record; the
/// other batches are answered, the oldest first. Returns how many nodes were lost.
fn run_to_the_end(run: &mut TestRun, slots: u16) -> u32 {
    let mut node = 0;
    run.end_input();
    while !run.finished {
        assert!(node < 50, "it goes on for ever: {:?}", run.state.counts());
        if let Some(flush) = run.flushes.pop() {
            run.flushed(flush, crate::ids::BatchId(0), &[], "");
            continue;
        }
        let next =
            run.sent.first().cloned().unwrap_or_else(|| panic!("nothing is sent: {:?}", run.state.counts()));
        if is_guilty(&next) {
            run.lose_node(node);
            run.sent.retain(|sent| sent.slot.node != NodeId(node));
            node += 1;
            run.join(node, slots);
        } else {
            let batch = run.sent_to(next.slot);
            run.echo(&batch);
        }
    }
    node
}

fn only_the_guilty_one_is_lost(rules: RunRules) {
    let mut run = TestRun::new(rules, &[2]);
    warm_up(&mut run);
    let mut read = 0;
    while run.state.wants_records() && read < 40 {
        run.read(
            (0..60).map(
                |number| if (read, number) == (1, 40) { GUILTY.to_owned() } else { format!("{number}") },
            ),
        );
        read += 1;
    }
    let nodes = run_to_the_end(&mut run, 2);
    let [failed] = &run.failed[..] else { panic!("{:?}", run.failed) };
    assert_eq!((failed.reason, &failed.record[..]), (Reason::Lost, &b"guilty\n"[..]));
    assert_eq!((failed.attempts, nodes), (5, 5), "{}", failed.message);
    assert_eq!(run.state.counts().done, run.state.counts().read - 1);
}

#[test]
fn a_record_that_brings_its_node_down_condemns_no_other() {
    only_the_guilty_one_is_lost(rules());
    only_the_guilty_one_is_lost(by_first_letter());
}

#[test]
fn records_that_a_lost_node_cannot_have_begun_are_not_charged() {
    let mut run = TestRun::new(rules(), &[1]);
    warm_up(&mut run);
    let mut read = 0;
    while run.state.wants_records() {
        run.read([format!("{read}")]);
        read += 1;
    }
    assert_eq!(read, 4, "two batches at the worker, and two behind them");
    run.lose_node(0);
    run.sent.clear();
    run.join(1, 1);
    let mut attempts = Vec::new();
    while !run.sent.is_empty() {
        let batch = run.sent.remove(0);
        let said: Vec<_> =
            (0..batch.records.len()).map(|at| (at as u16, Status::Rejected, String::new())).collect();
        run.say(&batch, batch.batch, &said, true);
        attempts = run.failed.iter().map(|failed| failed.attempts).collect();
    }
    assert_eq!(attempts, [2, 2, 1, 1]);
}

#[test]
fn a_record_that_was_lost_with_two_nodes_gets_a_node_of_its_own() {
    let mut run = TestRun::new(rules(), &[2]);
    run.read(["suspect"]);
    for node in 1..=2 {
        run.lose_node(node - 1);
        run.sent.clear();
        if node == 1 {
            run.join(node, 2);
        }
    }
    run.join(9, 2);
    let suspect = run.last_sent();
    assert_eq!(suspect.records, ["suspect"]);
    assert!(!run.state.wants_records(), "its node gets nothing else");
    run.join(10, 2);
    run.read(["a", "b"]);
    assert!(run.sent.iter().all(|sent| sent.slot.node == NodeId(10)), "{:?}", run.sent);
    run.echo(&suspect);
    assert!(run.state.wants_records(), "the node is free for all again");
    assert!(run.failed.is_empty());
}

#[test]
fn a_suspect_waits_until_its_node_is_empty_and_what_is_held_there_is_flushed() {
    let mut run = TestRun::new(rules(), &[1, 1]);
    run.read(["suspect"]);
    let first = run.last_sent();
    run.lose_node(first.slot.node.0);
    let again = run.last_sent();
    assert_eq!(again.records, ["suspect"]);
    run.join(7, 2);
    run.read(["held"]);
    let holds = run.last_sent();
    run.say(&holds, holds.batch, &[(0, Status::Held, String::new())], true);
    run.read(["slow"]);
    let slow = run.last_sent();
    run.read(["slow"]);
    let slower = run.last_sent();
    run.lose_node(again.slot.node.0);
    assert_eq!(run.sent.len(), 0, "the node has others");
    run.echo(&slow);
    run.echo(&slower);
    let flush = run.flushes.pop().expect("the task that holds a record is asked for it");
    assert!(run.sent.is_empty());
    run.flushed(flush, holds.batch, &[(0, Status::Done, String::new())], "");
    assert_eq!(run.last_sent().records, ["suspect"]);
}

#[test]
fn a_suspect_whose_worker_dies_is_still_alone_with_the_next() {
    let mut run = TestRun::new(rules(), &[1]);
    run.read(["suspect"]);
    for node in 1..=2 {
        run.lose_node(node - 1);
        run.sent.clear();
        run.join(node, 2);
    }
    let suspect = run.last_sent();
    run.kill(suspect.slot, LossKind::Crash, None);
    run.up(slot(2, 0));
    assert_eq!(run.last_sent().records, ["suspect"]);
    assert!(!run.state.wants_records());
}

/// An execution that was lost with its node was not counted, unless it was the record's first.
#[test]
fn each_execution_after_the_first_counts_as_retried_even_if_its_node_is_lost() {
    let mut run = TestRun::new(rules(), &[1]);
    run.read(["a"]);
    run.end_input();
    for node in 0..3 {
        run.sent.clear();
        run.lose_node(node);
        run.join(node + 1, 1);
    }
    assert_eq!(run.state.counts().retried, 2, "three executions were lost, and the first is no retry");
    let batch = run.last_sent();
    run.echo(&batch);
    assert_eq!(run.state.counts().retried, 3);
}
