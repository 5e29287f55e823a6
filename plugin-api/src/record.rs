//! A record as a task sees it. The host decides how it is cut into fields.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::Deserialize;

use crate::glue::{BytesList, DroppedRecords, HostCalls};
use crate::{Error, Result, Status, text};

/// One record of the input.
///
/// The record is split into fields (as CSV, RFC 4180) when the first field is asked for. A task that uses
/// only [`line`](Self::line) pays nothing for fields.
#[derive(Debug)]
pub struct Record<'a> {
    id: u64,
    line: &'a [u8],
    host: &'a HostCalls,
    fields: OnceCell<BytesList<'a>>,
    held: &'a Cell<bool>,
    /// Whether the task has got it with others: then the host must be told which one is held.
    is_of_batch: bool,
    /// `None` where a record cannot be held.
    dropped: Option<&'a Arc<DroppedRecords>>,
}

impl<'a> Record<'a> {
    /// The record in hand. `held` becomes true if the task holds it, and `dropped` learns of it if the task
    /// drops what could finish it.
    #[inline]
    pub(crate) fn new(
        id: u64,
        line: &'a [u8],
        host: &'a HostCalls,
        held: &'a Cell<bool>,
        dropped: Option<&'a Arc<DroppedRecords>>,
    ) -> Self {
        Self { id, line, host, fields: OnceCell::new(), held, is_of_batch: false, dropped }
    }

    /// A record of a batch; otherwise as with [`new`](Self::new).
    #[inline]
    pub(crate) fn of_batch(
        id: u64,
        line: &'a [u8],
        host: &'a HostCalls,
        held: &'a Cell<bool>,
        dropped: &'a Arc<DroppedRecords>,
    ) -> Self {
        Self { is_of_batch: true, ..Self::new(id, line, host, held, Some(dropped)) }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The whole record as it was read, without its terminator.
    #[inline]
    pub fn line(&self) -> &'a [u8] {
        self.line
    }

    /// The bytes of field `index`, counted from zero, without quotes around them; `None` if the record has no
    /// such field.
    pub fn bytes(&self, index: usize) -> Option<&'a [u8]> {
        self.fields().get(index)
    }

    /// Field `index` as text.
    ///
    /// # Errors
    /// Rejects the record if it has no such field or the field is not UTF-8, because then the record is not
    /// what the task was written for. Use [`bytes`](Self::bytes) for a field that may be absent.
    pub fn text(&self, index: usize) -> Result<&'a str> {
        let bytes = self.bytes(index).ok_or_else(|| self.no_field(index))?;
        std::str::from_utf8(bytes).map_err(|cause| Error::reject(format_args!("field {index}: {cause}")))
    }

    /// How many fields the record has. There is at least one, because an empty line is one empty field.
    pub fn len(&self) -> usize {
        self.fields().len()
    }

    /// Whether the record has no fields at all. This happens only if the host provides none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record as a struct or tuple whose members are the fields in their order. Fields beyond the last
    /// member are ignored. For an `Option`, an empty field is `None`. Borrowed members (`&str`) copy
    /// nothing.
    ///
    /// # Errors
    /// Rejects the record if it has too few fields or a field cannot be parsed; the message names the field.
    pub fn parse<T: Deserialize<'a>>(&self) -> Result<T> {
        let fields = self.fields();
        text::from_fields(fields.iter()).map_err(Error::reject)
    }

    /// Keeps the record open after `handle` or `handle_batch` has returned. Until you give it to
    /// [`Output::done`](crate::Output::done) or [`Output::fail`](crate::Output::fail), it is not
    /// acknowledged, and it is run again if this worker dies.
    ///
    /// This consumes the record, so that it can be held only once. Read what you need from it first; texts
    /// from it stay valid until that function returns.
    pub fn hold(self) -> Held {
        self.held.set(true);
        if self.is_of_batch {
            self.host.done(self.id, Status::Held, "");
        }
        Held { record: self.id, dropped: self.dropped.cloned() }
    }

    /// Finishes the record in hand as done, without holding it first.
    #[inline]
    pub(crate) fn finish(self) {
        self.held.set(true);
        self.host.done(self.id, Status::Ok, "");
    }

    fn fields(&self) -> BytesList<'a> {
        *self.fields.get_or_init(|| {
            if self.is_of_batch { self.host.fields_of(self.line) } else { self.host.fields() }
        })
    }

    fn no_field(&self, index: usize) -> Error {
        let plural = if self.len() == 1 { "" } else { "s" };
        Error::reject(format_args!("no field {index}: the record has {} field{plural}", self.len()))
    }
}

/// A record that the task holds. Give it to the task's [`Output`](crate::Output) to finish it. If you drop
/// it, the record can never be finished: it fails, and is not tried again.
#[must_use = "a held record fails unless it is given to `Output::done` or `Output::fail`"]
pub struct Held {
    /// 0 once it was finished.
    record: u64,
    dropped: Option<Arc<DroppedRecords>>,
}

impl Held {
    /// The record, which is being finished.
    pub(crate) fn into_record(mut self) -> u64 {
        std::mem::take(&mut self.record)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.record != 0
            && let Some(dropped) = &self.dropped
        {
            dropped.add(self.record);
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("record", &self.record).finish()
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl Eq for Held {}

impl Hash for Held {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.record.hash(state);
    }
}
