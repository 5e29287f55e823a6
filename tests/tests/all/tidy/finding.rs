//! What breaks a rule, and how a test fails about it.

use std::fmt::{self, Display};

/// A place that breaks a rule.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    /// The file, from the root of the workspace.
    pub path: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is there.
    pub what: String,
}

impl Finding {
    pub(super) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Fails if a rule is broken anywhere: shows where, and says how to mend it.
#[track_caller]
pub(super) fn expect_none(mend: &str, found: impl IntoIterator<Item = Finding>) {
    let wrong: Vec<_> = found.into_iter().map(|found| found.to_string()).collect();
    assert!(wrong.is_empty(), "{}\n\n{mend}\n", wrong.join("\n"));
}
