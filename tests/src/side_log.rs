//! What the task `hostile` has executed, as noted by `hostile-plugin/src/side_log.rs`.

use std::collections::BTreeMap;

/// Executions in the order in which they began.
#[derive(Debug, Clone, Default)]
pub struct SideLog(Vec<(String, u32)>);

impl SideLog {
    pub(crate) fn parse(file: &[u8]) -> Self {
        // The last line may still be incomplete.
        let end = file.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let text = String::from_utf8_lossy(&file[..end]);
        let execution = |line: &str| {
            let (record, pid) = line.rsplit_once('\t').expect("a tab is before the process");
            (record.to_owned(), pid.parse().expect("a process is a number"))
        };
        Self(text.lines().map(execution).collect())
    }

    /// How often a record was executed.
    pub fn count(&self, record: &str) -> usize {
        self.0.iter().filter(|(executed, _)| executed == record).count()
    }

    /// The worker that executed a record last.
    pub fn last_worker(&self, record: &str) -> Option<i32> {
        let (_, pid) = self.0.iter().rev().find(|(executed, _)| executed == record)?;
        i32::try_from(*pid).ok()
    }

    /// How many executions there were.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was executed, in the order in which it began.
    pub fn records(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(record, _)| record.as_str())
    }

    /// What was executed, and by which worker, in the order in which it began.
    pub fn executions(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(|(record, worker)| (record.as_str(), *worker))
    }

    /// What each worker executed, in its order.
    pub fn by_worker(&self) -> BTreeMap<u32, Vec<&str>> {
        let mut workers: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for (record, pid) in &self.0 {
            workers.entry(*pid).or_default().push(record);
        }
        workers
    }
}
