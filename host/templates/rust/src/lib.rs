//! The task `my-task`: how long each record is, and its share of all the records that were answered with it.
//!
//! It shows what most tasks need: an argument, rows with columns, a record that is bad, and records that are
//! held and answered together, as a bulk request to a server would be. Take out what you do not need.

use serde::{Deserialize, Serialize};
use simplegrid_plugin_api::{Error, Held, Output, Record, Result, Task};

/// Its arguments: `--task-arg bulk=100`.
#[derive(Debug, Deserialize)]
pub struct Args {
    /// How many records are answered together.
    #[serde(default = "hundred")]
    bulk: usize,
}

fn hundred() -> usize {
    100
}

/// A row of its output; the members are the columns.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    text: String,
    characters: usize,
    percent: f64,
}

/// A record that waits for its answer.
#[derive(Debug)]
struct Waiting {
    held: Held,
    text: String,
}

/// The task. Each worker process has one.
#[derive(Debug)]
pub struct MyTask {
    bulk: usize,
    waiting: Vec<Waiting>,
}

impl Task for MyTask {
    type Args = Args;
    type Row = Row;

    /// Connections are opened and tables are read here.
    fn new(args: Args) -> Result<Self> {
        if args.bulk == 0 {
            return Err(Error::fatal("bulk: at least one record is answered at a time"));
        }
        Ok(Self { bulk: args.bulk, waiting: Vec::new() })
    }

    /// Runs for each record, in one worker or another.
    fn handle(&mut self, record: Record<'_>, output: &mut Output<Row>) -> Result {
        // A record whose first field is missing or is not UTF-8 fails here, with a message that says so.
        let text = record.text(0)?.to_owned();
        if text.is_empty() {
            return Err(Error::reject("the record is empty"));
        }
        // From now on, the record is ours to finish. If this process dies before that, the record runs again.
        self.waiting.push(Waiting { held: record.hold(), text });
        if self.waiting.len() >= self.bulk { self.answer(output) } else { Ok(()) }
    }

    /// The input pauses or is over: what is held must be finished.
    fn flush(&mut self, output: &mut Output<Row>, _last: bool) -> Result {
        self.answer(output)
    }
}

impl MyTask {
    fn answer(&mut self, output: &mut Output<Row>) -> Result {
        let total: usize = self.waiting.iter().map(|waiting| waiting.text.chars().count()).sum();
        for Waiting { held, text } in self.waiting.drain(..) {
            let characters = text.chars().count();
            let percent = 100.0 * characters as f64 / total as f64;
            output.emit(&Row { text, characters, percent })?;
            // Its rows count from here on.
            output.done(held);
        }
        Ok(())
    }
}

simplegrid_plugin_api::export! { tasks: { "my-task" => MyTask } }

#[cfg(test)]
mod tests {
    use super::*;
    use simplegrid_plugin_api::Status;
    use simplegrid_plugin_api::testing::TestGrid;

    fn start(args: &[(&str, &str)]) -> TestGrid {
        TestGrid::start::<MyTask>(args).expect("these arguments are good")
    }

    #[test]
    fn records_are_answered_together() {
        let mut grid = start(&[("bulk", "2")]);
        assert_eq!(grid.handle("abc"), Status::Held);
        assert!(grid.rows().is_empty());
        assert_eq!(grid.handle("d"), Status::Held);
        let row = |cells: [&str; 3]| cells.map(|cell| Some(cell.to_owned())).to_vec();
        assert_eq!(grid.rows(), [row(["abc", "3", "75"]), row(["d", "1", "25"])]);
    }

    #[test]
    fn the_last_ones_are_answered_when_the_input_is_over() {
        let mut grid = start(&[]);
        assert_eq!(grid.handle("abc"), Status::Held);
        assert_eq!(grid.finish(), Status::Ok);
        assert_eq!(grid.rows().len(), 1);
    }

    #[test]
    fn an_empty_record_is_rejected() {
        assert_eq!(start(&[]).handle(""), Status::Reject);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        assert!(TestGrid::start::<MyTask>(&[("bulk", "0")]).is_err());
        assert!(TestGrid::start::<MyTask>(&[("bulk", "many")]).is_err());
    }
}
