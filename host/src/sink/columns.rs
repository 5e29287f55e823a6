//! What a task's rows look like, as far as a sink must know. Pure.

use crate::plugin::{Kind, OutputKind, TaskManifest};

/// A column of a task's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub name: String,
    /// What its cells hold.
    pub kind: Kind,
}

/// The rows of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Their columns.
    pub columns: Vec<Column>,
    /// They are raw lines: one column, without quotes.
    pub raw: bool,
}

impl Shape {
    /// That of a task.
    pub(crate) fn of(task: &TaskManifest) -> Self {
        let column = |column: &crate::plugin::Column| Column { name: column.name.clone(), kind: column.kind };
        Self { columns: task.columns.iter().map(column).collect(), raw: task.output == OutputKind::Lines }
    }

    /// What is wrong with a row of so many cells.
    pub(crate) fn mismatch(&self, cells: usize) -> Option<String> {
        let columns = self.columns.len();
        (cells != columns).then(|| format!("a row of it has {cells} cells, and the task {columns} columns"))
    }
}
