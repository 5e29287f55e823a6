//! A thread that hears the signals, and sees to it that what follows from them comes in time. It needs no
//! runtime: signals are heard and obeyed even while the runtime's thread is blocked, or gone.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::low_level::pipe;

use super::stop_signal::StopSignal;
use super::stop_steps::{StopStep, StopSteps};
use crate::own_time::OwnTime;

/// How often the time is looked at once a signal has come: often enough that limits of a second are kept.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One signal, and where it can be read that it came.
struct Ear {
    signal: StopSignal,
    socket: UnixStream,
}

/// Starts to hear these signals, in place of their usual effect, for as long as the process lives. Each step
/// that follows is handed to `take`.
///
/// # Errors
/// If the operating system refuses the handlers or the thread.
pub(super) fn start(
    signals: impl IntoIterator<Item = StopSignal>,
    steps: StopSteps,
    take: impl FnMut(StopStep) + Send + 'static,
) -> io::Result<()> {
    let ears = signals.into_iter().map(Ear::new).collect::<io::Result<Vec<_>>>()?;
    // Never joined: it ends with the process.
    thread::Builder::new().name("signals".to_owned()).spawn(move || listen(&ears, steps, take))?;
    Ok(())
}

fn listen(ears: &[Ear], mut steps: StopSteps, mut take: impl FnMut(StopStep)) {
    let mut own_time = OwnTime::new(Instant::now());
    loop {
        wait(ears, if steps.is_running() { None } else { Some(LOOK_EVERY) });
        // The time that has passed was that of the stage before.
        steps.on_time(own_time.on_look(LOOK_EVERY, Instant::now())).into_iter().for_each(&mut take);
        let heard = ears.iter().flat_map(|ear| std::iter::repeat_n(ear.signal, ear.heard()));
        heard.filter_map(|signal| steps.on_signal(signal)).for_each(&mut take);
    }
}

/// Waits until a signal comes, for so long at most. What goes wrong shows as nothing heard.
fn wait(ears: &[Ear], at_most: Option<Duration>) {
    let mut fds: Vec<_> = ears.iter().map(|ear| PollFd::new(ear.socket.as_fd(), PollFlags::POLLIN)).collect();
    let timeout = at_most.and_then(|time| PollTimeout::try_from(time).ok()).unwrap_or(PollTimeout::NONE);
    if let Err(error) = poll(&mut fds, timeout)
        && error != Errno::EINTR
    {
        thread::sleep(LOOK_EVERY);
    }
}

impl Ear {
    fn new(signal: StopSignal) -> io::Result<Self> {
        let (socket, bell) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        pipe::register(i32::from(signal.number()), bell)?;
        Ok(Self { signal, socket })
    }

    /// How often it has come since the last look.
    fn heard(&self) -> usize {
        let mut bytes = [0; 16];
        (&self.socket).read(&mut bytes).unwrap_or(0)
    }
}
