//! Pure: what the end of a command means for its record.

use std::io::{self, ErrorKind};

use simplegrid_child_process::{End, Heard, LastWords};
use simplegrid_plugin_api::{Error, Result};

use crate::Args;
use crate::statuses::Statuses;

/// `EX_TEMPFAIL` of `sysexits.h`: a program says with it that another try may help.
const TEMPFAIL: u8 = 75;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The talk with it.
    pub(crate) heard: Heard,
    /// Its process.
    pub(crate) end: End,
}

/// Which exit statuses mean what.
#[derive(Debug)]
pub(crate) struct Rules {
    retry: Statuses,
    reject: Statuses,
}

impl Rules {
    /// What the user said.
    ///
    /// # Errors
    /// If it contradicts itself.
    pub(crate) fn of(args: &Args) -> Result<Self> {
        let retry = args.retry_status.clone().unwrap_or(Statuses::These([TEMPFAIL].into()));
        let reject = args.reject_status.clone().unwrap_or(Statuses::These([].into()));
        if let Some(status) = retry.in_both(&reject) {
            return Err(Error::fatal(format_args!(
                "exit status {status} is in `retry-status` and in `reject-status`"
            )));
        }
        if retry == Statuses::Any && reject == Statuses::Any {
            return Err(Error::fatal("`retry-status` and `reject-status` cannot both be `any`"));
        }
        Ok(Self { retry, reject })
    }

    /// How the record ended.
    ///
    /// # Errors
    /// If it failed.
    pub(crate) fn judge(&self, command: &str, ending: Ending, last_words: &LastWords) -> Result {
        let because = |what: String| said(command, &what, last_words);
        match (ending.heard, ending.end) {
            (Heard::TimedOut, _) => {
                Err(Error::retry(because("took longer than `timeout` allows".to_owned())))
            }
            (Heard::Stopping, _) => {
                Err(Error::retry(because("was ended, because the grid is shutting down".to_owned())))
            }
            (_, End::Exited(0)) => Ok(()),
            (_, End::Exited(status)) => {
                let message = because(format!("ended with exit status {status}"));
                Err(if self.may_retry(status) { Error::retry(message) } else { Error::reject(message) })
            }
            (_, End::Signaled(signal)) => Err(Error::retry(because(format!("was ended by signal {signal}")))),
        }
    }

    /// A list that names the status wins over one that says `any`.
    fn may_retry(&self, status: u8) -> bool {
        self.retry.names(status) || (self.retry == Statuses::Any && !self.reject.names(status))
    }
}

/// A message about a command, with its last words.
pub(crate) fn said(command: &str, what: &str, last_words: &LastWords) -> String {
    match last_words.text() {
        None => format!("`{command}` {what}"),
        Some(words) => format!("`{command}` {what}: {words}"),
    }
}

/// What it means for a record that its command could not be started.
pub(crate) fn not_started(command: &str, error: &io::Error) -> Error {
    let message = format!("`{command}` could not be started: {error}");
    match error.kind() {
        ErrorKind::ArgumentListTooLong => Error::reject(format!(
            "{message}: the record is too long for an argument; leave out `{{}}`, and it is read"
        )),
        // It may pass: too many processes, or no memory.
        ErrorKind::WouldBlock | ErrorKind::OutOfMemory => Error::retry(message),
        _ => Error::fatal(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(retry: Option<&str>, reject: Option<&str>) -> Result<Rules> {
        Rules::of(&Args {
            command: "x".into(),
            retry_status: retry.map(|list| list.parse().unwrap()),
            reject_status: reject.map(|list| list.parse().unwrap()),
            ..Args::default()
        })
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (retry, reject, retried, not) in [
            (None, None, vec![75], vec![1, 2, 255]),
            (Some("1,2"), None, vec![1, 2], vec![75, 3]),
            (Some("any"), None, vec![1, 75, 255], vec![]),
            (Some("any"), Some("1"), vec![2, 75], vec![1]),
            (None, Some("any"), vec![75], vec![1]),
        ] {
            let rules = rules(retry, reject).unwrap();
            assert!(retried.iter().all(|&status| rules.may_retry(status)), "{retry:?} {reject:?}");
            assert!(!not.iter().any(|&status| rules.may_retry(status)), "{retry:?} {reject:?}");
        }
    }

    #[test]
    fn rules_that_contradict_themselves_are_refused() {
        assert!(rules(Some("1,2"), Some("2")).unwrap_err().to_string().contains("exit status 2 is in"));
        assert!(rules(None, Some("75")).unwrap_err().to_string().contains("exit status 75 is in"));
        assert!(rules(Some("any"), Some("any")).is_err());
    }
}
