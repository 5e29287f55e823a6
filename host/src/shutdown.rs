//! The signals that ask the program to stop. The first INT, HUP or TERM asks for a drain, the second for an
//! immediate end; what that means is up to the owner of the handle.

use std::sync::Arc;
use std::{fmt, fs, io};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit_code::ExitStatus;
use crate::owned_task::OwnedTask;

/// A signal that asks the program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// HUP: the terminal was closed.
    Hangup,
    /// INT: Ctrl-C.
    Interrupt,
    /// TERM: what `kill` and service managers send.
    Terminate,
}

impl StopSignal {
    /// The signal's number on Linux (signal(7)).
    fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }

    /// The exit status of a program that this signal stopped.
    pub(crate) fn exit_status(self) -> ExitStatus {
        ExitStatus::BySignal(self.number())
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hangup => "HUP",
            Self::Interrupt => "INT",
            Self::Terminate => "TERM",
        })
    }
}

/// The signals so far; only the first two have a meaning.
#[derive(Debug, Clone, Copy, Default)]
struct Received {
    first: Option<StopSignal>,
    second: Option<StopSignal>,
}

/// Knows whether the program was asked to stop. Clones see the same signals; when the last one is dropped,
/// the program stops listening.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    received: watch::Receiver<Received>,
    _listener: Option<Arc<OwnedTask<()>>>,
}

impl Shutdown {
    /// Starts to listen, which replaces the usual effect of the signals. A HUP that was ignored when the
    /// program began stays ignored: that is how `nohup` works.
    ///
    /// # Errors
    /// If the operating system refuses the handlers.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O driver on.
    pub(crate) fn listen() -> io::Result<Self> {
        let (trigger, mut shutdown) = Self::by_hand();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        let listener = OwnedTask::spawn(async move {
            loop {
                let signal = tokio::select! {
                    Some(()) = interrupt.recv() => StopSignal::Interrupt,
                    Some(()) = terminate.recv() => StopSignal::Terminate,
                    Some(()) = async { hangup.as_mut()?.recv().await }, if hangup.is_some() => StopSignal::Hangup,
                    else => return,
                };
                trigger.signal(signal);
            }
        });
        shutdown._listener = Some(Arc::new(listener));
        Ok(shutdown)
    }

    /// Waits until the program is asked to stop: nothing new should begin.
    pub(crate) async fn first(&self) -> StopSignal {
        self.wait(|received| received.first).await
    }

    /// Waits until the program is asked a second time: what is still running should be abandoned.
    pub(crate) async fn second(&self) -> StopSignal {
        self.wait(|received| received.second).await
    }

    /// A handle that sees the signals of its trigger.
    fn by_hand() -> (ShutdownTrigger, Self) {
        let (sender, received) = watch::channel(Received::default());
        (ShutdownTrigger(sender), Self { received, _listener: None })
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

/// Sends signals to a handle made [by hand](Shutdown::by_hand).
#[derive(Debug)]
struct ShutdownTrigger(watch::Sender<Received>);

impl ShutdownTrigger {
    /// Has the same effect as the signal itself.
    fn signal(&self, signal: StopSignal) {
        self.0.send_if_modified(|received| match received {
            Received { first: None, .. } => {
                tracing::info!(
                    "{signal} received, finishing what is in flight; a second signal stops at once"
                );
                received.first = Some(signal);
                true
            }
            Received { second: None, .. } => {
                tracing::warn!("{signal} received, stopping at once");
                received.second = Some(signal);
                true
            }
            _ => false,
        });
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
    use std::time::Duration;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;

    #[tokio::test]
    async fn the_first_signal_drains_and_the_second_stops() {
        let (trigger, shutdown) = Shutdown::by_hand();
        let other = shutdown.clone();
        let wait = tokio::time::timeout(Duration::from_millis(1), other.first());
        assert!(wait.await.is_err(), "no signal has come");
        trigger.signal(StopSignal::Interrupt);
        assert_eq!(shutdown.first().await, StopSignal::Interrupt);
        let wait = tokio::time::timeout(Duration::from_millis(1), other.second());
        assert!(wait.await.is_err(), "one signal is not two");
        trigger.signal(StopSignal::Terminate);
        trigger.signal(StopSignal::Hangup);
        assert_eq!(other.second().await, StopSignal::Terminate);
        assert_eq!(other.first().await, StopSignal::Interrupt);
    }

    #[tokio::test]
    async fn a_real_signal_is_heard() {
        let shutdown = Shutdown::listen().unwrap();
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
