//! The signals that ask the program to stop. The first INT, HUP or TERM asks for a drain, the second for an
//! immediate end; what that means is up to the owner of the handle. A drain that takes too long has the
//! effect of a second signal.
//!
//! **Invariant:** a second after the second signal the program is gone. What it waits for then, and whether
//! its runtime still runs, does not matter.

mod signal_thread;
mod stop_signal;
mod stop_steps;

use std::time::Duration;
use std::{fs, io, thread};

use tokio::sync::watch;

use stop_steps::{StopCause, StopStep, StopSteps};

pub(crate) use stop_signal::StopSignal;

/// How long the last line may take to come out, where someone reads it.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// The signals so far; only the first two have a meaning.
#[derive(Debug, Clone, Copy, Default)]
struct Received {
    first: Option<StopSignal>,
    second: Option<StopSignal>,
}

/// Knows whether the program was asked to stop. Clones see the same signals.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    received: watch::Receiver<Received>,
}

impl Shutdown {
    /// Starts to listen, for as long as the process lives, which replaces the usual effect of the signals. A
    /// HUP that was ignored when the program began stays ignored: that is how `nohup` works. A drain that
    /// takes longer than its limit is followed by what would follow a second signal.
    ///
    /// # Errors
    /// If the operating system refuses the handlers or their thread.
    pub(crate) fn listen(drain_limit: Option<Duration>) -> io::Result<Self> {
        let (trigger, shutdown) = Self::by_hand();
        let ignored = if hangup_is_ignored() { Some(StopSignal::Hangup) } else { None };
        let heard = StopSignal::ALL.into_iter().filter(|signal| Some(*signal) != ignored);
        signal_thread::start(heard, StopSteps::new(drain_limit), move |step| trigger.take(step))?;
        Ok(shutdown)
    }

    /// Waits until the program is asked to stop: nothing new should begin.
    pub(crate) async fn first(&self) -> StopSignal {
        self.wait(|received| received.first).await
    }

    /// Waits until the program is asked a second time, or its drain has taken too long: what is still running
    /// should be abandoned.
    pub(crate) async fn second(&self) -> StopSignal {
        self.wait(|received| received.second).await
    }

    /// A handle that sees the steps of its trigger.
    pub(crate) fn by_hand() -> (ShutdownTrigger, Self) {
        let (sender, received) = watch::channel(Received::default());
        (ShutdownTrigger(sender), Self { received })
    }

    /// Waits for ever if no signal can come any more.
    async fn wait(&self, pick: impl Fn(&Received) -> Option<StopSignal>) -> StopSignal {
        let mut received = self.received.clone();
        let signal =
            received.wait_for(|received| pick(received).is_some()).await.ok().and_then(|found| pick(&found));
        match signal {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// Makes a handle see what follows from signals.
#[derive(Debug)]
pub(crate) struct ShutdownTrigger(watch::Sender<Received>);

impl ShutdownTrigger {
    /// Has the effect of a first signal.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn drain(&self, signal: StopSignal) {
        self.take(StopStep::Drain(signal));
    }

    fn take(&self, step: StopStep) {
        match step {
            StopStep::Drain(signal) => {
                tracing::info!(
                    "{signal} received, finishing what is in flight; a second signal stops at once"
                );
                self.0.send_modify(|received| received.first = Some(signal));
            }
            StopStep::StopAtOnce(signal, cause) => {
                match cause {
                    StopCause::AskedAgain => tracing::warn!("{signal} received, stopping at once"),
                    StopCause::TookTooLong(limit) => tracing::warn!(
                        "what is in flight has taken longer than {} (--drain-timeout), stopping at once",
                        humantime::format_duration(limit)
                    ),
                }
                self.0.send_modify(|received| received.second = Some(signal));
            }
            StopStep::End(signal) => {
                tracing::warn!("not everything could be put away within a second; the rest is left as it is");
                thread::sleep(LAST_WORDS);
                signal_hook::low_level::exit(i32::from(signal.exit_status().number()));
            }
        }
    }
}

/// Asking the kernel through `sigaction` would need unsafe code; `/proc` has the answer too (Linux, proc(5)).
/// If it cannot be read, HUP counts as not ignored.
fn hangup_is_ignored() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, StopSignal::Hangup))
}

/// Whether the mask of ignored signals in a process's status contains the signal; signal 1 is the lowest bit.
fn ignores(status: &str, signal: StopSignal) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << (signal.number() - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;

    #[tokio::test]
    async fn the_first_step_drains_and_the_second_stops() {
        let (trigger, shutdown) = Shutdown::by_hand();
        let other = shutdown.clone();
        let wait = tokio::time::timeout(Duration::from_millis(1), other.first());
        assert!(wait.await.is_err(), "no signal has come");
        trigger.take(StopStep::Drain(StopSignal::Interrupt));
        assert_eq!(shutdown.first().await, StopSignal::Interrupt);
        let wait = tokio::time::timeout(Duration::from_millis(1), other.second());
        assert!(wait.await.is_err(), "one signal is not two");
        trigger.take(StopStep::StopAtOnce(StopSignal::Terminate, StopCause::AskedAgain));
        assert_eq!(other.second().await, StopSignal::Terminate);
        assert_eq!(other.first().await, StopSignal::Interrupt);
    }

    #[tokio::test]
    async fn a_real_signal_is_heard() {
        let shutdown = Shutdown::listen(None).unwrap();
        kill(Pid::this(), Signal::SIGTERM).unwrap();
        assert_eq!(shutdown.first().await, StopSignal::Terminate);
        assert_eq!(shutdown.first().await.exit_status().number(), 143);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_sender_no_signal_ever_comes() {
        let (trigger, shutdown) = Shutdown::by_hand();
        drop(trigger);
        assert!(tokio::time::timeout(Duration::from_secs(3600), shutdown.first()).await.is_err());
    }

    #[test]
    fn an_ignored_hangup_is_seen() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
        assert!(ignores(&status("0000000000001001"), StopSignal::Hangup));
        assert!(!ignores(&status("0000000000001000"), StopSignal::Hangup));
        assert!(!ignores("Name:\tx\n", StopSignal::Hangup));
    }
}
