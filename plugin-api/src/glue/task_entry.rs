//! A task's type as data: its name, and functions that know the type.

use super::HostCalls;
use super::live_task::{ErasedTask, LiveTask};
use crate::schema::{self, Field, SchemaError};
use crate::{Error, Result, Task, output, text};

/// The arguments as the host passes them.
pub(crate) type Args<'a> = [(&'a str, &'a str)];

/// One task under its name.
#[derive(Debug, Clone, Copy)]
pub struct TaskEntry {
    pub(crate) name: &'static str,
    pub(crate) raw: fn() -> bool,
    pub(crate) args: fn() -> Result<Vec<Field>, SchemaError>,
    pub(crate) columns: fn() -> Result<Vec<Field>, SchemaError>,
    pub(crate) prepare: fn(&Args<'_>) -> Result,
    pub(crate) create: fn(&Args<'_>, HostCalls) -> Result<Box<dyn ErasedTask>>,
}

impl TaskEntry {
    /// The task of type `T` under `name`.
    pub const fn of<T: Task>(name: &'static str) -> Self {
        Self {
            name,
            raw: output::is_raw::<T::Row>,
            args: schema::args::<T::Args>,
            columns: schema::columns::<T::Row>,
            prepare: prepare::<T>,
            create: create::<T>,
        }
    }
}

fn prepare<T: Task>(args: &Args<'_>) -> Result {
    T::prepare(&parsed::<T>(args)?)
}

fn create<T: Task>(args: &Args<'_>, host: HostCalls) -> Result<Box<dyn ErasedTask>> {
    let columns = schema::columns::<T::Row>().map_err(Error::fatal)?;
    let task = T::new(parsed::<T>(args)?)?;
    Ok(Box::new(LiveTask::new(task, host, columns.len())))
}

fn parsed<T: Task>(args: &Args<'_>) -> Result<T::Args> {
    text::from_args(args).map_err(Error::fatal)
}
