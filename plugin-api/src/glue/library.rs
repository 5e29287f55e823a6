//! What a plugin consists of, as the `export!` macro describes it.

use super::TaskEntry;
use crate::{Error, Partitioner, Result};

/// One partitioner under its name.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations)]
pub struct PartitionerEntry {
    /// The name, as in `--partition-by FILE:NAME`.
    pub name: &'static str,
    /// The partitioner, which computes the keys.
    pub partitioner: &'static dyn Partitioner,
}

/// A plugin's contents. The entry points are generic over it, so that they need no global state, and so that
/// several plugins can be linked into one program (a test).
pub trait Library: 'static {
    /// The author's package.
    const PACKAGE: &'static str;
    /// Its version.
    const VERSION: &'static str;

    /// The tasks, in the order of the macro.
    fn tasks() -> &'static [TaskEntry];

    /// The partitioners, in the order of the macro.
    fn partitioners() -> &'static [PartitionerEntry];
}

/// The task of that name; an empty name means the only one.
pub(crate) fn find_task<L: Library>(name: &str) -> Result<&'static TaskEntry> {
    match L::tasks() {
        [only] if name.is_empty() => Ok(only),
        tasks => tasks.iter().find(|task| task.name == name).ok_or_else(|| no_task::<L>(name)),
    }
}

fn no_task<L: Library>(name: &str) -> Error {
    let names: Vec<_> = L::tasks().iter().map(|task| task.name).collect();
    match (names.as_slice(), name) {
        ([], _) => Error::fatal(format_args!("{} has no tasks", L::PACKAGE)),
        (names, "") => {
            Error::fatal(format_args!("{} has several tasks; name one of: {}", L::PACKAGE, names.join(", ")))
        }
        (names, name) => {
            Error::fatal(format_args!("no task `{name}` in {}; it has: {}", L::PACKAGE, names.join(", ")))
        }
    }
}
