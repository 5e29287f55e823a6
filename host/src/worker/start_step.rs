//! The steps in which a worker gets ready, in words for the user.

use std::fmt;

/// What a worker that starts is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartStep {
    /// Load the library, which runs its initialisers.
    Load,
    /// Call the task's `prepare`.
    Prepare,
    /// Call the task's `new`.
    Create,
}

impl StartStep {
    /// What the process did, before the words "the library".
    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Load => "loaded",
            Self::Prepare => "prepared",
            Self::Create => "created the task of",
        }
    }

    /// Whose code runs in it.
    pub(super) fn culprit(self) -> &'static str {
        match self {
            Self::Load => "its initialisers",
            Self::Prepare => "`prepare`",
            Self::Create => "`new`",
        }
    }
}

impl fmt::Display for StartStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "loading it",
            Self::Prepare => "the `prepare` of its task",
            Self::Create => "the `new` of its task",
        })
    }
}
