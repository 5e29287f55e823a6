//! Counts words.
//!
//! Start from it if you write a task that aggregates: it holds its records, and finishes them when their
//! share of the result has been written. If its worker dies before that, another worker counts them again, so
//! no word is lost or counted twice.
//!
//! The counts are partial: each worker writes one row per word and flush, and the rows of one word must be
//! added up. Words are runs of letters and digits, as Unicode defines them, in lower case. A sequence of
//! bytes that is not UTF-8 separates words, so that a broken byte in a text does not cost the text's other
//! words.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use simplegrid_plugin_api::{Held, NoArgs, Output, Record, Result, Task};

/// The task `word-count`.
#[derive(Debug)]
pub struct WordCount {
    counts: HashMap<String, u64>,
    held: Vec<Held>,
}

/// How often a word occurred since the last flush.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// The word in lower case.
    pub word: String,
    /// At least one.
    pub count: u64,
}

impl WordCount {
    fn add(&mut self, word: &str) {
        let word = word.to_lowercase();
        *self.counts.entry(word).or_default() += 1;
    }
}

impl Task for WordCount {
    type Args = NoArgs;
    type Row = Row;

    fn new(_args: NoArgs) -> Result<Self> {
        Ok(Self { counts: HashMap::new(), held: Vec::new() })
    }

    fn handle(&mut self, record: Record<'_>, _output: &mut Output<Row>) -> Result {
        // The replacement character that stands for bad bytes is not alphanumeric, so it separates.
        let text = String::from_utf8_lossy(record.line());
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            self.add(word);
        }
        self.held.push(record.hold());
        Ok(())
    }

    fn flush(&mut self, output: &mut Output<Row>, _last: bool) -> Result {
        for (word, count) in self.counts.drain() {
            output.emit(&Row { word, count })?;
        }
        // Only now, because a record that is done is never counted again.
        for held in self.held.drain(..) {
            output.done(held);
        }
        Ok(())
    }
}

simplegrid_plugin_api::export! { tasks: { "word-count" => WordCount } }

#[cfg(test)]
mod tests {
    use super::*;
    use simplegrid_plugin_api::Status;
    use simplegrid_plugin_api::testing::TestGrid;

    /// The rows as `word=count`, sorted.
    fn counts(grid: &TestGrid) -> Vec<String> {
        let text = |cell: &Option<String>| cell.clone().unwrap();
        let mut counts: Vec<_> =
            grid.rows().iter().map(|row| format!("{}={}", text(&row[0]), text(&row[1]))).collect();
        counts.sort();
        counts
    }

    #[test]
    fn words_are_counted_across_records() {
        let mut grid = TestGrid::start::<WordCount>(&[]).unwrap();
        assert_eq!(grid.handle("The cat, the DOG"), Status::Held);
        assert_eq!(grid.handle("the cat's 9 lives"), Status::Held);
        assert_eq!(grid.finish(), Status::Ok);
        assert_eq!(counts(&grid), ["9=1", "cat=2", "dog=1", "lives=1", "s=1", "the=3"]);
    }

    #[test]
    fn records_are_held_until_their_counts_are_out() {
        let mut grid = TestGrid::start::<WordCount>(&[]).unwrap();
        assert_eq!(grid.handle("a"), Status::Held);
        assert_eq!(grid.handle(""), Status::Held);
        assert!(grid.rows().is_empty() && grid.finished().is_empty());
        assert_eq!(grid.flush(), Status::Ok);
        let done: Vec<_> = grid.finished().iter().map(|done| (done.record, done.status)).collect();
        assert_eq!(done, [(1, Status::Ok), (2, Status::Ok)]);
        assert_eq!(grid.finish(), Status::Ok);
        assert_eq!(counts(&grid), ["a=1"]);
        assert_eq!(grid.finished().len(), 2);
    }

    #[test]
    fn words_are_those_of_any_language() {
        let mut grid = TestGrid::start::<WordCount>(&[]).unwrap();
        grid.handle("Ärger ärger, \u{4f60}\u{597d}!");
        grid.finish();
        assert_eq!(counts(&grid), ["ärger=2", "\u{4f60}\u{597d}=1"]);
    }

    #[test]
    fn bad_bytes_separate_words() {
        let mut grid = TestGrid::start::<WordCount>(&[]).unwrap();
        assert_eq!(grid.handle(b"one\xff\xfetwo"), Status::Held);
        grid.finish();
        assert_eq!(counts(&grid), ["one=1", "two=1"]);
    }
}
