//! What a check has found, as lines for people and as JSON for programs. *Pure*.

use std::fmt::Write as _;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Worth a look; it can be meant.
    Warn,
    /// A fault of the task.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    level: Level,
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

/// All that was found, in order.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    findings: Vec<Finding>,
}

impl Findings {
    /// Something is as it should be.
    pub(super) fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.findings.push(Finding { check, level: Level::Ok, message: message.into(), advice: None });
    }

    /// Something may be wrong.
    pub(super) fn warn(&mut self, check: &'static str, message: impl Into<String>, advice: &'static str) {
        let (level, advice) = (Level::Warn, Some(advice));
        self.findings.push(Finding { check, level, message: message.into(), advice });
    }

    /// Something is wrong.
    pub(super) fn fail(&mut self, check: &'static str, message: impl Into<String>, advice: &'static str) {
        let (level, advice) = (Level::Fail, Some(advice));
        self.findings.push(Finding { check, level, message: message.into(), advice });
    }

    /// Whether a fault was found.
    pub(super) fn has_failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.level == Level::Fail)
    }

    /// A line for each, with the advice below it.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for Finding { check, level, message, advice } in &self.findings {
            let word = match level {
                Level::Ok => "ok  ",
                Level::Warn => "warn",
                Level::Fail => "FAIL",
            };
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{word}  {check}: {}", message.replace('\n', " | "));
            if let Some(advice) = advice {
                let _ = writeln!(text, "      {advice}");
            }
        }
        text
    }
}
