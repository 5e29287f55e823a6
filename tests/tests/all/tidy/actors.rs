//! What makes an actor repeatable: the same events in the same order lead to the same end, so that a
//! simulation (`host/src/simulation`) can play them again.

use super::finding::{Finding, expect_none};
use super::host;
use super::source_file::SourceFile;

/// The modules whose actors are simulated, or could be.
const MODULES: [&str; 6] = ["local_run", "master", "registry", "sink", "slave", "wire"];

/// Files of these modules that look at the machine's clock, each with the reason.
const OTHER_CLOCKS: [(&str, &str); 4] = [
    ("host/src/master/output/progress.rs", "it only shows the time"),
    ("host/src/registry/backend/file.rs", "it waits on a blocking thread"),
    ("host/src/sink/files/csv_files.rs", "its files are on a blocking thread"),
    ("host/src/sink/files/run_ledger.rs", "it waits on a blocking thread"),
];

/// Files of masters and slaves with a collection whose order is chance, each with the reason.
const NO_ORDER: [(&str, &str); 1] =
    [("host/src/master/decisions/ledger.rs", "it has every batch, and is searched by its whole order only")];

fn of_modules(modules: &[&str]) -> Vec<SourceFile> {
    host().into_iter().filter(|file| file.module().is_some_and(|module| modules.contains(&module))).collect()
}

/// The `select!`s of a file whose first branch is left to chance.
fn unordered_selects(file: &SourceFile) -> Vec<Finding> {
    let lines: Vec<_> = file.before_tests().collect();
    let is_unordered = |at: usize| {
        lines[at].1.contains("select! {")
            && lines.get(at + 1).is_none_or(|(_, next)| next.trim() != "biased;")
    };
    let unordered = (0..lines.len()).filter(|at| is_unordered(*at));
    unordered.map(|at| Finding::new(&file.path, lines[at].0, lines[at].1.trim())).collect()
}

#[test]
fn every_select_has_an_order() {
    let files = host();
    let has_select = |file: &&SourceFile| file.text.contains("select! {");
    assert!(files.iter().filter(has_select).count() > 10, "no `select!` is found: this test checks nothing");
    expect_none(
        "Write `biased;` first, and the branches in an order in which none waits for ever: first the signals to end, \
         then what is seldom ready, and last what a peer can keep ready all the time.",
        files.iter().flat_map(unordered_selects),
    );
}

/// The looks of a file at the machine's clock.
fn looks_at_machines_clock(file: &SourceFile) -> Vec<Finding> {
    let imports_std =
        file.code().any(|(_, line)| line.starts_with("use std::time::") && line.contains("Instant"));
    let is_look = |line: &str| {
        line.contains("std::time::Instant::now()") || (imports_std && line.contains("Instant::now()"))
    };
    let looks = file.code().filter(|(_, line)| is_look(line));
    looks.map(|(number, line)| Finding::new(&file.path, number, line.trim())).collect()
}

#[test]
fn actors_live_by_the_clock_of_their_runtime() {
    let files = of_modules(&MODULES);
    let is_known = |path: &str| OTHER_CLOCKS.iter().any(|(known, _)| *known == path);
    expect_none(
        "Write `time::now()`, which a simulation can move. If a thread waits there, give the reason in OTHER_CLOCKS \
         (tidy/actors.rs).",
        files.iter().filter(|file| !is_known(&file.path)).flat_map(looks_at_machines_clock),
    );
    for (path, _) in OTHER_CLOCKS {
        let looks = files.iter().filter(|file| file.path == path).flat_map(looks_at_machines_clock);
        assert!(looks.count() > 0, "{path} is no exception any more");
    }
}

#[test]
fn no_order_is_left_to_chance() {
    let has = |file: &SourceFile| {
        let found = file.code().filter(|(_, line)| line.contains("HashMap") || line.contains("HashSet"));
        found.map(|(number, line)| Finding::new(&file.path, number, line.trim())).collect::<Vec<_>>()
    };
    let files = of_modules(&["local_run", "master", "slave", "wire"]);
    let is_known = |path: &str| NO_ORDER.iter().any(|(known, _)| *known == path);
    expect_none(
        "Use a BTreeMap or a BTreeSet: the order of the others differs from run to run. If speed matters and the order \
         does not, give the reason in NO_ORDER (tidy/actors.rs).",
        files.iter().filter(|file| !is_known(&file.path)).flat_map(has),
    );
    for (path, _) in NO_ORDER {
        let found = files.iter().filter(|file| file.path == path).flat_map(has);
        assert!(found.count() > 0, "{path} is no exception any more");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile { path: "host/src/slave/a.rs".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_select_without_an_order_is_found() {
        let text = "tokio::select! {\n    biased;\n}\ntokio::select! {\n    a = b => {}\n}\n";
        assert_eq!(unordered_selects(&file(text)).len(), 1);
    }

    #[test]
    fn a_look_at_the_machines_clock_is_found() {
        let looks = |text: &str| looks_at_machines_clock(&file(text)).len();
        assert_eq!(looks("use std::time::{Duration, Instant};\nlet a = Instant::now();\n"), 1);
        assert_eq!(looks("let a = std::time::Instant::now();\n"), 1);
        assert_eq!(looks("use tokio::time::Instant;\nlet a = Instant::now();\n"), 0);
    }
}
