//! The last line of a run, for people, and the same for programs.

use std::time::Duration;

use serde::Serialize;

use crate::exit_code::ExitStatus;
use crate::master::run_end::{RunEnd, RunReport};

/// The shortest time that a run counts as having taken: the rate is divided by it.
const ELAPSED_MIN: Duration = Duration::from_nanos(1);

/// What is left to say when a run is over.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    read: u64,
    done: u64,
    failed: u64,
    /// Read, but neither done nor failed: the run ended before.
    unfinished: u64,
    retried: u64,
    /// Records of those above that an earlier run with the same journal has finished.
    resumed: u64,
    nodes_used: usize,
    nodes_lost: usize,
    seconds: f64,
    records_per_second: f64,
    /// Whether everything read is done or failed, and nothing was left unread.
    complete: bool,
    exit_status: u8,
}

impl Summary {
    /// Sums a run up.
    pub(crate) fn new(report: &RunReport, elapsed: Duration) -> Self {
        let counts = report.counts;
        let seconds = elapsed.max(ELAPSED_MIN).as_secs_f64();
        Self {
            read: counts.read,
            done: counts.done,
            failed: counts.failed,
            unfinished: counts.read - counts.done - counts.failed,
            retried: counts.retried,
            resumed: counts.resumed,
            nodes_used: report.nodes_used,
            nodes_lost: report.nodes_lost,
            seconds,
            records_per_second: (counts.done + counts.failed - counts.resumed) as f64 / seconds.max(1e-9),
            complete: matches!(report.end, RunEnd::Finished),
            exit_status: exit_status(report).number(),
        }
    }

    /// For programs.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers can be written as JSON") + "\n"
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { read, done, failed, unfinished, retried, resumed, .. } = self;
        let Self { nodes_used, nodes_lost, seconds, .. } = self;
        write!(f, "{} read, {done} done, {failed} failed, ", counted(*read, "record"))?;
        if *unfinished > 0 {
            write!(f, "{unfinished} unfinished, ")?;
        }
        if *resumed > 0 {
            write!(f, "{resumed} resumed, ")?;
        }
        write!(f, "{retried} retried; {} used, {nodes_lost} lost; ", counted(*nodes_used as u64, "node"))?;
        write!(f, "{seconds:.3} s, {:.0} records/s", self.records_per_second)
    }
}

/// «1 record», «2 records».
fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// What the program's exit status says of a run.
pub(crate) fn exit_status(report: &RunReport) -> ExitStatus {
    /// SIGPIPE: what a filter ends with when its reader is gone.
    const PIPE: u8 = 13;
    match &report.end {
        // Some records are done whose rows are not where they should be.
        RunEnd::Finished if !report.sinks.problems.is_empty() => ExitStatus::CannotGoOn,
        RunEnd::Finished if report.counts.failed == 0 => ExitStatus::Done,
        RunEnd::Finished => ExitStatus::SomeFailed,
        RunEnd::Drained(signal) | RunEnd::Stopped(signal) => signal.exit_status(),
        RunEnd::OutputClosed => ExitStatus::BySignal(PIPE),
        RunEnd::CannotGoOn(_) | RunEnd::InputFailed(_) => ExitStatus::CannotGoOn,
        RunEnd::OtherRun(_) => ExitStatus::Usage,
        RunEnd::NoNode(_) => ExitStatus::NoNode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::decisions::Counts;
    use crate::master::run_end::SinkNews;

    fn summary(counts: Counts, end: RunEnd) -> Summary {
        let report = RunReport {
            end,
            counts,
            nodes_used: 1,
            nodes_lost: 0,
            can_be_resumed: false,
            sinks: SinkNews::default(),
        };
        Summary::new(&report, Duration::from_secs(2))
    }

    #[test]
    fn the_last_line_adds_up() {
        let counts = Counts { read: 4, done: 3, failed: 1, retried: 2, resumed: 0 };
        let summary = summary(counts, RunEnd::Finished);
        assert_eq!(
            summary.to_string(),
            "4 records read, 3 done, 1 failed, 2 retried; 1 node used, 0 lost; 2.000 s, 2 records/s"
        );
        assert_eq!(summary.exit_status, 1);
    }

    #[test]
    fn what_an_earlier_run_has_finished_is_said_and_no_work_of_this_one() {
        let counts = Counts { read: 10, done: 9, failed: 1, retried: 0, resumed: 6 };
        assert_eq!(
            summary(counts, RunEnd::Finished).to_string(),
            "10 records read, 9 done, 1 failed, 6 resumed, 0 retried; 1 node used, 0 lost; 2.000 s, 2 records/s"
        );
    }

    #[test]
    fn what_was_left_is_said() {
        let counts = Counts { read: 1, ..Counts::default() };
        let text = summary(counts, RunEnd::CannotGoOn(String::new())).to_string();
        assert!(text.starts_with("1 record read, 0 done, 0 failed, 1 unfinished, "), "{text}");
    }
}
