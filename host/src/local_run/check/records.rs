//! What became of the records of a sample, in words. *Pure*.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::finding::Findings;
use crate::limits::FORGOTTEN;

/// Messages of failures that are shown of each kind: the first ones say what the others would.
const MESSAGES_SHOWN: usize = 3;

/// A line of the failed records.
#[derive(Debug, Deserialize)]
pub(super) struct FailedLine {
    /// Its place, from 0.
    pub seq: u64,
    /// The word for what happened.
    pub reason: String,
    /// What was said.
    pub message: String,
}

/// Says how many of `read` records are done, and what became of the others.
pub(super) fn judge(
    input: Option<&Path>,
    (done, read): (u64, u64),
    failed: &[FailedLine],
    findings: &mut Findings,
) {
    let mut kinds: BTreeMap<&str, Vec<&FailedLine>> = BTreeMap::new();
    for failed in failed {
        let is_forgotten = failed.message == FORGOTTEN;
        kinds.entry(if is_forgotten { "forgotten" } else { &failed.reason }).or_default().push(failed);
    }
    let which = match input {
        Some(path) => format!("of {}", path.display()),
        None => "built in (words, numbers, fields, an address, an empty one)".to_owned(),
    };
    let said = format!("{done} of {read} records {which} are done");
    if done == 0 {
        let advice = "Give an INPUT with records that the task is made for.";
        findings.warn("records", said, advice);
    } else {
        findings.ok("records", said);
    }
    for (kind, failed) in kinds {
        let messages = failed.iter().take(MESSAGES_SHOWN);
        let messages: Vec<_> =
            messages.map(|one| format!("record {}: {}", one.seq + 1, one.message)).collect();
        let said = format!("{}; {}", failed.len(), messages.join("; "));
        match kind {
            "forgotten" => findings.fail(
                "held",
                said,
                "Finish every held record in `flush(last = true)`, with `Output::done` or `Output::fail`.",
            ),
            "panic" => findings.fail(
                "panic",
                said,
                "Return `Error::reject` for a bad record; a panic costs a worker.",
            ),
            "crash" => {
                findings.fail("crash", said, "The process died; look at unsafe code, C libraries and `exit`.")
            }
            "timeout" => {
                findings.fail("timeout", said, "Give calls a limit of their own, or raise --record-timeout.")
            }
            "rejected" => {
                findings.warn("rejected", said, "Right for bad records. Try an INPUT of good ones, too.")
            }
            "error" => {
                findings.warn("error", said, "A run would have tried again. Is the failure a passing one?")
            }
            _ => findings.warn("failed", said, "See the reasons in docs/failed-records.md."),
        }
    }
}
