//! Records that name themselves: `@KEY,ID,ORDER,PADDING`. Their notes and rows contain their id and their
//! worker, so that every row and every execution of a whole run can be told apart.
//!
//! A row is `ID,KEY,PROCESS,INDEX,BYTES`: the record's id and key, the worker's process, which of the
//! record's rows it is, and how long the record was when it arrived. Anything after a further comma is only
//! there to be long.

use std::time::Duration;
use std::{process, thread};

use simplegrid_plugin_api::{Error, Line, Output, Result};

use crate::fault::Fault;

/// A record, taken apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tagged<'a> {
    key: &'a str,
    id: &'a str,
    order: &'a str,
    bytes: usize,
}

impl<'a> Tagged<'a> {
    /// `None` if the record does not name itself.
    pub(crate) fn of(record: &'a [u8]) -> Option<Self> {
        let text = str::from_utf8(record).ok()?.strip_prefix('@')?;
        let mut fields = text.splitn(4, ',');
        let (key, id, order) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Self { key, id, order, bytes: record.len() })
    }

    /// Its key: records with equal keys belong together.
    pub(crate) fn key(&self) -> &str {
        self.key
    }

    /// The note about it.
    pub(crate) fn name(&self) -> String {
        format!("@{}", self.id)
    }

    /// Whether its outcome depends on how often it was run before.
    pub(crate) fn counts(&self) -> bool {
        self.order.ends_with("-once")
    }

    /// Whether it is to be held. It has two rows then; the second one comes when it is finished.
    pub(crate) fn holds(&self) -> bool {
        self.order == "hold"
    }

    /// Whether it is to be held, and to crash the flush that follows.
    pub(crate) fn aborts_flush(&self) -> bool {
        self.order == "flush-abort"
    }

    /// Whether it finishes all held records.
    pub(crate) fn finishes(&self) -> bool {
        self.order == "finish"
    }

    /// One of its rows.
    pub(crate) fn row(&self, index: usize) -> Vec<u8> {
        format!("{},{},{},{index},{}", self.id, self.key, process::id(), self.bytes).into_bytes()
    }

    /// Does what it asks for, when it was run so often before.
    pub(crate) fn happen(&self, earlier: usize, output: &mut Output<Line>) -> Result {
        let (word, number) = self.order.split_once(' ').unwrap_or((self.order, ""));
        let number = number.parse().unwrap_or(0);
        match word {
            "rows" => (0..number).try_for_each(|index| output.line(&self.row(index))),
            "huge" => output.line(&[self.row(0), b",".to_vec(), vec![b'x'; number]].concat()),
            "sleep" => {
                thread::sleep(Duration::from_millis(number as u64));
                output.line(&self.row(0))
            }
            "retry-once" if earlier == 0 => Err(Error::retry("not the first time")),
            "leak-once" if earlier == 0 => {
                output.line(b"leaked")?;
                Err(Error::retry("not the first time, after a row"))
            }
            "leak-abort" => {
                output.line(b"leaked")?;
                process::abort()
            }
            // What else it writes is dropped: its own row is enough.
            "child" => {
                crate::fault::leave_child()?;
                output.line(&self.row(0))
            }
            "stdout" => {
                println!("{}", self.id);
                output.line(&self.row(0))
            }
            "stderr" => {
                eprintln!("{}", "x".repeat(number));
                output.line(&self.row(0))
            }
            _ => match Fault::of(self.order.as_bytes()) {
                Fault::Echo(_)
                | Fault::Hold
                | Fault::Drop
                | Fault::Forget
                | Fault::Late
                | Fault::Finish
                | Fault::FinishFatal
                | Fault::RetryOnce => output.line(&self.row(0)),
                fault => fault.happen(output),
            },
        }
    }
}
