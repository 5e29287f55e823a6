//! What the user reads: help and errors, word for word.

use super::*;
use crate::cli;
use crate::config::file::ConfigFile;
use crate::config::layers;

/// The help as it is printed, 100 columns wide.
fn help(words: &[&str]) -> String {
    let command =
        layers::with_defaults(cli::command(), &ConfigFile::built_in().unwrap()).unwrap().term_width(100);
    let words = std::iter::once("simplegrid").chain(words.iter().copied()).chain(["--help"]);
    command.try_get_matches_from(words).unwrap_err().render().to_string()
}

#[test]
fn helps() {
    insta::assert_snapshot!("help", help(&[]));
    for command in ["slave", "master", "run", "node-manager", "task", "config"] {
        insta::assert_snapshot!(format!("help-{command}"), help(&[command]));
    }
    insta::assert_snapshot!("help-node-manager-list", help(&["node-manager", "list"]));
    insta::assert_snapshot!("help-task-inspect", help(&["task", "inspect"]));
    insta::assert_snapshot!("help-task-check", help(&["task", "check"]));
    insta::assert_snapshot!("help-task-new", help(&["task", "new"]));
}

#[test]
fn errors() {
    let user =
        User::new().with_variable("SIMPLEGRID_RETRIES", "often").with_variable("SIMPLEGRID_HEADER", "maybe");
    let wrong: [&[&str]; 14] = [
        &["slaves"],
        &["slave"],
        &["slave", "-t", "echo", "-m", "0"],
        &["slave", "-t", "echo", "--task-arg", "lower"],
        &["slave", "-t", "echo", "--listen", "everywhere"],
        &["slave", "-t", "echo", "-s", "0"],
        &["master"],
        &["node-manager", "enable", "-p", "0"],
        &["node-manager"],
        &["node-manager", "explode"],
        &["task", "inspect"],
        &["config", "port"],
        &["slave", "-t", "echo", "--journal", "x"],
        &["worker", "--slot", "x", "--task", "echo"],
    ];
    let text =
        |words: &&[&str]| format!("$ simplegrid {}\n{}\n", words.join(" "), user.error(words).trim_end());
    insta::assert_snapshot!("errors", wrong.iter().map(text).collect::<Vec<_>>().join("\n"));

    let user = User::new().with_variable("SIMPLEGRID_REGISTRY", "postgres://grid:s3cret@db/grid");
    assert!(!user.error(&["node-manager"]).contains("s3cret"));
    let wrong: [&[&str]; 9] = [
        &["run", "-t", "echo", "--keeporder"],
        &["run", "-t", "echo", "--format", "xml"],
        &["run", "-t", "echo", "--max-record-bytes", "2G"],
        &["run", "-t", "echo", "--record-timeout", "soon"],
        &["run", "-t", "echo", "--partition-by", "field:x"],
        &["run", "-t", "echo", "--retries", "-1"],
        &["master", "-m", "0"],
        &["master", "--manager-arg", "scheduler=Net::SimpleGrid::Scheduler::Other"],
        &["master", "--scheduler", "round-robin", "--partition-by", "field:0"],
    ];
    let text =
        |words: &&[&str]| format!("$ simplegrid {}\n{}\n", words.join(" "), user.error(words).trim_end());
    insta::assert_snapshot!("errors-of-runs", wrong.iter().map(text).collect::<Vec<_>>().join("\n"));
}
