//! How long a run may stand still: within that time it ends, or it has said why it cannot.

use std::time::{Duration, Instant};

/// When a run says what it waits for, if nothing has ended (`host/src/standstill.rs`).
const SAYS_AFTER: Duration = Duration::from_secs(10);

/// What a run can wait for without a word, because it takes no longer than this: a goodbye that is not
/// answered (10 s), workers that do not stop (5 s), a registry that is locked (5 s, for each of the two
/// things that a run wants of it at its end).
const SILENT_WAITS: Duration = Duration::from_secs(25);

/// What a busy machine adds.
const SLACK: Duration = Duration::from_secs(25);

/// After so long without a word, a run is stuck.
const SAYS_MAX: Duration = SAYS_AFTER.saturating_add(SILENT_WAITS).saturating_add(SLACK);

/// What it takes to read a log whose reader has stopped.
const READS_FOR: Duration = Duration::from_secs(5);

/// A run that has said why it stands still is left alone for so long: the program may find a way out by
/// itself, such as another worker in the place of one that begins nothing for 10 s.
const WAY_OUT_AFTER: Duration = Duration::from_secs(20);

/// How often one should look.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What is in lines that say why a run stands still. Where the reader of the log had stopped, it may be among
/// those of which only the number is left.
const SAYS_WHY: [&str; 2] = ["nothing has ended for ", "lines were dropped here"];

/// What can be seen of a run from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Signs {
    /// Bytes of the file in which executions are noted.
    pub noted_bytes: u64,
    /// Bytes of the output and of the failed records: these grow only when something has ended.
    pub ended_bytes: u64,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It goes on, or may yet.
    GoesOn,
    /// It cannot go on, and has said why.
    HasSaidWhy(String),
    /// Nothing of what it may have said has been heard. Read what there is.
    HearsNothing,
    /// It has stood still for so long, and has said nothing.
    IsStuck(Duration),
}

/// A run that stood still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standstill {
    /// How.
    pub standing: Standing,
    /// How many things had been broken by then.
    pub after: usize,
}

/// Watches a run.
#[derive(Debug)]
pub(super) struct Patience {
    signs: Signs,
    changed: Instant,
    /// How much the run had said when something ended for the last time.
    said_bytes: usize,
}

impl Patience {
    /// From now on.
    pub(super) fn new(now: Instant) -> Self {
        Self { signs: Signs::default(), changed: now, said_bytes: 0 }
    }

    /// Begins anew: what held the run up is healed.
    pub(super) fn renew(&mut self, said: &str, now: Instant) {
        (self.changed, self.said_bytes) = (now, said.len());
    }

    /// Looks at a run that has not ended, which has said all this so far.
    pub(super) fn on_look(&mut self, signs: Signs, said: &str, now: Instant) -> Standing {
        if signs.ended_bytes != self.signs.ended_bytes {
            self.said_bytes = said.len();
        }
        if signs != self.signs {
            (self.signs, self.changed) = (signs, now);
        }
        let still = now.duration_since(self.changed);
        let since_then = said.get(self.said_bytes.min(said.len())..).unwrap_or_default();
        let why = since_then.lines().rfind(|line| SAYS_WHY.iter().any(|words| line.contains(words)));
        match why {
            Some(why) if still >= WAY_OUT_AFTER => Standing::HasSaidWhy(why.to_owned()),
            None if still >= SAYS_MAX + READS_FOR => Standing::IsStuck(still),
            None if still >= SAYS_MAX => Standing::HearsNothing,
            _ => Standing::GoesOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "warning: nothing has ended for 10s: the run has no node\n";

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_run_that_stands_still_and_says_nothing_is_stuck() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        let look = |patience: &mut Patience, seconds| {
            patience.on_look(Signs::default(), "a worker was lost\n", after(start, seconds))
        };
        assert_eq!(look(&mut patience, 59), Standing::GoesOn);
        assert_eq!(look(&mut patience, 60), Standing::HearsNothing);
        assert_eq!(look(&mut patience, 65), Standing::IsStuck(Duration::from_secs(65)));
    }

    #[test]
    fn a_run_that_has_said_why_has_time_to_find_a_way_out() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        assert_eq!(patience.on_look(Signs::default(), SAID, after(start, 19)), Standing::GoesOn);
        let why = Standing::HasSaidWhy(SAID.trim().to_owned());
        assert_eq!(patience.on_look(Signs::default(), SAID, after(start, 20)), why);
    }

    #[test]
    fn what_was_said_before_something_ended_does_not_count() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        let signs = Signs { noted_bytes: 7, ended_bytes: 7 };
        assert_eq!(patience.on_look(signs, SAID, start), Standing::GoesOn);
        let stuck = patience.on_look(signs, SAID, after(start, 65));
        assert_eq!(stuck, Standing::IsStuck(Duration::from_secs(65)));
        let signs = Signs { noted_bytes: 8, ..signs };
        assert_eq!(patience.on_look(signs, SAID, after(start, 65)), Standing::GoesOn);
    }
}
