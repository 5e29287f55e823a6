//! The library as it will be used: loaded by `simplegrid run`.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The library that cargo has built for this test.
fn library() -> PathBuf {
    let this = env::current_exe().expect("a test has a path");
    this.with_file_name("libmy_task.so")
}

fn run(input: &str) -> Output {
    let program = env::var("SIMPLEGRID").unwrap_or_else(|_| "simplegrid".to_owned());
    let mut run = Command::new(&program)
        .args(["run", "--keep-order", "--header", "--task-arg", "bulk=1", "--task"])
        .arg(library())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} cannot be started ({error}): put it into PATH, or set SIMPLEGRID"));
    let mut pipe = run.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut pipe, input.as_bytes()).expect("the run reads its input");
    drop(pipe);
    run.wait_with_output().expect("the run ends")
}

#[test]
fn every_record_comes_back_with_its_length() {
    let run = run("one\nthree\n");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(String::from_utf8_lossy(&run.stdout), "text,characters,percent\none,3,100\nthree,5,100\n");
}

#[test]
fn a_bad_record_costs_no_other() {
    let run = run("one\n\nthree\n");
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&run.stdout).lines().count(), 3);
    assert!(String::from_utf8_lossy(&run.stderr).contains("the record is empty"));
}
