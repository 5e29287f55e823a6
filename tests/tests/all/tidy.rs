//! The rules of the house (docs/house-style.md) that a machine can check. Here: where things live. In the
//! folder: how the code looks, who may import whom, and whether the documentation says what is so.

mod actors;
mod arrows;
mod documentation;
mod finding;
mod source_file;
mod style;
mod tasks;
mod uses;

use std::collections::BTreeSet;

use simplegrid_tests::Need;

use source_file::SourceFile;

/// Lines that a file may have, its tests not counted: about 400, and a little grace.
const LINES_MAX: usize = 450;

/// Files that are longer, each with the reason.
const LONGER: [(&str, &str); 0] = [];

/// The commands, which do not import each other.
const COMMANDS: [&str; 6] = ["local_run", "master", "node_manager", "slave", "task_command", "worker"];

/// Commands that import another one all the same, each with the reason.
const IMPORTS: [(&str, &str, &str); 5] = [
    ("local_run", "master", "it is both in one"),
    ("local_run", "slave", "it is both in one"),
    ("master", "worker", "a plugin computes partition keys in a process like a worker"),
    ("slave", "worker", "the parent's side of a worker is kept beside the child's"),
    ("task_command", "worker", "it loads libraries in a worker"),
];

/// Files outside `config` that look at the process's surroundings, each with the reason.
const SURROUNDINGS: [(&str, &str); 4] = [
    ("host/src/lib.rs", "hands the command line to config"),
    ("host/src/log.rs", "is told everything by config, and names a variable in a message"),
    ("host/src/plugin/find.rs", "looks for libraries beside the program"),
    ("host/src/worker/child_process.rs", "takes our own variables out of a worker's environment"),
];

fn host() -> Vec<SourceFile> {
    SourceFile::below("host/src").into_iter().filter(|file| !file.is_test()).collect()
}

/// The lines of files that contain one of the words.
fn lines_with<'f>(files: &'f [SourceFile], words: &[&str]) -> Vec<(&'f SourceFile, String)> {
    let has = |line: &str| words.iter().any(|word| line.contains(word));
    let of_file = |file: &'f SourceFile| {
        let lines = file.code().filter(|(_, line)| has(line));
        lines
            .map(|(number, line)| (file, format!("{}:{number}: {}", file.path, line.trim())))
            .collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

/// Checks that words stand only in files that may have them; `home` says where that is.
#[track_caller]
fn expect_only_in(words: &[&str], home: &str, may: impl Fn(&SourceFile) -> bool) {
    let files = host();
    let found = lines_with(&files, words);
    assert!(!found.is_empty(), "{words:?} stands nowhere: this test checks nothing");
    let wrong: Vec<_> = found.into_iter().filter(|(file, _)| !may(file)).map(|(_, line)| line).collect();
    assert!(
        wrong.is_empty(),
        "{}\n\nThe home of this is {home}: move it there, and call it.\n",
        wrong.join("\n")
    );
}

/// How a file names a module of the crate, however it is imported.
fn imports(file: &SourceFile, module: &str) -> bool {
    let code: String = file.code().flat_map(|(_, line)| [line, "\n"]).collect();
    code.contains(&format!("crate::{module}::"))
        || code.contains(&format!("crate::{module}{{"))
        || code.contains(&format!("use crate::{module};"))
}

#[test]
fn commands_do_not_import_each_other() {
    let mut wrong = Vec::new();
    for file in host() {
        let Some(module) = file.module().filter(|module| COMMANDS.contains(module)) else { continue };
        for other in COMMANDS.iter().filter(|other| **other != module && imports(&file, other)) {
            if !IMPORTS.iter().any(|(from, to, _)| (from, to) == (&module, other)) {
                wrong.push(format!("{} imports {other}", file.path));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n\nMove what both need to a module below them, or let `local_run` join them. If it must stay, give the \
         reason in IMPORTS (tidy.rs).\n",
        wrong.join("\n")
    );
}

#[test]
fn clap_is_known_to_the_command_line_only() {
    expect_only_in(&["clap::", "use clap"], "`cli`", |file| matches!(file.module(), Some("cli" | "config")));
}

/// A plugin can end or block the process that it runs in, so that must be one that can be replaced.
#[test]
fn plugins_are_called_in_workers_only() {
    expect_only_in(
        &["LoadedPlugin", "LoadedTask", "LoadedPartitioner"],
        "`worker`, whose processes may die",
        |file| matches!(file.module(), Some("plugin" | "worker")) || file.path == "host/src/internals.rs",
    );
}

#[test]
fn sql_is_known_to_the_registry_and_the_sinks_only() {
    expect_only_in(&["rusqlite"], "`registry` or `sink`", |file| {
        matches!(file.module(), Some("registry" | "sink"))
    });
    expect_only_in(&["tokio_postgres", "mysql_async"], "`registry`, `sink` or `database`", |file| {
        matches!(file.module(), Some("registry" | "sink" | "database"))
    });
    expect_only_in(&["rustls"], "`database`", |file| file.module() == Some("database"));
}

#[test]
fn servers_are_known_without_what_is_on_them() {
    let files: Vec<_> = host().into_iter().filter(|file| file.module() == Some("database")).collect();
    let wrong = files.iter().filter(|file| ["registry", "sink"].iter().any(|other| imports(file, other)));
    let wrong: Vec<_> = wrong.map(|file| &file.path).collect();
    assert!(!files.is_empty(), "`database` has another name now");
    assert!(
        wrong.is_empty(),
        "{wrong:?}: `database` connects, and does not know the tables behind a connection"
    );
}

#[test]
fn runtimes_are_made_and_signals_heard_where_nothing_can_hold_up_the_end() {
    let makers = ["new_current_thread", "new_multi_thread", "Runtime::new("];
    expect_only_in(&makers, "`runtime::run`, which waits for no thread that blocks", |file| {
        matches!(file.module(), Some("runtime" | "simulation"))
    });
    expect_only_in(
        &["tokio::signal", "signal_hook"],
        "`shutdown`, which hears them while the runtime's thread is blocked",
        |file| matches!(file.module(), Some("shutdown" | "worker")),
    );
}

#[test]
fn libraries_are_loaded_in_one_place() {
    expect_only_in(&["libloading", "abi_stable"], "`plugin`", |file| file.module() == Some("plugin"));
}

#[test]
fn stderr_is_written_in_one_place() {
    let asks_only = |line: &str| {
        ["is_terminal", "terminal_size", "dup2_stdout", "use_stderr()", "stderr::file()"]
            .iter()
            .any(|word| line.contains(word))
    };
    let files: Vec<_> = host().into_iter().filter(|file| file.path != "host/src/stderr.rs").collect();
    let found = lines_with(&files, &["eprint", "stderr()"]);
    let wrong: Vec<_> = found.into_iter().map(|(_, line)| line).filter(|line| !asks_only(line)).collect();
    assert!(
        wrong.is_empty(),
        "`stderr::say` does not wait for a reader that has stopped:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn stdout_is_written_in_one_place() {
    // Rust's stream hides that it is closed.
    let files: Vec<_> = host().into_iter().filter(|file| file.path != "host/src/stdout.rs").collect();
    let wrong = lines_with(&files, &["println!", " print!", "io::stdout"]);
    let wrong: Vec<_> =
        wrong.into_iter().map(|(_, line)| line).filter(|line| !line.contains("eprint")).collect();
    assert!(wrong.is_empty(), "`stdout` tells of every error:\n{}", wrong.join("\n"));
}

#[test]
fn the_files_of_results_are_opened_in_two_places_and_written_on_threads_of_their_own() {
    let master: Vec<_> = host().into_iter().filter(|file| file.module() == Some("master")).collect();
    let output = "host/src/master/output/";
    // The first opens without waiting, and the second compares what was opened.
    let homes = ["output_target.rs", "run_files.rs"].map(|home| format!("{output}{home}"));
    let opening = lines_with(&master, &["OpenOptions", "File::create", "fs::write"]);
    let wrong: Vec<_> =
        opening.iter().filter(|(file, _)| !homes.contains(&file.path)).map(|(_, line)| line).collect();
    assert!(
        !opening.is_empty() && wrong.is_empty(),
        "a user's file can block, or be another one's: {wrong:?}"
    );
    let writing = lines_with(&master, &["CountedStream::new", ".write_all("]);
    let threads = [
        "counted_stream",
        "failed_file",
        "result_stream",
        "result_writer",
        "summary_file",
        "journal/journal_file",
    ];
    let threads = threads.map(|thread| format!("{output}{thread}.rs"));
    let wrong: Vec<_> =
        writing.iter().filter(|(file, _)| !threads.contains(&file.path)).map(|(_, line)| line).collect();
    assert!(!writing.is_empty() && wrong.is_empty(), "what can block has a `WriterThread`: {wrong:?}");
}

#[test]
fn surroundings_are_looked_at_in_one_place() {
    let words = ["env::var", "env::args", "env::current", "env::temp_dir", "use std::env"];
    expect_only_in(&words, "`config`", |file| {
        file.module() == Some("config") || SURROUNDINGS.iter().any(|(path, _)| *path == file.path)
    });
}

/// Whether a file promises in its head that it does no I/O and has no clock of its own: it says "Pure".
fn is_pure(file: &SourceFile) -> bool {
    let head = file.text.lines().take_while(|line| line.starts_with("//!"));
    let is_the_word = |word: &str| word.trim_end_matches(['.', ',', ':', ';']) == "Pure";
    head.flat_map(str::split_whitespace).any(is_the_word)
}

#[test]
fn sockets_and_files_are_no_part_of_the_decisions() {
    let decisions = "host/src/master/decisions/";
    let silent = host().into_iter().filter(|file| file.path.starts_with(decisions) && !is_pure(file));
    let silent: Vec<_> = silent.map(|file| file.path).collect();
    assert!(silent.is_empty(), "these must say in their heads that they are \"Pure\": {silent:?}");

    let pure: Vec<_> = host().into_iter().filter(is_pure).collect();
    for known in ["/dispatch_state.rs", "/pool_state.rs"] {
        assert!(pure.iter().any(|file| file.path.ends_with(known)), "{known} is not guarded");
    }
    let io = ["tokio", "std::fs", "std::net", "std::thread", "std::process", "File::", "nix::"];
    let clocks = ["Instant::now", "SystemTime::now", ".elapsed()"];
    let above = ["crate::master::nodes", "crate::master::output", "crate::master::dispatcher"];
    let mut wrong: Vec<_> = lines_with(&pure, &[&io[..], &clocks[..]].concat());
    let decisions: Vec<_> = pure.iter().filter(|file| file.path.starts_with(decisions)).cloned().collect();
    wrong.extend(lines_with(&decisions, &above));
    let wrong: Vec<_> = wrong.iter().map(|(_, line)| line).collect();
    assert!(
        wrong.is_empty(),
        "decisions are pure: hand in the time, and leave the rest to an actor: {wrong:?}"
    );
}

/// All source files of ours.
fn workspace() -> Vec<SourceFile> {
    ["host", "plugin-api", "plugins", "tests"]
        .iter()
        .flat_map(|directory| SourceFile::below(directory))
        .collect()
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<_> =
        workspace().into_iter().filter(|file| !file.text.starts_with("//! ")).map(|file| file.path).collect();
    assert!(
        silent.is_empty(),
        "{silent:?}\n\nBegin the file with `//!`: what it owns, and what it must not know.\n"
    );
}

#[test]
fn no_file_is_too_long() {
    let is_known = |file: &SourceFile| LONGER.iter().any(|(path, _)| *path == file.path);
    let files = workspace().into_iter().filter(|file| !is_known(file) && !file.is_test());
    let long = files.filter(|file| file.lines() > LINES_MAX);
    let long: Vec<_> = long.map(|file| format!("{}: {} lines", file.path, file.lines())).collect();
    assert!(
        long.is_empty(),
        "{}\n\nA file has one noun, and at most about 400 lines without its tests: move what has a noun of its own to a \
         file of its own.\n",
        long.join("\n")
    );
}

#[test]
fn the_lists_of_exceptions_are_not_longer_than_they_must_be() {
    let files = workspace();
    let find = |path: &str| files.iter().find(|file| file.path == path);
    for (path, _) in LONGER {
        assert!(find(path).is_some_and(|file| file.lines() > LINES_MAX), "{path} is no exception any more");
    }
    for (from, to, _) in IMPORTS {
        let is_needed = files.iter().any(|file| file.module() == Some(from) && imports(file, to));
        assert!(is_needed, "{from} does not import {to} any more");
    }
}

#[test]
fn no_test_is_ignored_and_none_waits_for_nothing() {
    // Written so that this file does not find itself.
    let words = [concat!("#[ig", "nore"), concat!("to", "do!("), concat!("thread::", "sleep")];
    let files = SourceFile::below("tests");
    let wrong: Vec<_> = lines_with(&files, &words)
        .into_iter()
        .filter(|(file, _)| {
            let tasks = ["tests/hostile-plugin/", "tests/bench-plugin/"];
            file.path != "tests/src/wait.rs" && !tasks.iter().any(|task| file.path.starts_with(task))
        })
        .map(|(_, line)| line)
        .collect();
    assert!(
        wrong.is_empty(),
        "{}\n\nWait for a condition (`simplegrid_tests::wait`), and mend or delete a test that does not pass.\n",
        wrong.join("\n")
    );
    let ignored = lines_with(&workspace(), &words[..2]).into_iter().map(|(_, line)| line).collect::<Vec<_>>();
    assert!(ignored.is_empty(), "{}", ignored.join("\n"));
}

#[test]
fn ci_provides_each_need_of_a_test_or_says_why_it_cannot() {
    let ci = std::fs::read_to_string(source_file::root().join(".ci/run")).expect("CI has a script");
    let listed = ci.lines().filter_map(|line| line.split_once("may_skip ")?.1.split(' ').next());
    let listed: BTreeSet<_> = listed.collect();
    // CI does not begin without a C compiler.
    let needs = Need::ALL.into_iter().filter(|need| *need != Need::CCompiler).map(Need::name);
    let needs: BTreeSet<_> = needs.collect();
    assert_eq!(listed, needs, "the needs that .ci/run names, and those of tests (tests/servers/src/need.rs)");
}
