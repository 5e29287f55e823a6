//! One test for each rule.

use std::time::Duration;

use super::test_run::{SentBatch, TestRun, by_first_letter, in_order, rules, slot};
use crate::ids::{NodeId, Seq};
use crate::master::decisions::{Earlier, Reason, Tally};
use crate::scoreboard::Status;
use crate::wire::LossKind;

const A: &str = "a";

fn done(index: u16, row: &str) -> (u16, Status, String) {
    (index, Status::Done, format!("{row}\n"))
}

fn held(index: u16) -> (u16, Status, String) {
    (index, Status::Held, String::new())
}

/// Lets a slot learn that its records are fast, so that it gets them by the dozen.
fn warm_up(run: &mut TestRun, rounds: usize) {
    for round in 0..rounds {
        while run.state.wants_records() {
            run.read((0..16usize.pow(round as u32)).map(|_| "warm"));
        }
        while !run.sent.is_empty() {
            let batch = run.last_sent();
            run.echo(&batch);
        }
    }
    run.take_written();
}

#[test]
fn a_run_of_nothing_ends_at_once() {
    let mut run = TestRun::new(rules(), &[1]);
    run.end_input();
    assert!(run.finished);
}

#[test]
fn a_run_without_nodes_reads_nothing_and_does_not_lose_its_end() {
    let mut run = TestRun::new(rules(), &[]);
    assert!(!run.state.wants_records());
    run.join(0, 1);
    run.read([A]);
    let batch = run.last_sent();
    run.echo(&batch);
    run.end_input();
    let flush = run.flushes[0];
    run.flushed(flush, batch.batch, &[], "");
    assert!(run.finished);
    assert_eq!(run.take_written(), "a\n");
}

#[test]
fn the_first_batch_is_one_record_and_the_next_ones_grow() {
    let mut run = TestRun::new(rules(), &[1]);
    let mut sizes = Vec::new();
    for _ in 0..4 {
        run.read((0..5000).map(|_| A));
        while !run.sent.is_empty() {
            let batch = run.sent.remove(0);
            sizes.push(batch.records.len());
            run.echo(&batch);
        }
    }
    assert_eq!(&sizes[..4], [1, 16, 256, 4096]);
}

#[test]
fn nothing_is_sent_without_credit() {
    let mut run = TestRun::new(rules(), &[2]);
    run.read(["1", "2", "3"]);
    assert_eq!(run.sent.len(), 2, "a slot whose speed is unknown has one batch");
    assert!(!run.state.wants_records());
}

#[test]
fn the_least_loaded_slot_is_next() {
    let mut run = TestRun::new(rules(), &[1, 1]);
    run.read(["1"]);
    run.read(["2"]);
    let slots: Vec<_> = run.sent.iter().map(|sent| sent.slot).collect();
    assert_eq!(slots, [slot(0, 0), slot(1, 0)]);
}

#[test]
fn among_idle_slots_new_ones_are_next_and_then_the_one_that_was_busy_last() {
    let mut run = TestRun::new(rules(), &[1, 1, 1]);
    let mut next = || {
        run.read(["record"]);
        let batch = run.last_sent();
        run.echo(&batch);
        batch.slot.node.0
    };
    assert_eq!([next(), next(), next()], [0, 1, 2], "each shows how fast it is");
    assert_eq!([next(), next()], [2, 2], "its buffers are warm");
}

#[test]
fn a_late_answer_of_a_lost_node_is_dropped() {
    let mut run = TestRun::new(rules(), &[1, 1]);
    run.read(["r1"]);
    let first = run.sent_to(slot(0, 0));
    run.lose_node(0);
    let again = run.sent_to(slot(1, 0));
    assert_eq!(again.records, ["r1"]);
    run.say(&first, first.batch, &[done(0, "late")], true);
    assert_eq!(run.take_written(), "");
    run.say(&again, again.batch, &[done(0, "row")], true);
    assert_eq!(run.take_written(), "row\n");
}

#[test]
fn a_late_answer_of_a_replaced_worker_is_dropped() {
    let mut run = TestRun::new(rules(), &[1]);
    run.read(["r1"]);
    let first = run.last_sent();
    run.kill(slot(0, 0), LossKind::Crash, None);
    run.up(slot(0, 0));
    let again = run.last_sent();
    run.echo(&first);
    assert_eq!(run.take_written(), "");
    run.echo(&again);
    assert_eq!(run.take_written(), "r1\n");
}

#[test]
fn a_crash_costs_only_what_was_not_finished() {
    let mut run = TestRun::new(rules(), &[1]);
    warm_up(&mut run, 2);
    run.read(["1", "2", "3", "4"]);
    let batch = run.last_sent();
    assert_eq!(batch.records.len(), 4);
    run.say(&batch, batch.batch, &[done(0, "1"), done(1, "2")], false);
    run.kill(slot(0, 0), LossKind::Crash, Some((batch.batch, 2)));
    run.up(slot(0, 0));
    let rest = run.last_sent();
    assert_eq!(rest.records, ["4"], "what was not begun goes back at once");
    run.echo(&rest);
    run.pass(Duration::from_millis(100));
    let guilty = run.last_sent();
    assert_eq!(guilty.records, ["3"], "what it died on waits");
    run.echo(&guilty);
    assert_eq!(run.take_written(), "1\n2\n4\n3\n");
}

#[test]
fn a_record_that_kills_each_time_fails_after_its_retries_with_place_and_reason() {
    let mut run = TestRun::new(rules(), &[1]);
    run.read(["poison"]);
    for _ in 0..3 {
        run.pass(Duration::from_secs(1));
        let batch = run.last_sent();
        run.kill(slot(0, 0), LossKind::Timeout, Some((batch.batch, 0)));
        run.up(slot(0, 0));
    }
    let [failed] = &run.failed[..] else { panic!("{:?}", run.failed) };
    assert_eq!((failed.reason, failed.attempts), (Reason::Timeout, 3));
    assert_eq!(failed.place.as_ref().unwrap().node, "n0:1");
    run.end_input();
    assert!(run.finished, "a task that is gone needs no flush");
}

#[test]
fn a_retry_prefers_another_slot_and_takes_the_same_if_it_is_the_only_one() {
    let mut run = TestRun::new(rules(), &[2]);
    run.read(["r"]);
    let batch = run.last_sent();
    run.say(&batch, batch.batch, &[(0, Status::Retry, "later".into())], true);
    run.pass(Duration::from_millis(100));
    let again = run.last_sent();
    assert_ne!(again.slot, batch.slot);

    let mut alone = TestRun::new(rules(), &[1]);
    alone.read(["r"]);
    let batch = alone.last_sent();
    alone.say(&batch, batch.batch, &[(0, Status::Retry, "later".into())], true);
    alone.pass(Duration::from_millis(100));
    assert_eq!(alone.last_sent().slot, batch.slot);
}

#[test]
fn a_rejected_record_is_not_tried_again_and_its_message_is_kept() {
    let mut run = TestRun::new(rules(), &[1]);
    run.read(["bad"]);
    let batch = run.last_sent();
    run.say(&batch, batch.batch, &[(0, Status::Rejected, "no @".into())], true);
    assert_eq!(run.failed[0].message, "no @");
    assert_eq!(run.failed[0].attempts, 1);
}

#[test]
fn a_fatal_task_does_not_count_against_its_record() {
    let mut run = TestRun::new(rules(), &[1, 1]);
    run.read(["r"]);
    for _ in 0..5 {
        let batch = run.last_sent();
        run.say(&batch, batch.batch, &[(0, Status::Fatal, "cannot".into())], false);
        run.kill(batch.slot, LossKind::Crash, None);
        run.up(batch.slot);
    }
    assert!(run.failed.is_empty());
}

#[test]
fn held_records_stay_open_and_their_rows_come_when_they_are_finished() {
    let mut run = TestRun::new(rules(), &[1]);
    run.read(["h"]);
    let batch = run.last_sent();
    run.say(&batch, batch.batch, &[(0, Status::Held, "early\n".into())], true);
    assert_eq!(run.take_written(), "");
    run.end_input();
    let flush = run.flushes.pop().unwrap();
    assert!(!run.finished);
    run.flushed(flush, batch.batch, &[done(0, "late")], "");
    assert_eq!(run.take_written(), "early\nlate\n");
    assert!(run.finished);
}

#[test]
fn held_records_are_run_again_when_their_worker_dies_and_their_early_rows_are_dropped() {
    let mut run = TestRun::new(rules(), &[1]);
    run.read(["h"]);
    let batch = run.last_sent();
    run.say(&batch, batch.batch, &[(0, Status::Held, "early\n".into())], true);
    run.kill(slot(0, 0), LossKind::Crash, None);
    run.up(slot(0, 0));
    let again = run.last_sent();
    run.echo(&again);
    assert_eq!(run.take_written(), "h\n");
}

#[test]
fn rows_of_a_last_flush_that_belong_to_no_record_come_last() {
    let mut run = TestRun::new(in_order(), &[1]);
    run.read(["r"]);
    let batch = run.last_sent();
    run.echo(&batch);
    run.end_input();
    let flush = run.flushes.pop().unwrap();
    run.flushed(flush, batch.batch, &[], "total\n");
    assert_eq!(run.take_written(), "r\ntotal\n");
    assert!(run.finished);
}

#[test]
fn a_record_that_crashes_a_flush_is_found_by_being_alone() {
    let mut run = TestRun::new(rules(), &[1]);
    warm_up(&mut run, 2);
    run.read(["1", "guilty", "3"]);
    for _ in 0..2 {
        let batch = run.last_sent();
        assert_eq!(batch.records.len(), 3, "the first two times they go together");
        run.say(&batch, batch.batch, &[held(0), held(1), held(2)], true);
        run.kill(slot(0, 0), LossKind::Flush, None);
        run.up(slot(0, 0));
    }
    let mut seen = 0;
    while run.failed.is_empty() || !run.sent.is_empty() {
        run.pass(Duration::from_secs(1));
        let SentBatch { ref records, .. } = run.sent[0];
        assert_eq!((run.sent.len(), records.len()), (1, 1), "a suspect is alone");
        let batch = run.last_sent();
        if batch.records[0] == "guilty" {
            run.say(&batch, batch.batch, &[held(0)], true);
            run.kill(slot(0, 0), LossKind::Flush, None);
            run.up(slot(0, 0));
        } else {
            run.echo(&batch);
        }
        seen += 1;
        assert!(seen < 20, "the guilty one is convicted");
    }
    assert_eq!(run.failed.len(), 1);
    assert_eq!(run.failed[0].reason, Reason::Crash);
    assert_eq!(&run.failed[0].record[..], b"guilty\n");
    let mut rows = run.take_written();
    rows.truncate(4);
    assert!(rows == "1\n3\n" || rows == "3\n1\n", "{rows}");
}

#[test]
fn order_is_kept_across_slots_and_retries() {
    let mut run = TestRun::new(in_order(), &[1, 1]);
    run.read(["1"]);
    run.read(["2"]);
    let (first, second) = (run.sent_to(slot(0, 0)), run.sent_to(slot(1, 0)));
    run.echo(&second);
    assert_eq!(run.take_written(), "");
    run.say(&first, first.batch, &[(0, Status::Retry, String::new())], true);
    run.pass(Duration::from_millis(100));
    let again = run.last_sent();
    run.echo(&again);
    assert_eq!(run.take_written(), "1\n2\n");
}

#[test]
fn rows_of_scattered_records_are_told_apart_only_if_order_counts() {
    for (rules, wanted) in [(rules(), false), (in_order(), true)] {
        let mut run = TestRun::new(rules, &[1]);
        warm_up(&mut run, 2);
        run.read(["1", "2", "3"]);
        let batch = run.last_sent();
        assert!(!batch.with_row_ends, "records that follow each other need none");
        run.kill(slot(0, 0), LossKind::Crash, None);
        run.up(slot(0, 0));
        assert_eq!(run.last_sent().with_row_ends, wanted);
    }
}

#[test]
fn a_record_that_is_too_long_fails_and_the_run_goes_on() {
    let mut run = TestRun::new(in_order(), &[1]);
    run.read(["1"]);
    let batch = run.last_sent();
    run.state.on_too_long("xxxx".into(), 99, 10, run.now);
    run.echo(&batch);
    run.read(["3"]);
    let batch = run.last_sent();
    run.echo(&batch);
    assert_eq!(run.take_written(), "1\n3\n");
    assert_eq!((run.state.counts().read, run.state.counts().failed), (3, 1));
}

#[test]
fn a_draining_node_finishes_what_it_has_and_is_let_go() {
    let mut run = TestRun::new(rules(), &[1, 1]);
    run.read(["1"]);
    let batch = run.last_sent();
    run.drain(batch.slot.node.0);
    run.read(["2"]);
    assert_ne!(run.last_sent().slot, batch.slot, "it gets no more");
    assert!(run.let_go.is_empty());
    run.say(&batch, batch.batch, &[held(0)], true);
    let flush = run.flushes.pop().expect("its task is asked to finish what it holds");
    run.flushed(flush, batch.batch, &[done(0, "1")], "");
    assert_eq!(run.let_go, [batch.slot.node]);
    assert_eq!(run.take_written(), "1\n");
}

#[test]
fn equal_keys_meet_in_one_slot_in_the_order_of_the_input() {
    let mut run = TestRun::new(by_first_letter(), &[2, 2]);
    let mut seen: std::collections::BTreeMap<char, (super::test_run::SentBatch, Vec<String>)> =
        Default::default();
    for round in 0..50 {
        run.read(('a'..='h').map(|letter| format!("{letter}{round}")));
        while !run.sent.is_empty() {
            let batch = run.sent.remove(0);
            for record in &batch.records {
                let letter = record.chars().next().unwrap();
                let (first, records) = seen.entry(letter).or_insert_with(|| (batch.clone(), Vec::new()));
                assert_eq!(first.slot, batch.slot);
                records.push(record.clone());
            }
            run.echo(&batch);
        }
    }
    for (letter, (_, records)) in &seen {
        let expected: Vec<_> = (0..50).map(|round| format!("{letter}{round}")).collect();
        assert_eq!(*records, expected);
    }
    let slots: std::collections::BTreeSet<_> = seen.values().map(|(first, _)| first.slot).collect();
    assert!(slots.len() > 1, "keys are spread");
}

#[test]
fn the_end_of_a_partitioned_run_is_not_cut_into_single_records() {
    let mut run = TestRun::new(by_first_letter(), &[2]);
    warm_up(&mut run, 4);
    run.read_with_rest((0..3000).map(|record| format!("{}{record}", ['a', 'b'][record % 2])), Some(0));
    run.end_input();
    let mut batches = 0;
    while !run.sent.is_empty() {
        let batch = run.last_sent();
        run.echo(&batch);
        batches += 1;
    }
    assert!(batches < 30, "no other slot can take a part of the rest, so {batches} batches are too many");
}

#[test]
fn a_node_that_joins_a_partitioned_run_waits_until_nothing_is_in_flight() {
    let mut run = TestRun::new(by_first_letter(), &[1]);
    run.read(["a1"]);
    let batch = run.last_sent();
    run.join(1, 1);
    assert!(!run.state.wants_records(), "keys are about to move");
    run.echo(&batch);
    run.read(('a'..='z').map(|letter| format!("{letter}2")));
    assert!(run.sent.iter().any(|sent| sent.slot.node == NodeId(1)));
}

#[test]
fn a_record_without_a_key_is_rejected() {
    let mut run = TestRun::new(by_first_letter(), &[1]);
    run.read(["", "b"]);
    assert_eq!(run.failed[0].reason, Reason::Rejected);
    assert!(run.failed[0].message.contains("no partition key"), "{}", run.failed[0].message);
    assert_eq!(run.last_sent().records, ["b"]);
}

#[test]
fn queued_records_of_a_lost_node_move_in_order() {
    let mut run = TestRun::new(by_first_letter(), &[1, 1]);
    run.read((0..10).map(|number| format!("a{number}")));
    let first = run.last_sent();
    run.lose_node(first.slot.node.0);
    let mut records = Vec::new();
    while !run.sent.is_empty() {
        let batch = run.sent.remove(0);
        assert_ne!(batch.slot.node, first.slot.node);
        records.extend(batch.records.clone());
        run.echo(&batch);
    }
    assert_eq!(records, (0..10).map(|number| format!("a{number}")).collect::<Vec<_>>());
}

#[test]
fn a_record_held_while_its_workers_are_killed_from_outside_is_innocent() {
    let mut run = TestRun::new(rules(), &[1]);
    warm_up(&mut run, 2);
    run.read(["1", "2"]);
    for _ in 0..5 {
        let batch = run.last_sent();
        assert_eq!(batch.records, ["1", "2"], "no record is suspected, so they go together");
        run.say(&batch, batch.batch, &[held(0), held(1)], true);
        run.kill(slot(0, 0), LossKind::Crash, None);
        run.up(slot(0, 0));
    }
    let batch = run.last_sent();
    run.echo(&batch);
    assert!(run.failed.is_empty(), "{:?}", run.failed);
    assert_eq!(run.take_written(), "1\n2\n");
}

/// A run that goes on after another knows how often that one has tried a record.
#[test]
fn a_record_has_no_more_retries_than_earlier_runs_have_left_it() {
    for rules in [rules, in_order, by_first_letter] {
        let tally = Tally { attempts: 3, faults: 2 };
        let earlier = Earlier { tallies: [(Seq(1), tally)].into(), ..Earlier::default() };
        let mut run = TestRun::resume(rules(), &earlier, &[1]);
        run.read(["a", "b"]);
        run.end_input();
        while run.failed.is_empty() {
            let batch = run.sent.remove(0);
            let said = |(index, record): (usize, &String)| match record.starts_with('b') {
                true => (index as u16, Status::Retry, "no".into()),
                false => (index as u16, Status::Done, String::new()),
            };
            let said: Vec<_> = batch.records.iter().enumerate().map(said).collect();
            run.say(&batch, batch.batch, &said, true);
        }
        assert_eq!((run.failed[0].seq, run.failed[0].attempts), (Seq(1), 4));
        assert_eq!(run.state.counts().retried, 1);
    }
}

/// What was tried is told with what was finished, or without, and once.
#[test]
fn attempts_are_told_as_progress() {
    let mut run = TestRun::resume(rules(), &Earlier::default(), &[1]);
    run.read(["a"]);
    assert_eq!(run.state.take_progress(), None);
    let batch = run.last_sent();
    run.say(&batch, batch.batch, &[(0, Status::Retry, "no".into())], true);
    let told = run.state.take_progress().expect("an attempt has failed");
    assert_eq!(told.tallies, [(Seq(0), Tally { attempts: 1, faults: 1 })].into());
    assert!(told.newly.is_empty());
    assert_eq!(run.state.take_progress(), None);
}
