//! Which run a journal belongs to: what must stay the same when a run goes on, because otherwise the sequence
//! numbers or the output would mean something else. Pure.

use serde::{Deserialize, Serialize};

use super::error::Difference;
use crate::build::Build;
use crate::plugin::TaskOutput;
use crate::wire::Welcome;

/// Letters of a version that a message shows. Other machines have sent it.
const NAME_SHOWN: usize = 100;

/// What is known of a run before any node takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunIdentity {
    /// The word for the input's format.
    pub format: String,
    /// The longest record, where the limit decides how records are cut: in csv.
    pub record_bytes_max: Option<u64>,
    /// Rows come out in the order of the input.
    pub keep_order: bool,
    /// The word for the rows' format.
    pub output_format: String,
    /// The first line of the output names the columns.
    pub header: bool,
    /// What makes records belong together, in a partitioned run.
    pub partition_by: Option<String>,
    /// The file of the rows, as the user named it.
    pub output: String,
    /// The file of the failed records, as the user named it.
    pub failed: Option<String>,
    /// What is read, in order.
    pub inputs: Vec<InputIdentity>,
}

/// One input, by what tells it from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InputIdentity {
    /// What the user called it.
    pub name: String,
    /// Its bytes, if it is a regular file.
    pub bytes: Option<u64>,
    /// When it was changed last, in nanoseconds since 1970, if it is a regular file.
    pub modified_ns: Option<i64>,
}

/// The task of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskIdentity {
    /// Its name.
    pub name: String,
    /// The version of its library.
    pub version: String,
    /// What it writes.
    pub output: TaskOutput,
    /// The build of its library.
    pub build: Build,
}

impl RunIdentity {
    /// Checks that this is the run that the journal was begun for.
    ///
    /// # Errors
    /// The first difference.
    pub(crate) fn check(&self, earlier: &Self) -> Result<(), Difference> {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        let number = |value: &Option<u64>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
        same("--format", &earlier.format, &self.format)?;
        same("--max-record-bytes", &number(&earlier.record_bytes_max), &number(&self.record_bytes_max))?;
        same("--keep-order", &earlier.keep_order, &self.keep_order)?;
        same("--output-format", &earlier.output_format, &self.output_format)?;
        same("--header", &earlier.header, &self.header)?;
        same("--partition-by", &text(&earlier.partition_by), &text(&self.partition_by))?;
        same("--output", &earlier.output, &self.output)?;
        same("--failed", &text(&earlier.failed), &text(&self.failed))?;
        same("the number of inputs", &earlier.inputs.len(), &self.inputs.len())?;
        self.inputs.iter().zip(&earlier.inputs).try_for_each(|(now, earlier)| now.check(earlier))
    }
}

impl InputIdentity {
    fn check(&self, earlier: &Self) -> Result<(), Difference> {
        same("an input", &earlier.name, &self.name)?;
        let size = |bytes: &Option<u64>| {
            bytes.map_or_else(|| "no size".to_owned(), |bytes| format!("{bytes} bytes"))
        };
        same(&format!("the size of {}", self.name), &size(&earlier.bytes), &size(&self.bytes))?;
        let time = |ns: &Option<i64>| ns.map_or_else(|| "no time".to_owned(), in_utc);
        same(
            &format!("the time of change of {}", self.name),
            &time(&earlier.modified_ns),
            &time(&self.modified_ns),
        )
    }
}

impl TaskIdentity {
    /// The task of a slave.
    pub(crate) fn of(welcome: &Welcome) -> Self {
        Self {
            name: welcome.task.clone(),
            version: welcome.task_version.clone(),
            output: welcome.output.clone(),
            build: welcome.build,
        }
    }

    /// Checks that the journal was begun for a task that writes the same, with `same_version` also that it is
    /// of the same build.
    ///
    /// # Errors
    /// The difference.
    pub(crate) fn check(&self, earlier: &Self, same_version: bool) -> Result<(), Difference> {
        same("the task", &earlier.name, &self.name)?;
        if let Some(columns) = earlier.output.difference(&self.output, ("in the journal", "now")) {
            return Err(Difference::OfColumns(columns));
        }
        if same_version {
            same("the build of the task (--same-version)", &earlier.build, &self.build)?;
        }
        Ok(())
    }

    /// What the log says of a task that goes on with another build than it began with.
    pub(crate) fn other_build(&self, earlier: &Self) -> Option<String> {
        (self.build != earlier.build).then(|| {
            let shown = |task: &Self| format!("version {:.NAME_SHOWN$}, {}", task.version, task.build);
            let (earlier, now) = (shown(earlier), shown(self));
            format!("the journal was begun with another build of the task ({earlier}); the columns are the same, so it \
                     goes on with this one ({now})")
        })
    }
}

fn same<T: PartialEq + ToString>(what: &str, earlier: &T, now: &T) -> Result<(), Difference> {
    if earlier == now {
        return Ok(());
    }
    Err(Difference::of(what, earlier.to_string(), now.to_string()))
}

/// A time as people write it, exact to the nanosecond; before 1970 only as a number.
fn in_utc(ns: i64) -> String {
    match u64::try_from(ns) {
        Ok(ns) => {
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(ns);
            humantime::format_rfc3339_nanos(time).to_string()
        }
        Err(_) => format!("{ns} ns"),
    }
}
