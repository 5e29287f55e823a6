//! Mistakes of the user are named in one line, with status 2, before anything runs.

use std::fs;
use std::path::Path;

use simplegrid_tests::{Call, Finished, Grid, c_library, program};

#[test]
fn a_wrong_flag_is_named() {
    let grid = Grid::new();
    for args in
        ["run --no-such-flag", "slave", "master --retries many", "node-manager dance", "run -t echo -m 0"]
    {
        let call = grid.simplegrid().args(args).finish().expect(2);
        assert!(call.stdout.is_empty() && call.stderr.contains("error"), "{args}: {}", call.stderr);
    }
}

#[test]
fn flags_may_be_spelled_with_underscores() {
    let grid = Grid::new();
    let echo = program::library("echo");
    let run = grid.simplegrid().args("run --max_workers 1 --keep_order --record_timeout 10s");
    let run = run.path("--task_class", echo).input("a\n").finish().expect(0);
    assert_eq!(run.text(), "a\n");
}

#[test]
fn every_command_has_a_help() {
    let grid = Grid::new();
    let commands =
        ["", "run", "slave", "master", "node-manager", "node-manager list", "task", "task inspect", "config"];
    for command in commands {
        let help = grid.simplegrid().args(command).arg("--help").finish().expect(0);
        assert!(help.text().contains("Usage: simplegrid"), "{command}: {}", help.text());
        assert_eq!(help.stderr, "", "{command}");
    }
}

#[test]
fn help_whose_reader_is_gone_is_not_an_error() {
    let grid = Grid::new();
    let help = grid.simplegrid().args("run --help").head(1).finish();
    assert_eq!(help.stderr, "");
}

/// The commands that load a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loading {
    Run,
    Slave,
    Inspect,
}

impl Loading {
    const ALL: [Self; 3] = [Self::Run, Self::Slave, Self::Inspect];
    /// The commands that also create the task.
    const RUNNING: [Self; 2] = [Self::Run, Self::Slave];

    fn call<'g>(self, grid: &'g Grid, task: &str) -> Call<'g> {
        match self {
            Self::Run => grid.run(task).input("a\n"),
            Self::Slave => grid.slave_call(task),
            Self::Inspect => grid.simplegrid().args("task inspect").arg(task),
        }
    }
}

/// Makes a library look like a plugin before it is loaded.
const DOOR: &str = "const int simplegrid_plugin_v1[20];\n";

/// Checks that one line says what is wrong, and with which task.
#[track_caller]
fn expect_one_error(finished: Finished, expected: &[&str]) {
    let finished = finished.expect(2);
    assert_eq!(finished.errors().len(), 1, "exactly one error; stderr:\n{}", finished.stderr);
    assert_eq!(finished.stderr.lines().last(), Some(finished.errors()[0]), "nothing after it");
    for text in expected {
        assert!(finished.errors()[0].contains(text), "no {text:?} in: {}", finished.errors()[0]);
    }
    assert!(finished.stdout.is_empty());
}

/// Checks what each command says about a library that cannot be loaded.
#[track_caller]
fn expect_unloadable(grid: &Grid, library: &Path, reason: &str) {
    let task = library.display().to_string();
    for loading in Loading::ALL {
        println!("{loading:?} {task}");
        expect_one_error(loading.call(grid, &task).finish(), &[&task, reason]);
    }
    assert!(grid.workers().is_empty());
}

#[test]
fn a_missing_library_is_named() {
    let grid = Grid::new();
    expect_unloadable(&grid, &grid.path("libmissing.so"), "no file");
}

#[test]
fn an_unknown_name_says_where_it_was_looked_for() {
    let grid = Grid::new();
    for loading in Loading::ALL {
        let deps = program::deps().display().to_string();
        expect_one_error(
            loading.call(&grid, "no-such-name").finish(),
            &["`no-such-name`", "libno_such_name.so", &deps],
        );
    }
}

#[test]
fn a_directory_is_not_a_library() {
    let grid = Grid::new();
    expect_unloadable(&grid, &grid.path("home"), "is a directory");
}

#[test]
fn a_text_is_not_a_library() {
    let grid = Grid::new();
    let text = grid.write("libtext.so", "#!/bin/sh\necho no\n");
    expect_unloadable(&grid, &text, "is not a shared library");
}

#[test]
fn an_empty_file_is_not_a_library() {
    let grid = Grid::new();
    let empty = grid.write("libempty.so", "");
    expect_unloadable(&grid, &empty, "is not a shared library");
}

#[test]
fn a_truncated_library_is_recognised() {
    let grid = Grid::new();
    let echo = fs::read(program::library("echo")).unwrap();
    for (name, bytes) in [("libhalf.so", echo.len() / 2), ("libpage.so", 4096), ("libheader.so", 40)] {
        let library = grid.write(name, &echo[..bytes]);
        expect_unloadable(&grid, &library, "");
    }
}

#[test]
fn a_library_for_another_machine_is_recognised() {
    /// Where an ELF header names the machine, and a machine on which no test runs: 68000 (elf.h).
    const MACHINE_AT: usize = 18;
    const M68K: u8 = 4;
    let grid = Grid::new();
    let mut echo = fs::read(program::library("echo")).unwrap();
    (echo[MACHINE_AT], echo[MACHINE_AT + 1]) = (M68K, 0);
    let library = grid.write("libother.so", echo);
    expect_unloadable(&grid, &library, "is for");
}

#[test]
fn a_library_that_is_not_a_plugin_is_recognised() {
    let grid = Grid::new();
    let Some(library) = c_library(&grid, "libplain.so", "int answer(void) { return 42; }\n") else { return };
    expect_unloadable(&grid, &library, "is not a SimpleGrid plugin");
}

#[test]
fn a_library_that_misses_a_symbol_is_recognised() {
    let grid = Grid::new();
    let source = format!("{DOOR}int nowhere(void);\nint (*const needed)(void) = nowhere;\n");
    let Some(library) = c_library(&grid, "libneedy.so", &source) else { return };
    expect_unloadable(&grid, &library, "nowhere");
}

#[test]
fn a_library_that_crashes_while_it_loads_only_ends_its_worker() {
    let grid = Grid::new();
    for (what, reason) in
        [("abort()", "SIGABRT"), ("*(volatile int *)0 = 1", "SIGSEGV"), ("_exit(7)", "status 7")]
    {
        let source = format!(
            "{DOOR}#include <stdlib.h>\n#include <unistd.h>\n__attribute__((constructor)) void go(void) {{ {what}; }}\n"
        );
        let Some(library) = c_library(&grid, "libcrash.so", &source) else { return };
        expect_unloadable(&grid, &library, reason);
    }
}

#[test]
fn a_library_that_never_ends_loading_is_given_up() {
    let grid = Grid::new();
    let go = "#include <unistd.h>\n__attribute__((constructor)) void go(void) { for (;;) pause(); }\n";
    let Some(library) = c_library(&grid, "libstuck.so", &format!("{DOOR}{go}")) else { return };
    let task = library.display().to_string();
    for loading in Loading::ALL {
        let finished = loading.call(&grid, &task).args("--start-timeout 2s").finish();
        expect_one_error(finished, &[&task, "loading it did not end within 2s", "--start-timeout"]);
    }
    let list = grid.simplegrid().env("SIMPLEGRID_TASK_PATH", grid.path("."));
    let listed = list.args("task list --start-timeout 2s").finish().expect(0);
    assert!(listed.stderr.contains("stuck: ") && listed.stderr.contains("within 2s"), "{}", listed.stderr);
    simplegrid_tests::wait::until("no worker is left", || grid.workers().is_empty());
}

#[test]
fn an_unknown_task_of_a_library_is_named_with_those_that_it_has() {
    let grid = Grid::new();
    for loading in Loading::RUNNING {
        let finished = loading.call(&grid, "echo:shout").finish();
        expect_one_error(finished, &["libecho.so", "shout", "echo"]);
    }
}

#[test]
fn wrong_arguments_of_a_task_are_named() {
    let grid = Grid::new();
    for loading in Loading::RUNNING {
        let call = |name, value| loading.call(&grid, "email-domain").task_arg(name, value).finish();
        expect_one_error(call("lower", "maybe"), &["`lower`", "`maybe`"]);
        expect_one_error(call("upper", "true"), &["`upper`", "lower"]);
    }
}

#[test]
fn a_task_that_cannot_be_created_says_why() {
    let grid = Grid::new();
    for (value, reason) in [("fail", "told to fail in new"), ("panic", "told to panic in new")] {
        expect_one_error(grid.run("hostile").task_arg("new", value).input("a\n").finish(), &[reason]);
    }
}

#[test]
fn a_node_that_cannot_be_prepared_says_why() {
    let grid = Grid::new();
    for (value, reason) in [("fail", "told to fail in prepare"), ("panic", "told to panic in prepare")] {
        for loading in Loading::RUNNING {
            expect_one_error(loading.call(&grid, "hostile").task_arg("prepare", value).finish(), &[reason]);
        }
    }
}

#[test]
fn inspect_shows_what_a_library_contains() {
    let grid = Grid::new();
    let shown = grid.simplegrid().args("task inspect email-domain").finish().expect(0).text();
    for text in ["task email-domain", "lower", "address", "domain", "partitioner by-email-domain"] {
        assert!(shown.contains(text), "no {text:?} in:\n{shown}");
    }
    let json = grid.simplegrid().args("task inspect --json email-domain").finish().expect(0).stdout;
    let manifest: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(manifest["tasks"][0]["name"], "email-domain");
}

/// A library without a task.
const PARTITIONER_ALONE: &str = r#"
#include "simplegrid.h"
static sg_bytes manifest(void) {
    return SG_TEXT("{\"package\":\"keys\",\"version\":\"1.0\",\"api\":\"c\",\"partitioners\":[\"by-name\"]}");
}
static const void *extension(sg_bytes id) { return 0; }
static int32_t prepare(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host) { return SG_FATAL; }
static void *create(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host) { return 0; }
static int32_t handle(void *state, uint64_t record, sg_bytes line) { return SG_FATAL; }
static int32_t flush(void *state, bool last) { return SG_FATAL; }
static void destroy(void *state) {}
SG_EXPORT const sg_plugin simplegrid_plugin_v1 = {SG_ABI, manifest, extension, prepare,
                                                  create, handle, flush, destroy};
"#;

#[test]
fn inspect_and_list_show_libraries_with_several_tasks_and_with_none() {
    let grid = Grid::new();
    let shown = grid.simplegrid().args("task inspect bench").finish().expect(0).text();
    for text in ["task count", "task typed", "task fields", "task sleep"] {
        assert!(shown.contains(text), "no {text:?} in:\n{shown}");
    }
    let listed = grid.simplegrid().args("task list").finish().expect(0).text();
    assert!(listed.contains("bench  count, typed, fields, echo-batch, sleep  "), "{listed}");
    expect_one_error(grid.run("bench").input("a\n").finish(), &["libbench.so", "several tasks", "typed"]);

    let Some(library) = c_library(&grid, "libkeys.so", PARTITIONER_ALONE) else { return };
    let shown = grid.simplegrid().args("task inspect").arg(&library).finish().expect(0).text();
    assert!(shown.contains("keys 1.0") && shown.contains("partitioner by-name"), "{shown}");
    let listed = grid.simplegrid().env("SIMPLEGRID_TASK_PATH", grid.path(".")).args("task list").finish();
    let listed = listed.expect(0).text();
    assert!(listed.lines().any(|line| line.starts_with("keys  ")), "{listed}");
    expect_one_error(grid.run(&library.display().to_string()).finish(), &["libkeys.so", "has no tasks"]);
}

#[test]
fn constructors_of_a_library_that_is_no_plugin_are_not_run() {
    let grid = Grid::new();
    let mark = grid.path("constructed");
    let source = format!(
        "#include <fcntl.h>\n#include <unistd.h>\n__attribute__((constructor)) void go(void) {{ open(\"{}\", \
         O_CREAT | O_WRONLY, 0600); for (;;) pause(); }}\n",
        mark.display()
    );
    let Some(library) = c_library(&grid, "libother.so", &source) else { return };
    expect_unloadable(&grid, &library, "is not a SimpleGrid plugin");
    let list = grid.simplegrid().env("SIMPLEGRID_TASK_PATH", grid.path(".")).args("task list --json");
    let listed = list.finish().expect(0);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let other = listed.as_array().unwrap().iter().find(|one| one["name"] == "other").unwrap();
    assert!(other["error"].as_str().unwrap().contains("is not a SimpleGrid plugin"), "{listed}");
    assert!(!mark.exists(), "its constructor has run");
}

#[test]
fn task_list_for_programs_says_what_inspect_says() {
    let grid = Grid::new();
    let json = |words: &str| -> serde_json::Value {
        serde_json::from_slice(&grid.simplegrid().args(words).finish().expect(0).stdout).unwrap()
    };
    let listed = json("task list --json");
    let listed = listed.as_array().unwrap().iter().find(|one| one["name"] == "bench").unwrap();
    let inspected = json("task inspect --json bench");
    for key in ["package", "version", "tasks", "partitioners", "manifest_sha256", "file_sha256"] {
        assert!(!inspected[key].is_null() && listed[key] == inspected[key], "{key}: {listed}");
    }
    assert!(listed["library"].as_str().unwrap().ends_with("/libbench.so"), "{listed}");
}

#[test]
fn task_list_shows_every_plugin() {
    let grid = Grid::new();
    let listed = grid.simplegrid().args("task list").finish().expect(0).text();
    for name in ["echo", "word-count", "email-domain", "hostile"] {
        assert!(listed.lines().any(|line| line.starts_with(&format!("{name}  "))), "no {name} in:\n{listed}");
    }
}

#[test]
fn a_wrong_value_in_the_environment_is_named() {
    let grid = Grid::new();
    let run = grid.run("echo").env("SIMPLEGRID_RETRIES", "many").finish();
    expect_one_error(run, &["SIMPLEGRID_RETRIES", "many"]);
}

#[test]
fn an_unknown_partitioner_is_named() {
    let grid = Grid::new();
    for (by, named) in [
        ("field:x", "field:x"),
        ("no-such-library:by", "no-such-library"),
        ("email-domain:by-nothing", "by-nothing"),
    ] {
        let run = grid.run("echo").arg("--partition-by").arg(by).input("a\n").finish();
        expect_one_error(run, &[named]);
    }
}
