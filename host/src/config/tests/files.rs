//! The user's file: where it is, and what can be wrong in it.

use super::*;
use crate::cli;
use crate::config::file::{ConfigFile, DEFAULTS};
use crate::config::flags;

fn check(text: &str) -> Result<(), ConfigError> {
    ConfigFile::parse("grid.toml".as_ref(), text)?.check(&cli::command())
}

#[test]
fn the_defaults_name_every_setting() {
    let names = |key: &str| {
        DEFAULTS.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")))
    };
    let command = cli::command();
    for command in flags::commands(&command) {
        for key in flags::settings(command).filter_map(|arg| arg.get_long()) {
            assert!(names(key), "default-config.toml says nothing about {key}");
        }
    }
}

#[test]
fn the_page_on_configuration_names_every_setting() {
    let page = include_str!("../../../../docs/configuration.md");
    let command = cli::command();
    for command in flags::commands(&command) {
        for key in flags::settings(command).filter_map(|arg| arg.get_long()) {
            let variable = format!("`SIMPLEGRID_{}`", key.replace('-', "_").to_uppercase());
            let row = page.lines().find(|line| line.contains(&variable)).unwrap_or_default();
            assert!(row.contains(&format!("--{key}")) && row.contains(command.get_name()), "{key}");
        }
    }
}

#[test]
fn the_defaults_are_right_with_and_without_their_comments() {
    check(DEFAULTS).unwrap();
    let is_setting = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let all: Vec<&str> = DEFAULTS
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line))
        .collect();
    assert!(all.contains(&"task = \"echo\""));
    check(&all.join("\n")).unwrap();
}

#[test]
fn a_named_file_wins_over_the_usual_one_and_must_be_there() {
    let user = User::new().with_file("task = 'usual'");
    fs::write(user.path("a.toml"), "task = 'a'").unwrap();
    fs::write(user.path("b.toml"), "task = 'b'").unwrap();
    assert_eq!(user.slave(&[]).task, "usual");
    let (a, b, none) = (user.path("a.toml"), user.path("b.toml"), user.path("none.toml"));
    let user = user.with_variable("SIMPLEGRID_CONFIG", &a);
    assert_eq!(user.slave(&[]).task, "a");
    assert_eq!(user.slave(&["--config", &b]).task, "b");
    let Command::Slave(before) = user.command(&["--config", &b, "slave"]) else { panic!("not a slave") };
    assert_eq!(before.task, "b");
    assert!(
        user.error(&["slave", "--config", &none]).contains("cannot read the configuration file ~/none.toml")
    );
}

#[test]
fn a_wrong_file_stops_neither_help_nor_workers() {
    let user = User::new().with_file("this is not TOML");
    for words in [&["slave", "--help"][..], &["--help"], &["--version"], &["help", "run"]] {
        let Err(InvocationError::CommandLine(help)) = user.load(words) else { panic!("help was asked for") };
        assert!(!help.use_stderr());
    }
    assert!(user.load(&["worker", "--slot", "0", "--task", "echo"]).is_ok());
    assert!(user.load(&["task", "list"]).is_ok());
    assert!(user.error(&["slave", "-t", "echo"]).contains("is not valid TOML"));
}

#[test]
fn keys_may_have_underscores() {
    let user = User::new().with_file("[node_manager]\nhostname = 'there'\n[slave]\nmax_workers = 3");
    assert_eq!(user.slave(&["-t", "echo"]).max_workers, 3);
    assert_eq!(user.node_manager(&["enable"]).hostname, "there");
}

#[test]
fn what_is_wrong_in_a_file_is_named() {
    let wrong = [
        "max-worker = 3",
        "[slave]\nkeep-order = true",
        "[slaves]\nport = 1",
        "verbose = 1",
        "port = 70000",
        "[slave]\nmax-workers = 0",
        "keep-order = 'yes'",
        "port = true",
        "format = 'xml'",
        "task-arg = 'a=b'",
        "task-arg = ['a']",
        "[master]\nwait-nodes = 'soon'",
        "port = ",
    ];
    let texts: Vec<String> = wrong
        .iter()
        .map(|text| {
            let error = check(text).expect_err(text);
            format!("{text}\n    {}\n", error.to_string().replace('\n', "\n    "))
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
}
