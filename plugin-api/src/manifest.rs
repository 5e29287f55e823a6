//! The manifest: what a library says about itself, as JSON. The host parses it in `plugin/manifest.rs`.

use serde_json::{Value, json};

use crate::glue::{Library, TaskEntry};
use crate::schema::Field;

/// The manifest of a library.
pub(crate) fn json<L: Library>() -> String {
    let tasks: Vec<_> = L::tasks().iter().map(task).collect();
    let partitioners: Vec<_> = L::partitioners().iter().map(|entry| entry.name).collect();
    json!({
        "package": L::PACKAGE,
        "version": L::VERSION,
        "api": crate::abi::VERSION,
        "tasks": tasks,
        "partitioners": partitioners,
    })
    .to_string()
}

/// A type that cannot be described has no columns here. When the task is created, the error says what is
/// wrong.
fn task(entry: &TaskEntry) -> Value {
    let args = (entry.args)().unwrap_or_default();
    let columns = (entry.columns)().unwrap_or_default();
    json!({
        "name": entry.name,
        "args": args.iter().map(argument).collect::<Vec<_>>(),
        "columns": columns.iter().map(column).collect::<Vec<_>>(),
        "output": if (entry.raw)() { "lines" } else { "rows" },
    })
}

fn argument(field: &Field) -> Value {
    json!({ "name": field.name, "kind": field.kind.name(), "optional": field.optional })
}

fn column(field: &Field) -> Value {
    json!({ "name": field.name, "kind": field.kind.name(), "nullable": field.nullable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glue::PartitionerEntry;
    use crate::{Line, NoArgs, Output, Partitioner, Record, Result, Task};

    struct Echo;

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

    impl Partitioner for Echo {
        fn key(&self, _record: &Record<'_>, _key: &mut Vec<u8>) -> Result {
            Ok(())
        }
    }

    struct Plugin;

    impl Library for Plugin {
        const PACKAGE: &'static str = "p";
        const VERSION: &'static str = "1.2.3";

        fn tasks() -> &'static [TaskEntry] {
            const { &[TaskEntry::of::<Echo>("echo")] }
        }

        fn partitioners() -> &'static [PartitionerEntry] {
            const { &[PartitionerEntry { name: "same", partitioner: &Echo }] }
        }
    }

    #[test]
    fn a_library_describes_itself() {
        let manifest: Value = serde_json::from_str(&json::<Plugin>()).unwrap();
        let expected = json!({
            "package": "p",
            "version": "1.2.3",
            "api": env!("CARGO_PKG_VERSION"),
            "tasks": [{
                "name": "echo",
                "args": [],
                "columns": [{ "name": "line", "kind": "text", "nullable": false }],
                "output": "lines",
            }],
            "partitioners": ["same"],
        });
        assert_eq!(manifest, expected);
    }
}
