//! A task that does what the record's first field says, run through the C functions as an author's tests run
//! theirs.

use serde::{Deserialize, Serialize};
use simplegrid_plugin_api::testing::{Finished, TestGrid};
use simplegrid_plugin_api::{Error, Held, Line, NoArgs, Output, Record, Result, Status, Task};

#[derive(Default)]
struct Obedient {
    held: Vec<Held>,
}

#[derive(Deserialize)]
struct Args {
    #[serde(default)]
    fail: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    text: String,
    length: Option<usize>,
}

impl Task for Obedient {
    type Args = Args;
    type Row = Row;

    fn new(args: Args) -> Result<Self> {
        tracing::info!(failing = args.fail.is_some(), "made");
        match args.fail {
            Some(text) if text == "panic" => panic!("no task today"),
            Some(text) => Err(Error::retry(text)),
            None => Ok(Self::default()),
        }
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Row>) -> Result {
        match record.text(0)? {
            "hold" => self.held.push(record.hold()),
            "drop" => drop(record.hold()),
            "hold and fail" => {
                self.held.push(record.hold());
                return Err(Error::reject("held all the same"));
            }
            "second" => {
                let text = record.text(1)?;
                output.emit(&Row { text: text.into(), length: Some(text.len()) })?;
            }
            "parse" => {
                let (_, text, length) = record.parse::<(&str, &str, Option<usize>)>()?;
                output.emit(&Row { text: text.into(), length })?;
            }
            "question mark" => drop("x".parse::<u8>()?),
            "fatal" => return Err(Error::fatal("the disk is gone")),
            "panic" => panic!("cannot do {} things", 2),
            "stopping" if output.stopping() => return Err(Error::retry("not now")),
            _ => {}
        }
        Ok(())
    }

    fn batch_max(&self) -> usize {
        100
    }

    fn flush(&mut self, output: &mut Output<Row>, last: bool) -> Result {
        for held in self.held.drain(..) {
            if last {
                output.done(held);
            } else {
                output.fail(held, Error::retry("too early"));
            }
        }
        Ok(())
    }
}

impl Drop for Obedient {
    fn drop(&mut self) {
        // A panicked task is dropped by the plugin; that must not take the process with it.
        assert!(!std::thread::panicking());
    }
}

fn grid() -> TestGrid {
    TestGrid::start::<Obedient>(&[]).expect("it needs no arguments")
}

fn finished(record: u64, status: Status, message: &str) -> Finished {
    Finished { record, status, message: message.into() }
}

#[test]
fn fields_become_rows() {
    let mut grid = grid();
    assert_eq!(grid.handle(r#"second,"a ""b"", c""#), Status::Ok);
    assert_eq!(grid.handle("parse,x,"), Status::Ok);
    let rows = grid.rows();
    assert_eq!(rows[0], [Some(r#"a "b", c"#.into()), Some("8".into())]);
    assert_eq!(rows[1], [Some("x".into()), None]);
}

#[test]
fn a_missing_field_rejects_the_record_by_number() {
    let mut grid = grid();
    assert_eq!(grid.handle("second"), Status::Reject);
    assert_eq!(grid.last_message(), "no field 1: the record has 1 field");
    assert_eq!(grid.handle("parse,x,many"), Status::Reject);
    assert!(grid.last_message().starts_with("field 2: `many` is not a whole number"));
}

#[test]
fn errors_say_what_to_do() {
    let mut grid = grid();
    assert_eq!(grid.handle("question mark"), Status::Retry);
    assert_eq!(grid.last_message(), "invalid digit found in string");
    assert_eq!(grid.handle("fatal"), Status::Fatal);
    assert_eq!(grid.finished()[1], finished(2, Status::Fatal, "the disk is gone"));
    assert_eq!(grid.handle("ok"), Status::Ok);
}

#[test]
fn held_records_are_finished_later() {
    let mut grid = grid();
    assert_eq!(grid.handle("hold"), Status::Held);
    assert_eq!(grid.handle("hold"), Status::Held);
    assert!(grid.finished().is_empty());
    assert_eq!(grid.flush(), Status::Ok);
    assert_eq!(grid.handle("hold"), Status::Held);
    assert_eq!(grid.finish(), Status::Ok);
    let expected = [
        finished(1, Status::Retry, "too early"),
        finished(2, Status::Retry, "too early"),
        finished(3, Status::Ok, ""),
    ];
    assert_eq!(grid.finished(), expected);
}

#[test]
fn a_held_record_that_is_dropped_fails_at_the_next_call() {
    let mut grid = grid();
    assert_eq!(grid.handle("drop"), Status::Held);
    assert!(grid.finished().is_empty());
    assert_eq!(grid.handle("hold"), Status::Held);
    let dropped = finished(1, Status::Reject, "the task held it and never finished it");
    assert_eq!(grid.finish(), Status::Ok);
    assert_eq!(grid.finished(), [dropped, finished(2, Status::Ok, "")]);
}

#[test]
fn an_error_wins_over_a_hold() {
    let mut grid = grid();
    assert_eq!(grid.handle("hold and fail"), Status::Reject);
    assert_eq!(grid.last_message(), "held all the same");
}

#[test]
fn a_panic_is_a_status_and_the_end_of_the_task() {
    let mut grid = grid();
    assert_eq!(grid.handle("panic"), Status::Panic);
    let message = grid.last_message();
    assert!(message.starts_with("cannot do 2 things at "), "{message}");
    assert!(message.contains("task_under_test.rs:"), "{message}");
    assert_eq!(grid.handle("ok"), Status::Fatal);
    assert_eq!(grid.last_message(), "this task has panicked before");
    assert_eq!(grid.finish(), Status::Fatal);
}

#[test]
fn a_task_that_cannot_be_made_says_why() {
    let said = TestGrid::start::<Obedient>(&[("fail", "no server")]).unwrap_err();
    assert_eq!(said, finished(0, Status::Retry, "no server"));
    let said = TestGrid::start::<Obedient>(&[("fail", "panic")]).unwrap_err();
    assert_eq!(said.status, Status::Panic);
    assert!(said.message.starts_with("no task today at "), "{}", said.message);
}

#[test]
fn the_log_reaches_the_grid() {
    let mut grid = grid();
    let logs = grid.take_logs();
    assert_eq!((logs[0].level, logs[0].message.as_str()), (3, "made failing=false"));
    assert!(grid.take_logs().is_empty());
}

#[test]
fn a_long_task_sees_that_the_grid_is_stopping() {
    let mut grid = grid();
    assert_eq!(grid.handle("stopping"), Status::Ok);
    grid.stop();
    assert_eq!(grid.handle("stopping"), Status::Retry);
}

/// A task whose only purpose is its types.
struct Typed<R>(std::marker::PhantomData<R>);

impl<R: Serialize + serde::de::DeserializeOwned + Default + 'static> Task for Typed<R> {
    type Args = NoArgs;
    type Row = R;

    fn new(_args: NoArgs) -> Result<Self> {
        Ok(Self(std::marker::PhantomData))
    }

    fn handle(&mut self, _record: Record<'_>, output: &mut Output<R>) -> Result {
        output.emit(&R::default())
    }
}

#[test]
fn a_row_that_is_not_flat_is_refused_before_any_record() {
    #[derive(Default, Serialize, Deserialize)]
    struct Deep {
        name: String,
        list: Vec<u8>,
    }
    let said = TestGrid::start::<Typed<Deep>>(&[]).unwrap_err();
    assert_eq!(said.status, Status::Fatal);
    assert!(said.message.starts_with("field `list` of "), "{}", said.message);
    assert!(TestGrid::start::<Typed<(u8, u8)>>(&[]).is_err());
}

#[test]
fn a_row_with_other_cells_than_columns_is_refused() {
    #[derive(Default, Serialize, Deserialize)]
    struct Uneven {
        a: u8,
        #[serde(default, skip_serializing)]
        _b: u8,
    }
    let mut grid = TestGrid::start::<Typed<Uneven>>(&[]).unwrap();
    assert_eq!(grid.handle(""), Status::Fatal);
    assert!(grid.last_message().starts_with("a row of 1 cells, but its type has 2 columns"));
}

#[test]
fn a_raw_task_may_emit_its_lines_too() {
    let mut grid = TestGrid::start::<Typed<Line>>(&[]).unwrap();
    assert_eq!(grid.handle("x"), Status::Ok);
    assert_eq!(grid.lines(), [b""]);
    assert!(grid.rows().is_empty());
}

#[test]
fn without_a_function_of_its_own_a_batch_runs_handle_over_each_record() {
    let mut grid = grid();
    assert_eq!(grid.handle_batch(&[r#"second,"a ""b"", c""#, "hold", "parse,x,7"]), Status::Ok);
    let rows = grid.rows();
    assert_eq!(rows[0], [Some(r#"a "b", c"#.into()), Some("8".into())]);
    assert_eq!(rows[1], [Some("x".into()), Some("7".into())]);
    let ended = [finished(1, Status::Ok, ""), finished(2, Status::Held, ""), finished(3, Status::Ok, "")];
    assert_eq!(grid.finished(), ended);
    assert_eq!(grid.finish(), Status::Ok);
    assert_eq!(grid.finished()[3], finished(2, Status::Ok, ""));
}

#[test]
fn an_error_in_a_batch_blames_no_record() {
    let mut grid = grid();
    assert_eq!(grid.handle_batch(&["second,x", "second", "second,y"]), Status::Reject);
    let said =
        [finished(1, Status::Ok, ""), finished(0, Status::Reject, "no field 1: the record has 1 field")];
    assert_eq!(grid.finished(), said);
    assert_eq!(grid.handle_batch(&["ok", "panic"]), Status::Panic);
    let panicked = &grid.finished()[3];
    assert_eq!((panicked.record, panicked.status), (0, Status::Panic));
    assert!(panicked.message.starts_with("cannot do 2 things"), "{}", panicked.message);
    assert_eq!(grid.handle_batch(&["ok", "ok"]), Status::Fatal, "it is gone");
}
