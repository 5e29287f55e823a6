//! Tasks of known cost: what is measured is the grid around them.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use simplegrid_plugin_api::{Batch, Error, Line, NoArgs, Output, Record, Result, Task};

/// The task `count`: adds up the second fields, and writes nothing, as the ceiling's workers do.
#[derive(Debug)]
pub struct Count(u64);

impl Task for Count {
    type Args = NoArgs;
    type Row = Line;

    fn new(_: NoArgs) -> Result<Self> {
        Ok(Self(0))
    }

    fn handle(&mut self, record: Record<'_>, _: &mut Output<Line>) -> Result {
        self.0 = black_box(self.0.wrapping_add(second_number(record.line())));
        Ok(())
    }
}

/// The number after the first comma; 0 if there is none.
fn second_number(line: &[u8]) -> u64 {
    let Some(comma) = line.iter().position(|byte| *byte == b',') else { return 0 };
    let digits = line[comma + 1..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: u64, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
}

/// A row of the task `typed`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// The text before the first comma.
    pub user: String,
    /// The number after it.
    pub number: u64,
}

/// The task `typed`: splits the line itself, and emits a row with two typed columns.
#[derive(Debug)]
pub struct Typed;

impl Task for Typed {
    type Args = NoArgs;
    type Row = Row;

    fn new(_: NoArgs) -> Result<Self> {
        Ok(Self)
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Row>) -> Result {
        let line = record.line();
        let comma = line.iter().position(|byte| *byte == b',').unwrap_or(line.len());
        let user = str::from_utf8(&line[..comma]).map_err(Error::reject)?.to_owned();
        output.emit(&Row { user, number: second_number(line) })
    }
}

/// The task `fields`: has the record parsed as CSV, and writes its third field unchanged.
#[derive(Debug)]
pub struct Fields;

impl Task for Fields {
    type Args = NoArgs;
    type Row = Line;

    fn new(_: NoArgs) -> Result<Self> {
        Ok(Self)
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Line>) -> Result {
        output.line(record.text(2)?.as_bytes())
    }
}

/// The task `echo-batch`: echoes as many records in one call as there are.
#[derive(Debug)]
pub struct EchoBatch;

impl Task for EchoBatch {
    type Args = NoArgs;
    type Row = Line;

    fn new(_: NoArgs) -> Result<Self> {
        Ok(Self)
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Line>) -> Result {
        output.line(record.line())
    }

    fn batch_max(&self) -> usize {
        usize::MAX
    }

    fn handle_batch(&mut self, batch: Batch<'_>, output: &mut Output<Line>) -> Result {
        for record in batch {
            output.line(record.line())?;
            output.finish(record);
        }
        Ok(())
    }
}

/// The task `sleep`: sleeps as many microseconds as the record says, and writes how many nanoseconds that
/// took.
#[derive(Debug)]
pub struct Sleep;

impl Task for Sleep {
    type Args = NoArgs;
    type Row = Line;

    fn new(_: NoArgs) -> Result<Self> {
        Ok(Self)
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Line>) -> Result {
        let began = Instant::now();
        let us = str::from_utf8(record.line()).map_err(Error::reject)?.parse().map_err(Error::reject)?;
        thread::sleep(Duration::from_micros(us));
        output.line(began.elapsed().as_nanos().to_string().as_bytes())
    }
}

simplegrid_plugin_api::export! {
    tasks: { "count" => Count, "typed" => Typed, "fields" => Fields, "echo-batch" => EchoBatch, "sleep" => Sleep },
}
