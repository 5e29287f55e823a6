//! Partitioned scheduling: equal keys meet in one worker, in the order of the input.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, Grid, SideLog, Slave, numbered, wait};

/// Enough keys that each of four workers gets some.
const KEYS: usize = 40;
const RECORDS: usize = 4_000;

/// Records `kKEY,NUMBER`, with the keys in turn.
fn keyed(records: usize) -> String {
    (0..records).map(|number| format!("k{},{number}\n", number * 7 % KEYS)).collect()
}

fn field(record: &str, index: usize) -> &str {
    record.split(',').nth(index).expect("the record has the field")
}

/// Checks the promise, and that the work is spread over that many workers.
#[track_caller]
fn expect_keys_meet_in_order(log: &SideLog, key: impl Fn(&str) -> String, workers: usize) {
    let by_worker = log.by_worker();
    let mut home: BTreeMap<String, u32> = BTreeMap::new();
    for (worker, records) in &by_worker {
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for record in records {
            let (key, number) = (key(record), field(record, 1).parse().expect("it is a number"));
            assert_eq!(
                *home.entry(key.clone()).or_insert(*worker),
                *worker,
                "the key {key} meets in one worker"
            );
            let before = last.insert(key.clone(), number);
            assert!(before.is_none_or(|before| before < number), "the key {key} comes in order");
        }
    }
    assert_eq!(by_worker.len(), workers, "the keys are spread over all workers");
}

fn noted<'g>(grid: &'g Grid, by: &str) -> Call<'g> {
    grid.run("hostile").task_arg("side-log", grid.path("log")).args("-m 4 --partition-by").arg(by)
}

#[test]
fn equal_fields_meet_in_one_worker() {
    let grid = Grid::new();
    noted(&grid, "field:0").input(keyed(RECORDS)).finish().expect(0).expect_counts(
        RECORDS as u64,
        RECORDS as u64,
        0,
    );
    let log = grid.side_log("log");
    assert_eq!(log.len(), RECORDS);
    expect_keys_meet_in_order(&log, |record| field(record, 0).to_owned(), 4);
}

#[test]
fn equal_records_meet_in_one_worker() {
    let grid = Grid::new();
    let input: String = (0..RECORDS).map(|number| format!("r{}\n", number % KEYS)).collect();
    noted(&grid, "whole-record").input(input).finish().expect(0);
    let log = grid.side_log("log");
    let mut seen = BTreeSet::new();
    for records in log.by_worker().values() {
        let here: BTreeSet<_> = records.iter().map(|record| (*record).to_owned()).collect();
        assert!(seen.is_disjoint(&here), "a record has met in two workers");
        seen.extend(here);
    }
    assert_eq!((seen.len(), log.len(), log.by_worker().len()), (KEYS, RECORDS, 4));
}

#[test]
fn a_plugin_can_say_what_the_key_is() {
    let grid = Grid::new();
    let domain = |number: usize| format!("{}{}.org", ["D", "d"][number / 3 % 2], number % KEYS);
    let input: String = (0..RECORDS).map(|number| format!("joe@{},{number}\n", domain(number))).collect();
    noted(&grid, "email-domain:by-email-domain").input(input).finish().expect(0);
    let key = |record: &str| field(record, 0).rsplit_once('@').unwrap().1.to_lowercase();
    expect_keys_meet_in_order(&grid.side_log("log"), key, 4);
}

#[test]
fn the_scheduler_of_net_simplegrid_has_a_name_here() {
    let grid = Grid::new();
    let run = grid.run("hostile").task_arg("side-log", grid.path("log")).args("-m 4 --scheduler partitioned");
    run.input("a\nb\na\nb\na\n").finish().expect(0);
    let home = |record: &str| {
        let log = grid.side_log("log");
        log.by_worker().values().filter(|records| records.contains(&record)).count()
    };
    assert_eq!((home("a"), home("b")), (1, 1));
}

#[test]
fn the_order_of_the_output_can_be_kept() {
    let grid = Grid::new();
    let input = keyed(20_000);
    let run = grid.run("echo").args("-k -m 4 --partition-by field:0").input(&input).finish().expect(0);
    assert!(run.text() == input, "the output differs from the input");
}

#[test]
fn a_record_without_the_key_is_rejected() {
    let grid = Grid::new();
    let run = grid.run("echo").args("-k --partition-by field:2").path("--failed", grid.path("failed"));
    let run = run.input("a,b,c\na,b\nx,y,z\n").finish().expect(1).expect_counts(3, 2, 1);
    assert_eq!(run.text(), "a,b,c\nx,y,z\n");
    let failed = grid.failed("failed");
    assert_eq!((failed[0].seq, failed[0].reason.as_str(), failed[0].attempts), (1, "rejected", 0));
}

#[test]
fn a_poisonous_record_costs_its_key_nothing_but_itself() {
    let grid = Grid::new();
    let mut lines: Vec<_> = keyed(400).lines().map(str::to_owned).collect();
    lines.insert(200, "abort".to_owned());
    let run = noted(&grid, "field:0").arg("-k").path("--failed", grid.path("failed"));
    let run = run.input(lines.join("\n")).finish().expect(1).expect_counts(401, 400, 1);
    assert_eq!(run.text(), keyed(400));
    let log = grid.side_log("log");
    assert_eq!((log.len(), log.count("abort")), (403, 3));
}

/// Checks that the records of each key began in the order of the input, in whichever worker.
#[track_caller]
fn expect_keys_in_order(log: &SideLog) {
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for record in log.records() {
        let (key, number) = (field(record, 0), field(record, 1).parse().expect("it is a number"));
        let before = last.insert(key, number);
        assert!(before.is_none_or(|before| before < number), "the key {key}: {before:?} before {number}");
    }
}

#[test]
fn keys_stay_in_order_when_a_slave_joins() {
    let grid = Grid::new();
    let _early = grid.noting_slave();
    let mut master = grid.master().args("-k --reallocate-every 200ms --partition-by field:0").start();
    let input = keyed(3 * RECORDS);
    let parts: Vec<_> = input.split_inclusive('\n').collect();
    master.write(parts[..RECORDS].concat());
    let late = grid.noting_slave();
    grid.wait_for_state(late.port(), "reserved");
    master.write(parts[RECORDS..].concat());
    let master = master.finish().expect(0);
    assert!(master.text() == input, "the output differs from the input");
    let log = grid.side_log("log");
    assert_eq!(log.len(), 3 * RECORDS);
    expect_keys_in_order(&log);
    assert_eq!(log.by_worker().len(), 4, "the late slave gets its share");
}

#[test]
fn keys_of_a_lost_slave_go_elsewhere() {
    let grid = Grid::new();
    let slaves = [grid.noting_slave(), grid.noting_slave()];
    let mut master = grid.master().args("-k -m 2 --partition-by field:0").start();
    slaves.iter().for_each(|slave| grid.wait_for_state(slave.port(), "reserved"));
    let input = format!("{}{}\n{}", keyed(RECORDS), grid.gate("gate"), keyed(RECORDS));
    master.write(&input);
    let worker = grid.wait_at_gate("gate", 1);
    let workers = grid.workers();
    let is_owner = |slave: &&Slave| slave.workers(&workers).iter().any(|found| found.pid == worker);
    slaves.iter().find(is_owner).expect("a slave has the worker").signal(Signal::SIGKILL);
    grid.wait_at_gate("gate", 2);
    grid.open_gate("gate");
    let master = master.finish().expect(0).expect_counts(2 * RECORDS as u64 + 1, 2 * RECORDS as u64 + 1, 0);
    assert!(master.text() == input, "the output differs from the input");
}

/// The master itself used to call the partitioner, and died with it.
#[test]
fn a_record_that_kills_the_partitioner_fails_alone() {
    for (fault, said) in [("abort", "SIGABRT"), ("segv", "SIGSEGV"), ("exit0", "exit status 0")] {
        let grid = Grid::new();
        let run = grid.run("echo").args("-k --retries 1 --partition-by hostile:by-fault");
        let (before, after) = (numbered("a ", 50), numbered("b ", 5000));
        let run = run.path("--failed", grid.path("failed")).input(format!("{before}{fault}\n{after}"));
        let run = run.finish().expect(1).expect_counts(5051, 5050, 1);
        assert!(run.text() == before + &after, "{fault}: the others suffer");
        let failed = grid.failed("failed");
        assert_eq!((failed[0].seq, failed[0].record.as_str(), failed[0].attempts), (50, fault, 0));
        assert_eq!(failed[0].reason, "crash");
        let message = &failed[0].message;
        assert!(message.starts_with("it has no partition key: ") && message.contains(said), "{message}");
        let named = format!("on record 51: «{fault}»");
        assert_eq!(run.stderr.matches(&named).count(), 2, "once, and once more: {}", run.stderr);
    }
}

#[test]
fn a_partitioner_that_never_returns_costs_its_record() {
    let grid = Grid::new();
    let _slave = grid.slave("echo");
    let run = grid.master().args("-k --retries 0 --record-timeout 1s --partition-by hostile:by-fault");
    let run = run.path("--failed", grid.path("failed")).input("a\nhang\nb\nreject\nc\n");
    let run = run.finish().expect(1).expect_counts(5, 3, 2);
    assert_eq!(run.text(), "a\nb\nc\n");
    let reasons: Vec<_> = grid.failed("failed").into_iter().map(|failed| failed.reason).collect();
    assert_eq!(reasons, ["timeout", "rejected"]);
    assert!(grid.failed("failed")[0].message.contains("longer than the limit of 1s"));
}

#[test]
fn a_partitioner_that_is_killed_from_outside_costs_nothing() {
    let grid = Grid::new();
    let mut run = grid.run("echo").args("--partition-by hostile:by-fault").start();
    run.write("a\n");
    run.wait_for_lines(1);
    let is_it = |command: &str| command.contains("--task by-fault");
    let found: Vec<_> = grid.processes().into_iter().filter(|found| is_it(&found.command)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].signal(Signal::SIGKILL);
    wait::until("it is dead", || !grid.processes().iter().any(|other| other.pid == found[0].pid));
    run.write("b\n");
    run.finish().expect(0).expect_counts(2, 2, 0);
}

/// A signal is obeyed while a key is computed.
#[test]
fn a_run_ends_while_its_partitioner_hangs() {
    let grid = Grid::new();
    let mut run = grid.run("echo").args("--partition-by hostile:by-fault").start();
    run.write("a\n");
    run.wait_for_lines(1);
    run.write("hang\n");
    run.signal(Signal::SIGTERM);
    run.wait().expect(143).expect_counts(1, 1, 0);
    wait::until("nothing is left of it", || grid.processes().is_empty());
}
