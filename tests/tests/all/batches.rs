//! Tasks that get many records in one call: they are fast together, and each record keeps every promise.

use simplegrid_tests::{Call, FailedRecord, Grid, c_library, numbered};

/// How many records the hostile task takes in one call here.
const BATCH: usize = 64;

fn run(grid: &Grid) -> Call<'_> {
    let run = grid.run("hostile").task_arg("side-log", grid.path("log"));
    let run = run.task_arg("batch", BATCH.to_string());
    run.args("-k --retries 1").path("--failed", grid.path("failed"))
}

/// Puts a record into the middle of a thousand others, and checks what becomes of all of them. `executions`
/// is how often the record runs.
#[track_caller]
fn expect_only_it_fails(record: &str, reason: &str, message: &str, executions: usize, args: &str) {
    let grid = Grid::new();
    let neighbours = numbered("ok ", 1000);
    let (before, after) = neighbours.split_at(neighbours.find("ok 500\n").expect("it is one of them"));
    let run = run(&grid).args(args).input(format!("{before}{record}\n{after}")).finish().expect(1);
    let run = run.expect_counts(1001, 1000, 1);
    assert!(run.text() == neighbours, "{record}: the neighbours' rows differ");

    let failed = grid.failed("failed");
    let [failed] = &failed[..] else { panic!("{record}: not one failed record: {failed:?}") };
    let FailedRecord { seq, reason: found, message: said, .. } = failed;
    assert_eq!((*seq, failed.record.as_str(), found.as_str()), (500, record, reason));
    assert!(said.contains(message), "{record}: {said}");

    let log = grid.side_log("log");
    assert_eq!(log.count(record), executions, "{record}");
    // Those that were with it in a call run again, alone, and no others.
    let again = log.len() - executions - 1000;
    assert!(again < BATCH, "{record}: {again} neighbours ran again");
}

#[test]
fn a_record_that_kills_a_batch_is_found_and_costs_only_itself() {
    // Once with the others, and twice alone.
    for (record, message) in [("abort", "SIGABRT"), ("segv", "SIGSEGV"), ("exit0", "exit status 0")] {
        expect_only_it_fails(record, "crash", message, 3, "");
    }
}

#[test]
fn a_record_that_panics_in_a_batch_is_found_and_costs_only_itself() {
    expect_only_it_fails("panic", "panic", "told to panic", 3, "");
}

#[test]
fn a_record_that_never_ends_in_a_batch_is_found_and_costs_only_itself() {
    expect_only_it_fails("hang", "timeout", "limit of 1s", 3, "--record-timeout 1s");
}

#[test]
fn a_record_that_fails_a_batch_is_found_and_costs_only_itself() {
    expect_only_it_fails("reject", "rejected", "told to reject", 2, "");
    expect_only_it_fails("leak", "rejected", "after a row", 2, "");
    expect_only_it_fails("retry", "error", "told to retry", 3, "");
}

#[test]
fn records_that_a_batch_holds_are_finished_by_a_flush() {
    let grid = Grid::new();
    let input: String =
        (0..500).map(|n| if n % 3 == 0 { format!("hold {n}\n") } else { format!("ok {n}\n") }).collect();
    let run = run(&grid).input(input.clone()).finish().expect(0).expect_counts(500, 500, 0);
    assert_eq!(run.text(), input);
    assert_eq!(grid.side_log("log").len(), 500);
}

#[test]
fn what_a_batch_holds_survives_the_crash_of_another_record() {
    let grid = Grid::new();
    let mut input: Vec<_> = (0..500).map(|n| format!("hold {n}\n")).collect();
    let rows = input.concat();
    input.insert(250, "abort\n".to_owned());
    input.insert(100, "reject\n".to_owned());
    let run = run(&grid).input(input.concat()).finish().expect(1).expect_counts(502, 500, 2);
    assert_eq!(run.text(), rows);
    let failed: Vec<_> = grid.failed("failed").into_iter().map(|failed| failed.record).collect();
    assert_eq!(failed, ["reject", "abort"]);
}

#[test]
fn what_a_batch_drops_fails_alone() {
    let grid = Grid::new();
    let input = numbered("ok ", 100) + "drop\n" + &numbered("more ", 100);
    let run = run(&grid).input(input).finish().expect(1).expect_counts(201, 200, 1);
    assert!(run.text().ends_with("more 99\n"));
    assert_eq!(grid.failed("failed")[0].message, "the task held it and never finished it");
}

#[test]
fn rows_that_fit_alone_are_no_fault_because_a_batch_has_too_many() {
    let grid = Grid::new();
    let input = numbered("ok ", 10_000) + &"huge 70000000\n".repeat(6) + &numbered("ok ", 10_000);
    let run = run(&grid).args("-m 1 -o /dev/null").input(input).finish().expect(0);
    run.expect_counts(20_006, 20_006, 0);
}

#[test]
fn a_grid_runs_batches_and_loses_nothing_when_workers_are_killed() {
    let grid = Grid::new();
    let call = || grid.slave_call("hostile").task_arg("batch", BATCH.to_string());
    let slaves = [simplegrid_tests::Slave::start(call()), simplegrid_tests::Slave::start(call())];
    let input = numbered("ok ", 20_000) + "abort\n" + &numbered("sleep 1 ", 300) + "segv\n";
    let master = grid.master().args("-k --retries 1").input(input).finish().expect(1);
    let master = master.expect_counts(20_302, 20_300, 2);
    assert_eq!(master.text(), numbered("ok ", 20_000) + &numbered("sleep 1 ", 300));
    drop(slaves);
}

/// A plugin in C that takes batches of eight. What it does with one is in its first record: `reverse`
/// finishes all in the wrong order, each with its row; `some` finishes every second one and leaves the others
/// to the host; `fail` finishes the first two and then returns an error; `loose` says of no row whose it is.
const BATCHING: &str = r#"
#include <stdlib.h>
#include <string.h>
#include "simplegrid.h"

typedef struct { sg_host host; } state;

static sg_bytes manifest(void) {
    return SG_TEXT("{\"package\":\"batching\",\"version\":\"1\",\"api\":\"c\",\"tasks\":"
                   "[{\"name\":\"batching\",\"output\":\"lines\",\"args\":[],"
                   "\"columns\":[{\"name\":\"line\",\"kind\":\"text\",\"nullable\":false}]}]}");
}
static int32_t prepare(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host) {
    (void)task, (void)args, (void)n, (void)host;
    return SG_OK;
}
static void *create(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host) {
    (void)task, (void)args, (void)n;
    state *made = calloc(1, sizeof *made);
    if (made) made->host = *host;
    return made;
}
static int32_t handle(void *opaque, uint64_t record, sg_bytes line) {
    const sg_host *host = &((state *)opaque)->host;
    (void)record;
    host->line(host->ctx, SG_TEXT("alone"));
    return host->line(host->ctx, line);
}
static int32_t flush(void *opaque, bool last) {
    (void)opaque, (void)last;
    return SG_OK;
}
static uint32_t max(void *opaque) {
    (void)opaque;
    return 8;
}
static int begins(sg_bytes line, const char *word) {
    return line.len >= strlen(word) && memcmp(line.ptr, word, strlen(word)) == 0;
}
/* The first field, as the host splits it. */
static sg_bytes first_field(const sg_host *host, sg_bytes line) {
    const sg_record_fields_v1 *fields = host->extension(host->ctx, SG_TEXT("record-fields/1"));
    const sg_bytes *found;
    return fields->fields(host->ctx, line, &found) > 0 ? found[0] : line;
}
static int32_t handle_batch(void *opaque, uint64_t first, const sg_bytes *lines, size_t n) {
    const sg_host *host = &((state *)opaque)->host;
    if (begins(lines[0], "reverse")) {
        for (size_t at = n; at-- > 0;) {
            host->line(host->ctx, first_field(host, lines[at]));
            host->done(host->ctx, first + at, SG_OK, (sg_bytes){0});
        }
        /* Twice: the second time means nothing. */
        host->done(host->ctx, first, SG_REJECT, SG_TEXT("too late"));
        return SG_OK;
    }
    for (size_t at = 0; at < n; at++) {
        if (begins(lines[0], "some") && at > 0) continue;
        host->line(host->ctx, lines[at]);
        if (begins(lines[0], "some")) host->done(host->ctx, first + at, SG_OK, (sg_bytes){0});
        if (begins(lines[0], "fail") && at < 2) host->done(host->ctx, first + at, SG_OK, (sg_bytes){0});
    }
    if (!begins(lines[0], "fail")) return SG_OK;
    host->done(host->ctx, 0, SG_REJECT, SG_TEXT("not together"));
    return SG_REJECT;
}
static const sg_batch_v1 batch = {max, handle_batch};
static const void *extension(sg_bytes id) {
    return id.len == 7 && memcmp(id.ptr, "batch/1", 7) == 0 ? &batch : NULL;
}
SG_EXPORT const sg_plugin simplegrid_plugin_v1 = {SG_ABI, manifest, extension, prepare,
                                                  create, handle,   flush,     free};
"#;

const RECORDS: usize = 5000;

/// The rows of the C plugin for records that all have that word.
#[track_caller]
fn rows_in_c(word: &str) -> Option<String> {
    let grid = Grid::new();
    let library = c_library(&grid, "libbatching.so", BATCHING)?;
    let input = numbered(&format!("{word} "), RECORDS).replace('\n', ",x\n");
    let run = grid.run(&library.display().to_string()).args("-k -m 2").input(input);
    Some(run.finish().expect(0).expect_counts(RECORDS as u64, RECORDS as u64, 0).text())
}

/// How many of such records ran in a batch, and how many alone. Each has its row, in the order of the input.
#[track_caller]
fn calls_in_c(word: &str) -> Option<[usize; 2]> {
    let text = rows_in_c(word)?;
    let (alone, rows): (Vec<_>, Vec<_>) = text.lines().partition(|row| *row == "alone");
    let first_fields: String = rows.iter().map(|row| row.trim_end_matches(",x").to_owned() + "\n").collect();
    assert!(first_fields == numbered(&format!("{word} "), RECORDS), "other rows, or in another order");
    Some([RECORDS - alone.len(), alone.len()])
}

#[test]
fn a_batch_in_c_finishes_its_records_in_any_order() {
    let Some([in_batches, _]) = calls_in_c("reverse") else { return };
    assert!(in_batches > 1000, "{in_batches}");
}

#[test]
fn a_batch_in_c_leaves_records_to_the_host() {
    let Some(rows) = rows_in_c("some") else { return };
    let numbers =
        rows.lines().filter_map(|row| row.strip_prefix("some ")?.strip_suffix(",x")?.parse::<usize>().ok());
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.is_sorted() && numbers.len() < RECORDS / 2, "only the first of each batch has a row");
}

#[test]
fn rows_of_a_batch_that_belong_to_no_record_do_not_come_out() {
    let Some(calls) = calls_in_c("loose") else { return };
    assert_eq!(calls, [0, 5000], "they are written again, one record at a time");
}

#[test]
fn a_batch_in_c_that_fails_is_run_one_by_one() {
    let Some([in_batches, alone]) = calls_in_c("fail") else { return };
    assert!(in_batches > 100 && alone > in_batches, "two of eight: {in_batches}, {alone}");
}
