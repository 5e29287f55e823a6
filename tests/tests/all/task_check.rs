//! `simplegrid task check`: each fault of a task is found, and named with what to do about it.

use serde_json::Value;
use simplegrid_tests::{Finished, Grid, c_library};

/// Checks the hostile task with some records.
#[track_caller]
fn checked(grid: &Grid, records: &str, status: i32) -> Finished {
    grid.simplegrid().args("task check hostile -").input(records).finish().expect(status)
}

/// Checks that there is a line about something, with that level.
#[track_caller]
fn expect_line(finished: &Finished, level: &str, check: &str, text: &str) {
    let shown = String::from_utf8_lossy(&finished.stdout);
    let start = format!("{level:4}  {check}: ");
    let found = shown.lines().any(|line| line.starts_with(&start) && line.contains(text));
    assert!(found, "no line {start:?} with {text:?} in:\n{shown}\n{}", finished.stderr);
}

#[test]
fn a_good_task_passes_with_records_of_its_own_and_with_those_built_in() {
    let grid = Grid::new();
    let checked = grid.simplegrid().args("task check --json echo").finish().expect(0);
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(report["passed"], true, "{report:#}");
    let level = |check: &str| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|one| one["check"] == check).map(|one| one["level"].clone()).unwrap_or_default()
    };
    for check in
        ["start", "records", "rows", "same rows", "threads", "descriptors", "processes", "speed", "end"]
    {
        assert_eq!(level(check), "ok", "{check}: {report:#}");
    }
    let input = grid.write("addresses", "ann@example.org\nbob@example.net");
    let call = grid.simplegrid().args("task check email-domain").arg(input).task_arg("lower", "true");
    let checked = call.finish().expect(0);
    expect_line(&checked, "ok", "records", "2 of 2 records");
    assert!(grid.workers().is_empty(), "no worker is left");
}

#[test]
fn a_task_that_panics_or_forgets_what_it_holds_fails_with_its_messages() {
    let grid = Grid::new();
    let found = checked(&grid, "good\npanic\nforget\nreject\nabort\n", 1);
    expect_line(&found, "FAIL", "panic", "record 2: told to panic");
    expect_line(&found, "FAIL", "held", "record 3: the task held it and never finished it");
    expect_line(&found, "FAIL", "crash", "record 5: the worker was ended by signal SIGABRT");
    expect_line(&found, "warn", "rejected", "record 4: told to reject");
}

#[test]
fn a_record_that_never_returns_is_given_up() {
    let grid = Grid::new();
    let call = grid.simplegrid().args("task check hostile - --record-timeout 500ms").input("hang\n");
    let found = call.finish().expect(1);
    expect_line(&found, "FAIL", "timeout", "record 1: it took longer");
}

#[test]
fn threads_descriptors_and_processes_left_behind_are_counted() {
    let grid = Grid::new();
    for (record, kind) in [("leave-thread", "threads"), ("leave-file", "descriptors"), ("child", "processes")]
    {
        let found = checked(&grid, &format!("good\n{record}\n"), 1);
        expect_line(&found, "FAIL", kind, "each pass leaves 1 more");
    }
}

#[test]
fn memory_that_each_record_leaves_behind_is_measured() {
    let grid = Grid::new();
    let found = checked(&grid, &"leave-memory\n".repeat(200), 1);
    expect_line(&found, "FAIL", "memory", "bytes per record");
}

#[test]
fn a_task_that_does_not_start_or_does_not_end_fails() {
    let grid = Grid::new();
    let check = |name, value| grid.simplegrid().args("task check hostile").task_arg(name, value).finish();
    expect_line(&check("prepare", "fail").expect(1), "FAIL", "start", "told to fail in prepare");
    expect_line(&check("new", "panic").expect(1), "FAIL", "create", "told to panic in new");
    expect_line(&check("drop", "hang").expect(1), "FAIL", "end", "did not end within");
}

#[test]
fn a_task_or_an_input_that_is_not_there_is_a_wrong_command_line() {
    let grid = Grid::new();
    for words in ["task check ./nothing.so", "task check echo ./nothing.txt"] {
        let refused = grid.simplegrid().args(words).finish().expect(2);
        assert!(refused.stderr.contains("nothing"), "{}", refused.stderr);
    }
}

/// A task that is used up by a thousand records.
const TIRED: &str = r#"
static int records;
static int32_t handle(void *state, uint64_t record, sg_bytes line) {
    if (++records <= 1000) return the_host.line(the_host.ctx, line);
    the_host.done(the_host.ctx, record, SG_REJECT, SG_TEXT("too tired"));
    return SG_REJECT;
}
"#;

#[test]
fn a_task_that_fails_only_after_many_records_fails() {
    let grid = Grid::new();
    let (before, rest) = ONE_CELL.split_once("static int32_t handle").unwrap();
    let (_, after) = rest.split_once("}\n").unwrap();
    let source = format!("{before}{TIRED}{after}").replace(r#"\"rows\""#, r#"\"lines\""#);
    let second = r#",\"columns\":["
                   "{\"name\":\"a\",\"kind\":\"text\",\"nullable\":false},""#;
    assert!(source.contains(second));
    let source = source.replace(second, r#",\"columns\":[""#);
    let Some(library) = c_library(&grid, "libfew.so", &source) else { return };
    let found = grid.simplegrid().args("task check").arg(library).finish().expect(1);
    expect_line(&found, "FAIL", "many records", "too tired");
}

/// A task whose rows have one cell, although its manifest promises two.
const ONE_CELL: &str = r#"
#include "simplegrid.h"
static sg_host the_host;
static sg_bytes manifest(void) {
    return SG_TEXT("{\"package\":\"few\",\"version\":\"1.0\",\"api\":\"c\",\"tasks\":[{\"name\":\"few\","
                   "\"output\":\"rows\",\"args\":[],\"columns\":["
                   "{\"name\":\"a\",\"kind\":\"text\",\"nullable\":false},"
                   "{\"name\":\"b\",\"kind\":\"int\",\"nullable\":false}]}]}");
}
static const void *extension(sg_bytes id) { return 0; }
static int32_t prepare(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host) { return SG_OK; }
static void *create(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host) {
    the_host = *host;
    return &the_host;
}
static int32_t handle(void *state, uint64_t record, sg_bytes line) {
    return the_host.emit(the_host.ctx, &line, 1);
}
static int32_t flush(void *state, bool last) { return SG_OK; }
static void destroy(void *state) {}
SG_EXPORT const sg_plugin simplegrid_plugin_v1 = {SG_ABI, manifest, extension, prepare,
                                                  create, handle, flush, destroy};
"#;

#[test]
fn rows_that_the_manifest_does_not_promise_fail() {
    let grid = Grid::new();
    let Some(library) = c_library(&grid, "libfew.so", ONE_CELL) else { return };
    let found = grid.simplegrid().args("task check").arg(library).finish().expect(1);
    expect_line(&found, "FAIL", "rows", "row 1 has 1 cells, and the manifest 2 columns");
}
