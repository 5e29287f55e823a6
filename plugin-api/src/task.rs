//! The traits that you implement in a plugin.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Batch, Output, Record, Result};

/// A function that runs on each record. Each worker process has one value of this type, which sees its
/// records one at a time (or, if it wants, [in batches](Self::handle_batch)), always on the same thread.
///
/// All functions may panic: SimpleGrid counts a panic against the record in hand, and replaces the worker.
pub trait Task: Sized + 'static {
    /// The `--task-arg name=value` pairs, typed: a flat struct with named fields. A field is optional if it
    /// is an `Option` or has `#[serde(default)]`. Use [`NoArgs`] if there are none.
    type Args: DeserializeOwned;

    /// One output row: a flat struct whose fields are the output's columns, or [`Line`](crate::Line) for raw
    /// lines.
    type Row: Serialize + DeserializeOwned + 'static;

    /// Runs once per node, in a short-lived process of its own, before any worker starts. Use it to check or
    /// fetch what all workers need. Nothing in memory survives it.
    ///
    /// # Errors
    /// Any error keeps the node from starting.
    fn prepare(_args: &Self::Args) -> Result {
        Ok(())
    }

    /// Makes the task, once per worker process.
    ///
    /// # Errors
    /// Any error means that this worker cannot work.
    fn new(args: Self::Args) -> Result<Self>;

    /// Runs the task over one record. `Ok` finishes it, unless [`Record::hold`] was called.
    ///
    /// # Errors
    /// The record fails, and its rows from this attempt are dropped; [`Error`](crate::Error) says whether it
    /// is tried again. If the record was held before the error, the error wins: SimpleGrid no longer
    /// regards it as held, and its [`Held`](crate::Held) no longer has any effect.
    fn handle(&mut self, record: Record<'_>, output: &mut Output<Self::Row>) -> Result;

    /// The most records that [`handle_batch`](Self::handle_batch) takes in one call. With 1, which is the
    /// default, records always come one at a time, to [`handle`](Self::handle). It is asked once, after
    /// `new`.
    ///
    /// A batch is what has come by then, so it is often smaller, and nothing ever waits for it to become
    /// full.
    fn batch_max(&self) -> usize {
        1
    }

    /// Runs the task over many records in one call, for what is faster together: a model, a request to a
    /// database. Finish each with [`Output::finish`], in any order, or after
    /// [`Record::hold`] with [`Output::done`] or [`Output::fail`]; rows belong to the record that finishes
    /// next. What is still held then stays open, as after `handle`. `Ok` finishes the other records,
    /// without rows: rows that are left belong to no record, and the batch counts as failed.
    ///
    /// By default, it runs `handle` over each.
    ///
    /// # Errors
    /// No record is blamed, not even by a `reject`: those that are not finished are run one after the other
    /// through `handle`, so that it is known which one is guilty. The same happens after a panic, a crash
    /// or a timeout (in another process). So it is no loss to return early, and `handle` must do the same
    /// as `handle_batch` does.
    fn handle_batch(&mut self, batch: Batch<'_>, output: &mut Output<Self::Row>) -> Result {
        batch.run_each(output, |record, output| self.handle(record, output))
    }

    /// Finishes the records that the task holds. Called when the input pauses, when too many records are
    /// held, at the end of a run and before a shutdown; with `last`, no record of this run will follow. A
    /// task that still holds its records after `flush(last = false)` is called again. But if its window
    /// is full, it must finish some, and with `last` all of them. Records that it has forgotten fail then.
    ///
    /// What one flush writes and finishes counts as a whole, once it has returned `Ok`. If it fails or its
    /// worker dies, nothing of it counts. So you need not keep the rows of an aggregate apart by record.
    ///
    /// # Errors
    /// No record is blamed, not even by a `reject`: all held records are run again, in a new worker. To fail
    /// one of them, give it to [`Output::fail`].
    fn flush(&mut self, _output: &mut Output<Self::Row>, _last: bool) -> Result {
        Ok(())
    }
}

/// Chooses where a record goes: records with equal keys meet in the same worker, in the order of the input.
///
/// It runs in a process beside the master, once per record, so it should be quick and depend on nothing but
/// the record.
pub trait Partitioner: Send + Sync + 'static {
    /// Appends the record's key to `key`, which is empty.
    ///
    /// # Errors
    /// The record fails, and is not sent anywhere.
    fn key(&self, record: &Record<'_>, key: &mut Vec<u8>) -> Result;
}

/// The `Args` of a task that takes no arguments. Any argument that is given is refused by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoArgs {}
