//! Commands as tasks (`-t exec`): what a plugin promises, kept for any program.

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, Found, Grid, kill, numbered, wait};

/// A command that runs longer than any test.
const FOREVER: &str = "sleep 3600";

fn exec<'a>(grid: &'a Grid, command: &str) -> Call<'a> {
    grid.run("exec").args("-k --retries 0").task_arg("command", command).path("--failed", grid.path("failed"))
}

/// The processes of the grid that are neither its program nor its workers.
fn commands(grid: &Grid) -> Vec<Found> {
    let run = |process: &Found| process.command.contains("simplegrid");
    grid.processes().into_iter().filter(|process| !run(process)).collect()
}

#[test]
fn any_command_is_a_task() {
    let grid = Grid::new();
    let records = numbered("record ", 300);
    let run = exec(&grid, "tr a-z A-Z").input(&records).finish().expect(0).expect_counts(300, 300, 0);
    assert_eq!(run.text(), records.to_uppercase());
}

#[test]
fn a_command_that_fails_costs_its_own_record() {
    let grid = Grid::new();
    let run = exec(&grid, "grep -v 7").input(numbered("", 30)).finish().expect(1).expect_counts(30, 27, 3);
    assert_eq!(run.text().lines().count(), 27);
    let failed = grid.failed("failed");
    assert!(
        failed.iter().all(|record| record.reason == "rejected" && record.message.contains("exit status 1"))
    );
    assert_eq!(failed.iter().map(|record| record.seq).collect::<Vec<_>>(), [7, 17, 27]);
}

#[test]
fn a_command_that_kills_its_worker_is_found_and_its_neighbours_are_untouched() {
    let grid = Grid::new();
    let run = exec(&grid, "read record; [ $record = bad ] && kill -9 $PPID; echo $record")
        .task_arg("shell", "true")
        .input("1\n2\nbad\n3\n4\n")
        .finish()
        .expect(1)
        .expect_counts(5, 4, 1);
    assert_eq!(run.text(), "1\n2\n3\n4\n");
    let failed = grid.failed("failed");
    assert_eq!((failed[0].seq, failed[0].reason.as_str()), (2, "crash"));
}

#[test]
fn no_command_outlives_its_worker() {
    let grid = Grid::new();
    let run = exec(&grid, FOREVER).env("SIMPLEGRID_MAX_WORKERS", "1").input("x\n").start();
    wait::until("the command runs", || commands(&grid).len() == 1);
    kill(grid.workers()[0].pid, Signal::SIGKILL);
    run.finish().expect(1).expect_counts(1, 0, 1);
    wait::until("no command is left", || commands(&grid).is_empty());
}

#[test]
fn no_command_outlives_a_program_that_is_killed() {
    let grid = Grid::new();
    let script = format!("{FOREVER} & {FOREVER}");
    let run = exec(&grid, &script).task_arg("shell", "true").input("x\n").start();
    wait::until("the command runs", || commands(&grid).len() == 3);
    run.signal(Signal::SIGKILL);
    wait::until("nothing is left", || grid.processes().is_empty());
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
    let grid = Grid::new();
    let script = format!("setsid {FOREVER} & {FOREVER}");
    exec(&grid, &script)
        .task_arg("shell", "true")
        .task_arg("timeout", "0.5")
        .input("x\n")
        .finish()
        .expect(1)
        .expect_counts(1, 0, 1);
    wait::until("no command is left", || commands(&grid).is_empty());
    assert!(grid.failed("failed")[0].message.contains("`timeout`"));
}

#[test]
fn a_command_that_is_not_there_is_said_before_anything_runs() {
    let grid = Grid::new();
    let run = exec(&grid, "no-such-command --option").input("x\n").finish().expect(2);
    assert!(run.stderr.contains("there is no command `no-such-command` in PATH"), "{}", run.stderr);
}

/// A call of `exec` in a mode, with a shell.
fn exec_in<'a>(grid: &'a Grid, mode: &str, command: &str) -> Call<'a> {
    exec(grid, command).task_arg("mode", mode).task_arg("shell", "true")
}

/// A shell's loop over records, each of which is `$record`.
fn each(what: &str) -> String {
    format!("while read record; do {what}; done")
}

/// The numbers of the failed records, in order.
fn failed_seqs(grid: &Grid) -> Vec<u64> {
    let mut seqs: Vec<_> = grid.failed("failed").iter().map(|record| record.seq).collect();
    seqs.sort_unstable();
    seqs
}

/// The numbers from 0 on but those, a line each.
fn all_but(count: u64, bad: &[u64]) -> String {
    (0..count).filter(|number| !bad.contains(number)).map(|number| format!("{number}\n")).collect()
}

#[test]
fn one_process_serves_many_records_in_every_mode() {
    let records = numbered("record ", 3000);
    for (mode, command) in [("per-batch", "tr a-z A-Z"), ("stream", "sed -u 's/.*/\\U&/'")] {
        let grid = Grid::new();
        let run = exec_in(&grid, mode, command).input(&records).finish();
        let run = run.expect(0).expect_counts(3000, 3000, 0);
        assert_eq!(run.text(), records.to_uppercase(), "{mode}");
    }
}

#[test]
fn the_records_that_spoil_a_batch_are_found_exactly() {
    let bad = [137, 500, 501, 777];
    let script =
        "awk '$0 == 137 { exit 9 } $0 == 501 { next } $0 == 777 { print } { print } $0 == 500 { exit }'";
    let grid = Grid::new();
    let run = exec_in(&grid, "per-batch", script).input(numbered("", 1000)).finish();
    // One that ends the command behind its own line is innocent once it is alone.
    let run = run.expect(1).expect_counts(1000, 997, 3);
    assert_eq!(failed_seqs(&grid), [137, 501, 777]);
    assert_eq!(run.text(), all_but(1000, &[bad[0], bad[2], bad[3]]));
    let messages: Vec<_> = grid.failed("failed").into_iter().map(|record| record.message).collect();
    for said in ["exit status 9", "no line for 1 record", "more than 1 line for 1 record"] {
        assert!(messages.iter().any(|message| message.contains(said)), "{said}: {messages:?}");
    }
}

#[test]
fn the_records_that_spoil_a_stream_are_found_exactly() {
    let script = each(
        "case $record in 50) kill -9 $$;; 150) sleep 3600;; 250) printf '1\\n2\\n';; 350) ;; *) echo $record;; esac",
    );
    let grid = Grid::new();
    let run = exec_in(&grid, "stream", &script).task_arg("timeout", "3").input(numbered("", 400)).finish();
    let run = run.expect(1).expect_counts(400, 396, 4);
    assert_eq!(failed_seqs(&grid), [50, 150, 250, 350]);
    assert_eq!(run.text(), all_but(400, &[50, 150, 250, 350]));
    let mut failed = grid.failed("failed");
    failed.sort_by_key(|record| record.seq);
    for (record, said) in
        failed.iter().zip(["signal SIGKILL", "`timeout`", "more than one line", "no line for a record"])
    {
        assert!(record.message.contains(said), "{said}: {}", record.message);
    }
}

#[test]
fn grep_is_a_task_in_every_mode() {
    let matches = |number: &u64| !number.to_string().contains('7');
    let others: Vec<_> = (0..40).filter(|number| !matches(number)).collect();
    for (mode, command) in
        [("per-record", "grep -v 7"), ("per-batch", "grep -v 7"), ("stream", "grep --line-buffered -v 7")]
    {
        let grid = Grid::new();
        let call = exec_in(&grid, mode, command).task_arg("timeout", "3").input(numbered("", 40));
        let run = call.finish().expect(1).expect_counts(40, 40 - others.len() as u64, others.len() as u64);
        assert_eq!(failed_seqs(&grid), others, "{mode}");
        assert_eq!(run.text(), all_but(40, &others), "{mode}");
    }
    let grid = Grid::new();
    let call = exec_in(&grid, "per-batch", "grep -v 7 || true").task_arg("one-to-one", "false");
    let run = call.input(numbered("", 40)).finish().expect(0).expect_counts(40, 40, 0);
    assert_eq!(run.text(), all_but(40, &others));
}

#[test]
fn a_command_that_buffers_its_answers_ends_the_run_and_is_told_what_to_do() {
    let grid = Grid::new();
    let call = exec_in(&grid, "stream", "tr a b").task_arg("timeout", "1").input("a\n");
    let run = call.finish();
    assert_ne!(run.status, 0);
    assert!(run.stderr.contains("line-buffered=true"), "{}", run.stderr);
}

#[test]
fn what_a_stream_has_started_ends_with_the_run() {
    let grid = Grid::new();
    let script = format!("{FOREVER} & setsid {FOREVER} & trap '' TERM; {}", each("echo $record"));
    let run = exec_in(&grid, "stream", &script).input("1\n2\n").finish().expect(0).expect_counts(2, 2, 0);
    assert_eq!(run.text(), "1\n2\n");
    wait::until("no command is left", || commands(&grid).is_empty());
}

#[test]
fn no_stream_outlives_its_worker() {
    let grid = Grid::new();
    let script = format!("trap '' TERM; {FOREVER} & {}", each(FOREVER));
    let call = exec_in(&grid, "stream", &script).env("SIMPLEGRID_MAX_WORKERS", "1");
    let run = call.input("x\n").start();
    wait::until("the command runs", || commands(&grid).len() == 3);
    kill(grid.workers()[0].pid, Signal::SIGKILL);
    run.finish().expect(1).expect_counts(1, 0, 1);
    wait::until("no command is left", || commands(&grid).is_empty());
}
