//! What a task's rows look like, as far as a sink needs to know. Pure.

use crate::plugin::{Column, OutputKind, TaskManifest};

/// What the rows of a task look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Their columns.
    pub columns: Vec<Column>,
    /// Whether they are raw lines: one column, without quotes.
    pub raw: bool,
}

impl Shape {
    /// The shape of a task's rows.
    pub(crate) fn of(task: &TaskManifest) -> Self {
        Self { columns: task.columns.clone(), raw: task.output == OutputKind::Lines }
    }

    /// What is wrong with a row that has this many cells, if anything.
    pub(crate) fn mismatch(&self, cells: usize) -> Option<String> {
        let columns = self.columns.len();
        (cells != columns)
            .then(|| format!("one of its rows has the wrong number of cells: {cells} instead of {columns}"))
    }
}
