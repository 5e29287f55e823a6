//! What a task may be, and how long anything may take.

use super::finding::{Finding, expect_none};
use super::host;
use super::source_file::SourceFile;

/// The one place that starts bare tasks and passes panics on.
const OWNER: &str = "host/src/owned_task.rs";

/// The lines of the host outside [`OWNER`] that contain a word.
fn lines_with(word: &str) -> Vec<Finding> {
    let of_file = |file: &SourceFile| {
        let lines = file.code().filter(|(_, line)| line.contains(word));
        lines.map(|(number, line)| Finding::new(&file.path, number, line.trim())).collect::<Vec<_>>()
    };
    host().iter().filter(|file| file.path != OWNER).flat_map(of_file).collect()
}

/// Files that start a thread whose work has a name, each with the reason.
const THREADS: [(&str, &str); 1] = [("host/src/worker/launch.rs", "a dead disk can hold a reader for ever")];

/// Tasks that a file starts by itself. (Threads begin with a closure, processes with nothing.)
fn started_tasks(file: &SourceFile) -> Vec<Finding> {
    // A pool's own method starts workers.
    let is_plain = |what: &str| what.starts_with([')', '|']) || what.starts_with("move |");
    let is_start = |line: &str| {
        let line = line.replace("self.spawn(", "");
        line.split(".spawn(").skip(1).any(|what| !is_plain(what))
    };
    let starts = file.code().filter(|(_, line)| is_start(line));
    starts.map(|(number, line)| Finding::new(&file.path, number, line.trim())).collect()
}

#[test]
fn tasks_are_started_in_one_place() {
    let may = |path: &str| path == OWNER || THREADS.iter().any(|(known, _)| *known == path);
    let host = host();
    let files = host.iter();
    expect_none(
        "`owned_task::spawn_in` starts a task in its owner's set: a simulation decides there whose turn it is.",
        files.filter(|file| !may(&file.path)).flat_map(started_tasks),
    );
}

#[test]
fn every_task_has_an_owner() {
    expect_none(
        "A detached task outlives its owner and hides its panic. One task is an `OwnedTask` (owned_task.rs), several \
         are a `JoinSet` in their owner.",
        lines_with("tokio::spawn("),
    );
}

#[test]
fn panics_are_passed_on_in_one_place() {
    assert!(host().iter().any(|file| file.path == OWNER), "{OWNER} has another name now");
    expect_none(
        "`owned_task::outcome` passes on the panic of a task that was joined.",
        lines_with("resume_unwind"),
    );
    expect_none(
        "`JoinSet::shutdown` drops the panics of its tasks; `owned_task::cancel_all` does not.",
        lines_with("s.shutdown().await"),
    );
}

#[test]
fn silence_is_time_in_which_this_process_ran() {
    expect_none(
        "After a while in which this process was stopped, all its timers are due at once, and its peers had no chance: \
         `own_time::timeout` does not count that while.",
        lines_with("tokio::time::timeout(SILENCE_MAX"),
    );
}

/// Durations that stand bare in the code of a file, outside a constant.
fn bare_durations(file: &SourceFile) -> Vec<Finding> {
    let mut bare = Vec::new();
    // The statement so far: a constant may begin a line or two before its value.
    let mut statement = String::new();
    for (number, line) in file.code() {
        statement.push_str(line);
        let is_constant = ["const ", "static "].iter().any(|word| statement.contains(word));
        if has_bare_duration(line) && !is_constant {
            bare.push(Finding::new(&file.path, number, line.trim()));
        }
        if line.trim_end().ends_with([';', '{', '}']) {
            statement.clear();
        }
    }
    bare
}

/// Whether a duration is made of a number that is written there.
fn has_bare_duration(code: &str) -> bool {
    let made = code.split("Duration::from_").skip(1).filter_map(|after| after.split_once('('));
    made.into_iter()
        .any(|(_, argument)| argument.trim_start().starts_with(|first: char| first.is_ascii_digit()))
}

#[test]
fn every_duration_has_a_name_and_a_reason() {
    expect_none(
        "Make it a constant with a name and a `///` comment that gives the reason for the value.",
        host().iter().flat_map(bare_durations),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> usize {
        bare_durations(&SourceFile { path: String::new(), text: text.to_owned() }).len()
    }

    #[test]
    fn a_task_that_is_started_elsewhere_is_found() {
        let starts =
            |text: &str| started_tasks(&SourceFile { path: String::new(), text: text.to_owned() }).len();
        assert_eq!(starts("tasks.spawn(work);\ntasks.spawn(async move {\n"), 2);
        assert_eq!(starts("Command::new(a).spawn()?;\nthread.spawn(|| work());\nscope.spawn(move || {\n"), 0);
    }

    #[test]
    fn a_duration_is_bare_unless_it_is_a_constant() {
        assert_eq!(bare("fn a() {\n    sleep(Duration::from_millis(5));\n}\n"), 1);
        assert_eq!(bare("const A: u8 = 1;\nlet b = std::time::Duration::from_secs(1).max(c);\n"), 1);
        assert_eq!(bare("pub(crate) const A: Duration = Duration::from_secs(5);\n"), 0);
        assert_eq!(
            bare("const A: [Duration; 2] =\n    [Duration::from_secs(5), Duration::from_secs(6)];\n"),
            0
        );
        assert_eq!(bare("let a = Duration::from_secs(seconds);\n"), 0);
    }
}
