//! What a task writes, as far as everything that goes into one output must agree on it. Pure.

use serde::{Deserialize, Serialize};

use super::manifest::{Column, OutputKind, TaskManifest};
use super::row_format::RowFormat;
use crate::build::Digest;

/// Letters of a column's name that a message shows. Other machines name the columns.
const NAME_SHOWN: usize = 60;

/// What a task writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOutput {
    /// How it writes.
    pub kind: OutputKind,
    /// The columns of its rows; none if it writes raw lines, whose only column is the line.
    pub columns: Vec<Column>,
}

impl TaskOutput {
    /// What this task writes.
    pub(crate) fn of(task: &TaskManifest) -> Self {
        let columns = match task.output {
            OutputKind::Lines => Vec::new(),
            OutputKind::Rows => task.columns.clone(),
        };
        Self { kind: task.output, columns }
    }

    /// The digest of this output of a task with that name: equal digests are equal outputs.
    pub(crate) fn digest(&self, task: &str) -> Digest {
        let canonical = serde_json::to_vec(&(task, self)).expect("these types are all valid JSON");
        Digest::of(&canonical)
    }

    /// The first thing in which another output differs from this one, for people; nothing if they are equal.
    pub(crate) fn difference(&self, other: &Self, (this, that): (&str, &str)) -> Option<String> {
        if self.kind != other.kind {
            let writes = |kind| if kind == OutputKind::Lines { "raw lines" } else { "rows of columns" };
            let (ours, theirs) = (writes(self.kind), writes(other.kind));
            return Some(format!("it writes {theirs} {that}, and {ours} {this}"));
        }
        let count = self.columns.len().max(other.columns.len());
        let at = (0..count).find(|at| self.columns.get(*at) != other.columns.get(*at))?;
        let column = |output: &Self| output.columns.get(at).map_or_else(|| "missing".to_owned(), shown);
        Some(format!("column {} is {} {that}, and {} {this}", at + 1, column(other), column(self)))
    }

    /// The line that names the columns; `None` if each row names them. Raw lines are as they are in every
    /// format, and have one column.
    pub(crate) fn header_line(&self, format: RowFormat) -> Option<String> {
        match self.kind {
            OutputKind::Lines => Some("line\n".to_owned()),
            OutputKind::Rows => format.header_line(self.columns.iter().map(|column| column.name.as_str())),
        }
    }
}

fn shown(column: &Column) -> String {
    let Column { name, kind, nullable } = column;
    let null = if *nullable { ", may be empty" } else { "" };
    format!("`{name:.NAME_SHOWN$}` ({}{null})", kind.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Kind;

    const WHERE: (&str, &str) = ("in this run", "there");

    fn rows(columns: &[(&str, Kind, bool)]) -> TaskOutput {
        let column = |(name, kind, nullable): &(&str, Kind, bool)| Column {
            name: (*name).into(),
            kind: *kind,
            nullable: *nullable,
        };
        TaskOutput { kind: OutputKind::Rows, columns: columns.iter().map(column).collect() }
    }

    #[test]
    fn the_first_column_that_differs_is_named() {
        let output = rows(&[("a", Kind::Text, false), ("b", Kind::Int, true)]);
        let difference = |other: &TaskOutput| output.difference(other, WHERE);
        assert_eq!(difference(&output), None);
        assert_eq!(
            difference(&rows(&[("a", Kind::Text, false), ("c", Kind::Int, true)])).as_deref(),
            Some("column 2 is `c` (int, may be empty) there, and `b` (int, may be empty) in this run")
        );
        assert_eq!(
            difference(&rows(&[("a", Kind::Text, false)])).as_deref(),
            Some("column 2 is missing there, and `b` (int, may be empty) in this run")
        );
        let kind = difference(&rows(&[("a", Kind::Bytes, false), ("b", Kind::Int, true)])).unwrap();
        assert_eq!(kind, "column 1 is `a` (bytes) there, and `a` (text) in this run");
        let lines = TaskOutput { kind: OutputKind::Lines, columns: Vec::new() };
        assert_eq!(
            difference(&lines).as_deref(),
            Some("it writes raw lines there, and rows of columns in this run")
        );
    }

    #[test]
    fn equal_digests_are_equal_outputs_of_one_task() {
        let output = rows(&[("a", Kind::Text, false), ("b", Kind::Int, true)]);
        let same = rows(&[("a", Kind::Text, false), ("b", Kind::Int, true)]);
        assert_eq!(output.digest("t"), same.digest("t"));
        assert_ne!(output.digest("t"), output.digest("u"));
        assert_ne!(
            output.digest("t"),
            rows(&[("a", Kind::Text, false), ("b", Kind::Int, false)]).digest("t")
        );
        assert_ne!(output.digest("t"), rows(&[("b", Kind::Int, true), ("a", Kind::Text, false)]).digest("t"));
    }

    #[test]
    fn a_header_names_the_columns() {
        let csv = |output: TaskOutput| output.header_line(RowFormat::Csv);
        assert_eq!(csv(rows(&[("a", Kind::Text, false), ("b", Kind::Int, true)])).as_deref(), Some("a,b\n"));
        assert_eq!(csv(rows(&[])).as_deref(), Some("\n"));
        let lines = TaskOutput { kind: OutputKind::Lines, columns: Vec::new() };
        assert_eq!(lines.header_line(RowFormat::JsonLines).as_deref(), Some("line\n"));
    }
}
