//! `simplegrid run`: what goes in comes out, once, whatever bytes it has.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use simplegrid_tests::{Grid, Need, numbered, sorted};

#[test]
fn an_invalid_record_fails_and_all_others_are_done() {
    let grid = Grid::new();
    let run = grid.run("email-domain").arg("-k").input("joe@example.com\nnobody\nann@example.org\n");
    let run = run.finish().expect(1).expect_counts(3, 2, 1);
    assert_eq!(run.text(), "joe@example.com,example.com\nann@example.org,example.org\n");
    assert!(
        run.stderr.contains("simplegrid: record 2 failed, rejected: no @ in the address: \"nobody\""),
        "{}",
        run.stderr
    );
}

#[test]
fn with_keep_order_the_output_of_echo_is_its_input() {
    let grid = Grid::new();
    let input = numbered("record ", 200_000);
    let run = grid.run("echo").arg("-k").input(&input).finish().expect(0).expect_counts(200_000, 200_000, 0);
    assert!(run.text() == input, "the output differs from the input");
}

#[test]
fn without_order_the_output_is_a_permutation() {
    let grid = Grid::new();
    let input = numbered("record ", 50_000);
    let run = grid.run("echo").input(&input).finish().expect(0);
    assert!(sorted(&run.stdout) == sorted(input.as_bytes()), "the output is no permutation of the input");
}

#[test]
fn an_empty_input_is_done() {
    let grid = Grid::new();
    let run = grid.run("echo").input("").finish().expect(0).expect_counts(0, 0, 0);
    assert!(run.stdout.is_empty());
}

/// Runs echo, in order, over an input.
#[track_caller]
fn echo(args: &str, input: impl AsRef<[u8]>) -> Vec<u8> {
    Grid::new().run("echo").arg("-k").args(args).input(input).finish().expect(0).stdout
}

#[test]
fn a_last_line_needs_no_terminator() {
    assert_eq!(echo("", "a\nb"), b"a\nb\n");
}

#[test]
fn a_carriage_return_belongs_to_the_terminator() {
    assert_eq!(echo("", "a\r\nb\r\n\rc\r\n"), b"a\nb\n\rc\n");
}

#[test]
fn an_empty_line_is_a_record() {
    assert_eq!(echo("", "\n\na\n\n"), b"\n\na\n\n");
}

#[test]
fn bytes_need_not_be_text() {
    let input: Vec<u8> = (0..=255).filter(|byte| !b"\r\n".contains(byte)).chain(*b"\n").collect();
    assert_eq!(echo("", &input), input);
}

#[test]
fn a_record_can_be_ten_megabytes_long() {
    let long = "x".repeat(10 << 20);
    let input = format!("before\n{long}\nafter\n");
    assert!(echo("", &input) == input.as_bytes(), "the long record is changed");
}

#[test]
fn a_quoted_field_can_hold_a_newline() {
    let grid = Grid::new();
    let input = "\"joe@example.com\",\"two\nlines\"\nann@example.org,\"a \"\"quote\"\"\n\"\n";
    let run = grid.run("email-domain").args("-k --format csv").input(input);
    let run = run.finish().expect(0).expect_counts(2, 2, 0);
    assert_eq!(run.text(), "joe@example.com,example.com\nann@example.org,example.org\n");
}

#[test]
fn records_can_end_with_a_zero_byte() {
    assert_eq!(echo("--format nul", "a\nb\0\0c\r\0d"), b"a\nb\n\nc\r\nd\n");
}

#[test]
fn a_record_that_is_too_long_fails_and_the_run_goes_on() {
    for (format, end) in [("lines", "\n"), ("csv", "\n"), ("nul", "\0")] {
        let grid = Grid::new();
        let input = ["short", &"x".repeat(3000), "last", ""].join(end);
        let run = grid.run("echo").args("-k --max-record-bytes 1000 --format").arg(format);
        let run =
            run.path("--failed", grid.path("failed")).input(input).finish().expect(1).expect_counts(3, 2, 1);
        assert_eq!(run.text(), "short\nlast\n", "{format}");
        let failed = grid.failed("failed");
        assert_eq!(failed.len(), 1, "{format}");
        assert_eq!(
            (failed[0].seq, failed[0].reason.as_str(), failed[0].attempts),
            (1, "too-long", 0),
            "{format}"
        );
    }
}

#[test]
fn word_counts_add_up_over_all_workers() {
    let grid = Grid::new();
    let input: String = (0..30_000).map(|n| format!("the word w{} and\n", n % 7)).collect();
    let run =
        grid.run("word-count").args("-m 3").input(input).finish().expect(0).expect_counts(30_000, 30_000, 0);
    let mut counts = BTreeMap::new();
    for row in run.text().lines() {
        let (word, count) = row.split_once(',').unwrap();
        *counts.entry(word.to_owned()).or_insert(0) += count.parse::<u64>().unwrap();
    }
    let of = |word: &str| counts.get(word).copied().unwrap_or(0);
    assert_eq!((of("the"), of("word"), of("and")), (30_000, 30_000, 30_000));
    assert_eq!((0..7).map(|n| of(&format!("w{n}"))).sum::<u64>(), 30_000);
    assert_eq!(counts.len(), 10);
}

#[test]
fn the_header_names_the_columns_once() {
    let grid = Grid::new();
    let run = grid.run("email-domain").args("-k --header").input("joe@example.com\n").finish().expect(0);
    assert_eq!(run.text(), "address,domain\njoe@example.com,example.com\n");
    let run = grid.run("echo").args("-k --header").input("a\nb\n").finish().expect(0);
    assert_eq!(run.text(), "line\na\nb\n");
}

#[test]
fn rows_go_to_the_output_file() {
    let grid = Grid::new();
    let run = grid.run("echo").arg("-k").path("-o", grid.path("rows")).input("a\nb\n").finish().expect(0);
    assert!(run.stdout.is_empty());
    assert_eq!(grid.read("rows"), b"a\nb\n");
}

#[test]
fn failed_records_are_written_down_as_they_were() {
    let grid = Grid::new();
    let run = grid.run("email-domain").args("-k").path("--failed", grid.path("failed"));
    run.input(b"a \"quote\"\nj@x.org\n\xff\xfe\n").finish().expect(1).expect_counts(3, 1, 2);
    let failed = grid.failed("failed");
    assert_eq!(failed.len(), 2);
    assert_eq!((failed[0].seq, failed[0].record.as_str()), (0, "a \"quote\""));
    assert_eq!((failed[0].encoding.as_deref(), failed[0].attempts), (None, 1));
    assert_eq!((failed[0].reason.as_str(), failed[0].message.as_str()), ("rejected", "no @ in the address"));
    assert_eq!((failed[1].seq, failed[1].record.as_str()), (2, "//4="));
    assert_eq!(failed[1].encoding.as_deref(), Some("base64"));
}

#[test]
fn the_summary_adds_up_for_programs_too() {
    let grid = Grid::new();
    let input = format!("{}reject\nretry\n", numbered("ok ", 98));
    let run = grid.run("hostile").args("--retries 1").path("--summary-json", grid.path("summary.json"));
    run.input(input).finish().expect(1).expect_counts(100, 98, 2);
    let summary: serde_json::Value = serde_json::from_slice(&grid.read("summary.json")).unwrap();
    let expected =
        [("read", 100), ("done", 98), ("failed", 2), ("retried", 1), ("nodes_used", 1), ("nodes_lost", 0)];
    for (name, value) in expected {
        assert_eq!(summary[name], value, "{name} in {summary}");
    }
    assert_eq!((&summary["complete"], &summary["exit_status"]), (&true.into(), &1.into()));
}

#[test]
fn each_line_comes_out_before_the_next_goes_in() {
    let grid = Grid::new();
    let mut run = grid.run("echo").start();
    for number in 1..=5 {
        run.write(format!("line {number}\n"));
        run.wait_for_lines(number);
    }
    let run = run.finish().expect(0).expect_counts(5, 5, 0);
    assert_eq!(run.text(), numbered("line ", 6).strip_prefix("line 0\n").unwrap());
}

#[test]
fn an_unfinished_line_waits_for_its_end() {
    let grid = Grid::new();
    let mut run = grid.run("echo").start();
    run.write("whole\nha");
    run.wait_for_lines(1);
    run.write("lf\n");
    run.wait_for_lines(2);
    assert_eq!(run.finish().expect(0).text(), "whole\nhalf\n");
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_run_quietly() {
    let grid = Grid::new();
    let run = grid.run("echo").arg("-k").head(1).input(numbered("record ", 300_000)).finish().expect(141);
    assert_eq!(run.stderr, "");
    assert_eq!(run.text(), "record 0\n");
}

#[test]
fn several_files_are_read_one_after_the_other() {
    let grid = Grid::new();
    let (one, two) = (grid.write("one", "a\nb"), grid.write("two", "c\n"));
    let run = grid.run("echo").arg("-k").arg(one).arg("-").arg(two).input("stdin\n").finish().expect(0);
    assert_eq!(run.text(), "a\nb\nstdin\nc\n");
}

#[test]
fn a_missing_input_is_named_before_anything_runs() {
    let grid = Grid::new();
    let there = grid.write("there", "a\n");
    let run = grid.run("hostile").task_arg("side-log", grid.path("log")).arg(there).arg(grid.path("missing"));
    let run = run.finish();
    assert!([2, 4].contains(&run.status), "{run:?}");
    assert!(run.stderr.contains(&grid.path("missing").display().to_string()), "{}", run.stderr);
    assert!(run.stdout.is_empty() && grid.side_log("log").is_empty());
}

#[test]
fn an_output_that_cannot_be_written_is_named_before_anything_runs() {
    let grid = Grid::new();
    for output in ["no-such-directory/rows", "home"] {
        let run = grid.run("hostile").task_arg("side-log", grid.path("log")).path("-o", grid.path(output));
        let run = run.input("a\n").finish();
        assert!([2, 4].contains(&run.status), "{run:?}");
        assert_eq!(run.errors().len(), 1, "{}", run.stderr);
        assert!(run.errors()[0].contains(output), "{}", run.stderr);
        assert!(grid.side_log("log").is_empty());
    }
}

#[test]
fn an_input_that_cannot_be_read_is_named() {
    let grid = Grid::new();
    let secret = grid.write("secret", "a\n");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o0)).unwrap();
    let cannot_read = fs::read(&secret).err().ok_or("this user can read every file");
    if Need::Unprivileged.check(cannot_read).is_none() {
        return;
    }
    let run = grid.run("echo").arg(&secret).finish();
    assert!([2, 4].contains(&run.status), "{run:?}");
    assert!(run.stderr.contains("secret"), "{}", run.stderr);
}

#[test]
fn a_full_output_device_ends_the_run_with_a_reason() {
    let grid = Grid::new();
    let run = grid.run("echo").path("-o", "/dev/full").input(numbered("record ", 1000)).finish().expect(4);
    assert!(run.stderr.contains("/dev/full"), "{}", run.stderr);
}

#[test]
fn a_directory_is_no_input() {
    let grid = Grid::new();
    let run = grid.run("echo").arg(grid.path("home")).finish();
    assert!([2, 4].contains(&run.status), "{run:?}");
    assert_eq!(run.errors().len(), 1, "{}", run.stderr);
    assert!(run.errors()[0].contains("home"), "{}", run.stderr);
}

#[test]
fn more_workers_than_records_is_no_mistake() {
    let grid = Grid::new();
    let run = grid.run("echo").args("-k -m 30").input("a\nb\nc\n").finish().expect(0);
    assert_eq!(run.text(), "a\nb\nc\n");
}

#[test]
fn slow_records_are_shared_out_one_by_one() {
    let grid = Grid::new();
    let run = grid.run("hostile").task_arg("side-log", grid.path("log")).args("-k -m 4");
    let input = numbered("sleep 20 ", 40);
    assert_eq!(run.input(&input).finish().expect(0).text(), input);
    let log = grid.side_log("log");
    let most = log.by_worker().values().map(Vec::len).max();
    assert!(log.by_worker().len() == 4 && most <= Some(20), "{:?}", log.by_worker());
}
