//! Every execution of a record that a worker of a simulation has begun, in order: what a task would note
//! itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The executions so far. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Executions(Arc<Mutex<Vec<usize>>>);

impl Executions {
    /// A record begins: the number of this execution, and how often the record was begun before.
    pub(super) fn begin(&self, id: usize) -> (usize, usize) {
        let mut executions = self.executions();
        let before = executions.iter().filter(|other| **other == id).count();
        executions.push(id);
        (executions.len() - 1, before)
    }

    /// The records, by the numbers of their executions.
    pub(super) fn all(&self) -> Vec<usize> {
        self.executions().clone()
    }

    fn executions(&self) -> MutexGuard<'_, Vec<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
