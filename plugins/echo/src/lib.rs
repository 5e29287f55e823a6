//! The smallest plugin: every record comes back as it went in.
//!
//! Start from it if you write a task on raw lines: it has no arguments, no fields, and nothing between the
//! bytes that come in and the bytes that go out.

use simplegrid_plugin_api::{Line, NoArgs, Output, Record, Result, Task};

/// The task `echo`.
#[derive(Debug)]
pub struct Echo;

impl Task for Echo {
    type Args = NoArgs;
    type Row = Line;

    fn new(_args: NoArgs) -> Result<Self> {
        Ok(Self)
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Line>) -> Result {
        output.line(record.line())
    }
}

simplegrid_plugin_api::export! { tasks: { "echo" => Echo } }

#[cfg(test)]
mod tests {
    use super::*;
    use simplegrid_plugin_api::Status;
    use simplegrid_plugin_api::testing::TestGrid;

    #[test]
    fn every_byte_comes_back() {
        let mut grid = TestGrid::start::<Echo>(&[]).unwrap();
        for line in [&b""[..], b"hello", b"a,\"b\"\r", b"\xff\0"] {
            assert_eq!(grid.handle(line), Status::Ok);
        }
        assert_eq!(grid.finish(), Status::Ok);
        assert_eq!(grid.lines(), [&b""[..], b"hello", b"a,\"b\"\r", b"\xff\0"]);
    }

    #[test]
    fn it_takes_no_arguments() {
        let said = TestGrid::start::<Echo>(&[("loud", "true")]).unwrap_err();
        assert_eq!(said.status, Status::Fatal);
        assert_eq!(said.message, "no task argument `loud`: the task takes none");
    }
}
