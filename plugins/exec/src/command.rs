//! The command that the user named: what is started, and what its end means.

use std::io;

use simplegrid_child_process::LastWords;
use simplegrid_plugin_api::{Error, Result};

use crate::Args;
use crate::template::{Call, Template};
use crate::verdict::{self, Ending, Rules};

/// A command with the rules for its exit statuses.
#[derive(Debug)]
pub(crate) struct Command {
    template: Template,
    rules: Rules,
}

impl Command {
    /// What the user said.
    ///
    /// # Errors
    /// If it makes no sense, or there is no such command.
    pub(crate) fn of(args: &Args) -> Result<Self> {
        Ok(Self { template: Template::of(args)?, rules: Rules::of(args)? })
    }

    /// What is started for one record.
    ///
    /// # Errors
    /// If the record cannot be an argument.
    pub(crate) fn call<'a>(&'a self, record: &'a [u8]) -> Result<Call<'a>> {
        self.template.call(record)
    }

    /// What is started for records that are read.
    pub(crate) fn call_for_many(&self) -> Call<'_> {
        self.template.call_for_many()
    }

    /// What the end of the command means.
    ///
    /// # Errors
    /// If it failed.
    pub(crate) fn judge(&self, ending: Ending, last_words: &LastWords) -> Result {
        self.rules.judge(self.template.text(), ending, last_words)
    }

    /// A message about the command.
    pub(crate) fn said(&self, what: &str, last_words: &LastWords) -> String {
        verdict::said(self.template.text(), what, last_words)
    }

    /// What it means that the command could not be started.
    pub(crate) fn not_started(&self, error: &io::Error) -> Error {
        verdict::not_started(self.template.text(), error)
    }
}
