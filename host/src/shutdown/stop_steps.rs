//! What follows from the signals that ask the program to stop, and from the time that passes after them.
//!
//! Pure: no I/O, no clock, no tokio.
//!
//! **Invariant:** once the program was asked to stop at once, its end follows, whatever it does meanwhile.

use std::time::Duration;

use super::stop_signal::StopSignal;

/// How long the program may take to stop at once. Killing workers and giving back rows takes milliseconds;
/// what takes longer waits for something that does not come, and the user has asked twice.
pub(super) const STOP_AT_ONCE_MAX: Duration = Duration::from_secs(1);

/// What the program must do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopStep {
    /// Begin nothing new, and finish what is in flight.
    Drain(StopSignal),
    /// Abandon what is in flight.
    StopAtOnce(StopSignal, StopCause),
    /// End, whatever is still open.
    End(StopSignal),
}

/// Why what is in flight is abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopCause {
    /// There was another signal.
    AskedAgain,
    /// It has taken this long.
    TookTooLong(Duration),
}

/// How far the program is on its way to its end.
#[derive(Debug)]
pub(super) struct StopSteps {
    /// How long a drain may take; `None` if someone else limits it.
    drain_limit: Option<Duration>,
    stage: Stage,
}

/// Where the program stands, and for how long.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Running,
    Draining(StopSignal, Duration),
    Stopping(StopSignal, Duration),
    Over,
}

impl StopSteps {
    /// Nothing has been asked.
    pub(super) fn new(drain_limit: Option<Duration>) -> Self {
        Self { drain_limit, stage: Stage::Running }
    }

    /// Whether only another signal brings the next step, and no time.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running)
    }

    /// A signal has come. Only the first two have a meaning.
    pub(super) fn on_signal(&mut self, signal: StopSignal) -> Option<StopStep> {
        match self.stage {
            Stage::Running => {
                self.stage = Stage::Draining(signal, Duration::ZERO);
                Some(StopStep::Drain(signal))
            }
            Stage::Draining(..) => Some(self.stop_at_once(signal, StopCause::AskedAgain)),
            Stage::Stopping(..) | Stage::Over => None,
        }
    }

    /// So much time has passed.
    pub(super) fn on_time(&mut self, passed: Duration) -> Option<StopStep> {
        match &mut self.stage {
            Stage::Draining(signal, so_far) => {
                *so_far += passed;
                let (signal, limit) = (*signal, self.drain_limit.filter(|limit| *so_far >= *limit)?);
                Some(self.stop_at_once(signal, StopCause::TookTooLong(limit)))
            }
            Stage::Stopping(signal, so_far) => {
                *so_far += passed;
                let signal = *signal;
                if *so_far < STOP_AT_ONCE_MAX {
                    return None;
                }
                self.stage = Stage::Over;
                Some(StopStep::End(signal))
            }
            Stage::Running | Stage::Over => None,
        }
    }

    fn stop_at_once(&mut self, signal: StopSignal, cause: StopCause) -> StopStep {
        self.stage = Stage::Stopping(signal, Duration::ZERO);
        StopStep::StopAtOnce(signal, cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH: Duration = Duration::from_millis(100);

    /// After how many tenths of a second the next step comes, and which it is.
    fn next(steps: &mut StopSteps) -> Option<(u32, StopStep)> {
        (1..10_000).find_map(|tenths| Some((tenths, steps.on_time(TENTH)?)))
    }

    #[test]
    fn the_first_signal_drains_and_the_second_ends_within_a_second() {
        let mut steps = StopSteps::new(None);
        assert!(steps.is_running() && next(&mut steps).is_none());
        assert_eq!(steps.on_signal(StopSignal::Interrupt), Some(StopStep::Drain(StopSignal::Interrupt)));
        assert_eq!(next(&mut steps), None, "this drain has no limit");
        let stop = StopStep::StopAtOnce(StopSignal::Terminate, StopCause::AskedAgain);
        assert_eq!(steps.on_signal(StopSignal::Terminate), Some(stop));
        assert_eq!(steps.on_signal(StopSignal::Hangup), None, "a third one changes nothing");
        assert_eq!(next(&mut steps), Some((10, StopStep::End(StopSignal::Terminate))));
        assert_eq!(next(&mut steps), None);
    }

    #[test]
    fn a_drain_that_takes_too_long_stops_as_at_a_second_signal() {
        let limit = Duration::from_secs(30);
        let mut steps = StopSteps::new(Some(limit));
        steps.on_signal(StopSignal::Terminate);
        let stop = StopStep::StopAtOnce(StopSignal::Terminate, StopCause::TookTooLong(limit));
        assert_eq!(next(&mut steps), Some((300, stop)));
        assert_eq!(next(&mut steps), Some((10, StopStep::End(StopSignal::Terminate))));
    }
}
