//! What is in a table after a run, whatever the records hold.

use simplegrid_tests::{Grid, Slave, numbered};

use super::place;

#[test]
fn rows_go_into_a_table_and_not_to_the_output() {
    let grid = Grid::new();
    let input = numbered("a@b", 3000);
    for place in place::all(&grid) {
        let run = grid.run("email-domain").arg("--sink").arg(place.sink("addresses")).input(&input);
        let run = run.args("-k --header").finish().expect(0).expect_counts(3000, 3000, 0);
        assert_eq!(run.text(), "", "{}", place.name());
        place.expect_once("addresses", "address", input.lines().map(str::to_owned));
        assert_eq!(place.text("SELECT domain FROM addresses WHERE address = 'a@b77'"), "b77");
        assert_eq!(place.ledger_pages(), 0, "{}: the ledger's pages are gone with the run", place.name());
        // A second run adds its rows, whatever the first one did.
        grid.run("email-domain").arg("--sink").arg(place.sink("addresses")).input("x@y\n").finish().expect(0);
        assert_eq!(place.count("addresses"), 3001);
    }
}

#[test]
fn sums_over_records_that_were_held_add_up() {
    let grid = Grid::new();
    let input: String = (0..5000).map(|number| format!("all w{}\n", number % 7)).collect();
    for place in place::all(&grid) {
        let run = grid.run("word-count").arg("--sink").arg(place.sink("words")).input(&input);
        run.finish().expect(0).expect_counts(5000, 5000, 0);
        assert_eq!(place.text("SELECT sum(count) FROM words WHERE word = 'all'"), "5000", "{}", place.name());
        assert_eq!(place.text("SELECT sum(count) FROM words WHERE word = 'w3'"), "714", "{}", place.name());
    }
}

#[test]
fn hostile_values_are_stored_unchanged() {
    let grid = Grid::new();
    let long = "x".repeat(1 << 20);
    let values = [
        "'; DROP TABLE lines; --",
        "\"quoted\", and more",
        "back\\slash \\N \\. \\x",
        "tab\there",
        "line\nbreak\r\nand another",
        "\u{1f600} \u{4f60}\u{597d} e\u{301}",
        "%s %d ? $1 :name",
        "NULL",
        " ",
        &long,
    ];
    let csv = |value: &&str| format!("\"{}@d\"\n", value.replace('"', "\"\""));
    let input: String = values.iter().map(csv).collect();
    for place in place::all(&grid) {
        let run = grid.run("email-domain").arg("--sink").arg(place.sink("kept")).args("--format csv");
        run.input(&input).finish().expect(0).expect_counts(10, 10, 0);
        place.expect_once("kept", "address", values.iter().map(|value| format!("{value}@d")));
    }
}

#[test]
fn an_empty_text_is_not_null() {
    let grid = Grid::new();
    for place in place::all(&grid) {
        let run = grid.run("email-domain").arg("--sink").arg(place.sink("addresses"));
        run.input("nobody@\n").finish().expect(0);
        assert_eq!(place.text("SELECT domain FROM addresses"), "", "{}", place.name());
    }
}

#[test]
fn a_value_that_a_database_cannot_store_fails_alone() {
    let grid = Grid::new();
    for place in place::all(&grid) {
        let input = b"good\nbad \xff bytes\nnul \0 in\nlast\n";
        let takes_nul = place.name() != "postgres";
        let (done, failed) = if takes_nul { (3, 1) } else { (2, 2) };
        let call = grid.run("echo").arg("--sink").arg(place.sink("kept")).args("--failed failed");
        call.input(input).finish().expect(1).expect_counts(4, done, failed);
        let failed = grid.failed("failed");
        assert_eq!((failed[0].seq, failed[0].reason.as_str()), (1, "rejected"), "{}", place.name());
        assert_eq!(failed[0].message, "column `line`: its text is not valid UTF-8");
        let kept = ["good", "nul \0 in", "last"].into_iter().filter(|text| takes_nul || !text.contains('\0'));
        place.expect_once("kept", "line", kept.map(str::to_owned));
    }
}

#[test]
fn rows_that_a_table_refuses_are_rejected_in_its_words_and_their_neighbours_are_there() {
    let grid = Grid::new();
    let input: String = (0..600)
        .map(|number| if number % 97 == 5 { "bad\n".to_owned() } else { format!("{number}\n") })
        .collect();
    for place in place::all(&grid) {
        let text = if place.name() == "mysql" { "VARCHAR(20)" } else { "TEXT" };
        place.run(&format!("CREATE TABLE picky (line {text} CHECK (line <> 'bad'), more INTEGER)"));
        let call = grid.run("echo").arg("--sink").arg(place.sink("picky")).args("--failed failed");
        call.input(&input).finish().expect(1).expect_counts(600, 593, 7);
        let failed = grid.failed("failed");
        assert_eq!(
            failed.iter().map(|failed| failed.seq).collect::<Vec<_>>(),
            [5, 102, 199, 296, 393, 490, 587]
        );
        assert!(failed.iter().all(|failed| failed.reason == "rejected" && failed.attempts == 1));
        let message = failed[0].message.to_lowercase();
        assert!(message.contains("check") || message.contains("constraint"), "{}: {message}", place.name());
        place.expect_once("picky", "line", input.lines().filter(|line| *line != "bad").map(str::to_owned));
    }
}

#[test]
fn a_table_that_two_slaves_make_at_once_is_made_once() {
    let grid = Grid::new();
    for place in place::all(&grid) {
        for round in 0..3 {
            let table = format!("fresh{round}");
            let start = |slave: usize| {
                let call = grid.run("echo").args("-m 1").arg("--sink").arg(place.sink(&table));
                call.input(numbered(&format!("{slave} "), 10)).start()
            };
            let runs: Vec<_> = (0..4).map(start).collect();
            runs.into_iter().for_each(|run| {
                run.wait().expect(0);
            });
            assert_eq!(place.count(&table), 40, "{}", place.name());
        }
    }
}

#[test]
fn a_table_can_have_any_name_and_a_schema() {
    let grid = Grid::new();
    for place in place::all(&grid) {
        let (sink, name) = match place.name() {
            "postgres" => {
                place.run("CREATE SCHEMA \"my schema\"");
                (place.sink("my%20schema.select"), "\"my schema\".\"select\"")
            }
            "mysql" => (place.sink("sel%60ect"), "`sel``ect`"),
            _ => (place.sink("main.my%20%22rows%22"), "\"my \"\"rows\"\"\""),
        };
        grid.run("echo").arg("--sink").arg(sink).input(numbered("", 5)).finish().expect(0);
        assert_eq!(place.text(&format!("SELECT count(*) FROM {name}")), "5", "{}", place.name());
    }
}

#[test]
fn slaves_that_commit_records_of_the_same_pages_do_not_hold_each_other_up() {
    let grid = Grid::new();
    let input = numbered("", 30_000);
    for place in place::all(&grid) {
        let start = || Slave::start(grid.slave_call("echo").arg("--sink").arg(place.sink("shared")));
        let slaves = [start(), start(), start(), start()];
        // Keys scatter the records, so that each commit needs pages that all other commits need, too.
        let master = grid.master().args("--partition-by whole-record").input(&input).finish().expect(0);
        master.expect_counts(30_000, 30_000, 0);
        place.expect_once("shared", "line", input.lines().map(str::to_owned));
        if place.name() != "sqlite" {
            // In a SQLite file, one waits for the other, sometimes longer than its limit.
            let said: Vec<_> = slaves.iter().map(|slave| slave.stderr()).collect();
            assert!(!said.concat().contains("deadlock"), "{}: {said:?}", place.name());
        }
    }
}
