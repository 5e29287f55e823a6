//! `--output-format`: how rows come out of a run.

use simplegrid_tests::Grid;

#[test]
fn rows_come_out_as_objects_with_the_types_of_their_columns() {
    let grid = Grid::new();
    let run = grid.run("word-count").args("--output-format jsonl --header").input("b a\nb b\n");
    let run = run.finish().expect(0).expect_counts(2, 2, 0);
    let mut counts: Vec<_> = run.text().lines().map(object).collect();
    counts.sort();
    let total =
        |word: &str| counts.iter().filter(|(name, _)| name == word).map(|(_, count)| count).sum::<u64>();
    assert_eq!((total("b"), total("a")), (3, 1), "{}", run.text());
    assert!(!run.text().contains("word,count"), "{}", run.text());
}

/// A row of `word-count`.
fn object(line: &str) -> (String, u64) {
    let row: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (row["word"].as_str().expect("a text").to_owned(), row["count"].as_u64().expect("a number"))
}

#[test]
fn tsv_has_tabs_in_its_rows_and_in_its_header() {
    let grid = Grid::new();
    let run = grid.run("email-domain").args("-k --output-format tsv --header").input("a\\b@example.org\n");
    assert_eq!(run.finish().expect(0).text(), "address\tdomain\na\\\\b@example.org\texample.org\n");
}

#[test]
fn raw_lines_are_as_they_are_in_every_format() {
    let grid = Grid::new();
    for format in ["csv", "tsv", "jsonl"] {
        let run = grid.run("echo").args(&format!("-k --output-format {format}")).input("a\t\"b\\\n");
        assert_eq!(run.finish().expect(0).text(), "a\t\"b\\\n", "{format}");
    }
}

#[test]
fn a_run_does_not_go_on_in_another_output_format() {
    let grid = Grid::new();
    grid.write("input", "a@example.org\n");
    let run = |format: &str| {
        let files = "-k -o rows --journal journal";
        grid.run("email-domain").args(&format!("{files} --output-format {format} input")).finish()
    };
    run("jsonl").expect(0);
    assert_eq!(grid.read("rows"), b"{\"address\":\"a@example.org\",\"domain\":\"example.org\"}\n");
    let refused = run("csv").expect(2);
    assert!(refused.stderr.contains("--output-format was jsonl and is now csv"), "{}", refused.stderr);
}
