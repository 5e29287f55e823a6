//! A talk with a command: gives it what it is to read, and takes what it writes, both at once, so that
//! neither side ever waits for the other.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use rustix::io::ioctl_fionread;
use simplegrid_plugin_api::Result;

use crate::household::{Child, Household, wait_for, watched};
use crate::last_words::LastWords;

/// Bytes that are read at once: what a pipe holds, unless it was made larger.
const READ_BYTES: usize = 64 << 10;

/// How often the listener is asked whether to stop, while the command is silent.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a command may still take once the grid is shutting down: most are done by then, and a slave waits
/// longer than this.
const STOPPING_GRACE: Duration = Duration::from_secs(5);

/// What someone who listens to a command makes of what it writes.
pub trait Listener {
    /// Takes some bytes of its standard output, cut anywhere.
    ///
    /// # Errors
    /// The talk ends with it, and the command still runs.
    fn hear(&mut self, bytes: &[u8]) -> Result<Step>;

    /// Whether the grid is shutting down. The talk then ends soon.
    fn stopping(&self) -> bool;
}

/// What the last bytes were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A piece of something.
    Piece,
    /// The end of something: a silence begins anew.
    Whole,
    /// All that the listener wants to hear.
    Enough,
}

/// How long a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As long as it wants.
    Endless,
    /// So long for all.
    Total(Duration),
    /// So long without reading anything, or writing a whole of something.
    Silence(Duration),
}

/// What follows what the command is given to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The end of its standard input.
    Close,
    /// More, in the next talk.
    More,
}

/// How a talk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The listener has heard enough. The command had so many bytes still to be given.
    Enough {
        /// Of the input; 0 if it was given everything.
        unsent: usize,
    },
    /// The command has ended, and everything that it wrote has been taken.
    Everything,
    /// The command took too long.
    TimedOut,
    /// The grid is shutting down, and the command took too long for that.
    Stopping,
}

/// Buffers that are used for one talk after the other.
#[derive(Debug)]
pub struct Conversation {
    buffer: Box<[u8]>,
    last_words: LastWords,
}

impl Default for Conversation {
    fn default() -> Self {
        Self { buffer: vec![0; READ_BYTES].into(), last_words: LastWords::default() }
    }
}

impl Conversation {
    /// What the command has said on its standard error in the last talk.
    pub fn last_words(&self) -> &LastWords {
        &self.last_words
    }

    /// Writes `input` to the command while it listens, until the listener has heard enough or the command has
    /// ended. A command need not read what it is given.
    ///
    /// # Errors
    /// Those of the system and of the listener. The command still runs then.
    pub fn talk(
        &mut self,
        child: &mut Child,
        household: &Household,
        mut input: &[u8],
        then: Then,
        patience: Patience,
        listener: &mut impl Listener,
    ) -> Result<Heard> {
        self.last_words.clear();
        let heard = self.exchange(child, household.errors(), &mut input, then, patience, listener);
        self.take_errors(household.errors())?;
        self.last_words.finish();
        heard
    }

    fn exchange(
        &mut self,
        child: &mut Child,
        errors: &File,
        input: &mut &[u8],
        then: Then,
        patience: Patience,
        listener: &mut impl Listener,
    ) -> Result<Heard> {
        let mut clock = Clock::start(patience);
        let mut output_open = true;
        loop {
            // Little input fits into the pipe, so this is over before the command has begun.
            let left = input.len();
            let is_given = give(child, input, then)?;
            if input.len() < left {
                clock.on_progress();
            }
            let ended = loop {
                if let Some(heard) = clock.on_look(listener) {
                    return Ok(heard);
                }
                if let Some(ended) = wait(child, errors, output_open, is_given, clock.next_look())? {
                    break ended;
                }
            };
            if ended {
                return self.take_rest(child, errors, listener);
            }
            // One piece at a time, so that a flood does not keep the talk from ending.
            match read(&mut child.output, &mut self.buffer)? {
                Some(0) => output_open = false,
                Some(bytes) => match listener.hear(&self.buffer[..bytes])? {
                    Step::Enough => return Ok(Heard::Enough { unsent: input.len() }),
                    Step::Whole => clock.on_progress(),
                    Step::Piece => {}
                },
                None => {}
            }
            self.take_errors(errors)?;
        }
    }

    /// Takes what a command has written before it ended. What processes that it has left behind may still
    /// write is not waited for.
    fn take_rest(&mut self, child: &mut Child, errors: &File, listener: &mut impl Listener) -> Result<Heard> {
        self.take_errors(errors)?;
        let mut left = ioctl_fionread(&child.output).map_err(io::Error::from)? as usize;
        while left > 0 {
            let Some(bytes @ 1..) = read(&mut child.output, &mut self.buffer)? else { break };
            left = left.saturating_sub(bytes);
            if listener.hear(&self.buffer[..bytes])? == Step::Enough {
                return Ok(Heard::Enough { unsent: 0 });
            }
        }
        Ok(Heard::Everything)
    }

    /// Takes what there is on the standard error, which is no more than a pipe holds.
    fn take_errors(&mut self, mut from: &File) -> io::Result<()> {
        if let Some(bytes @ 1..) = read(&mut from, &mut self.buffer)? {
            self.last_words.push(&self.buffer[..bytes]);
        }
        Ok(())
    }
}

/// How long there is still to wait.
struct Clock {
    patience: Patience,
    deadline: Option<Instant>,
    /// When the command is given up, because the grid is shutting down.
    stop_at: Option<Instant>,
}

impl Clock {
    fn start(patience: Patience) -> Self {
        Self { patience, deadline: deadline(patience), stop_at: None }
    }

    fn on_progress(&mut self) {
        if matches!(self.patience, Patience::Silence(_)) {
            self.deadline = deadline(self.patience);
        }
    }

    /// Whether it is time to give up.
    fn on_look(&mut self, listener: &impl Listener) -> Option<Heard> {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Some(Heard::TimedOut);
        }
        let stops = listener.stopping() && *self.stop_at.get_or_insert(now + STOPPING_GRACE) <= now;
        stops.then_some(Heard::Stopping)
    }

    fn next_look(&self) -> Instant {
        let look = Instant::now() + LOOK_EVERY;
        self.deadline.map_or(look, |deadline| deadline.min(look))
    }
}

fn deadline(patience: Patience) -> Option<Instant> {
    match patience {
        Patience::Endless => None,
        Patience::Total(time) | Patience::Silence(time) => Instant::now().checked_add(time),
    }
}

/// Waits until there is something to do, and says whether the command has ended; `None` if nothing happens by
/// then.
fn wait(
    child: &Child,
    errors: &File,
    output_open: bool,
    is_given: bool,
    until: Instant,
) -> io::Result<Option<bool>> {
    let mut waiting = Vec::with_capacity(4);
    waiting.push(watched(&child.death, PollFlags::POLLIN));
    waiting.push(watched(errors, PollFlags::POLLIN));
    if output_open {
        waiting.push(watched(&child.output, PollFlags::POLLIN));
    }
    if let Some(pipe) = child.input.as_ref().filter(|_| !is_given) {
        waiting.push(watched(pipe, PollFlags::POLLOUT));
    }
    let happened = wait_for(&mut waiting, Some(until))?;
    Ok(happened.then(|| waiting[0].any() == Some(true)))
}

/// Gives the command what its pipe takes now. Returns whether there is nothing more to give.
fn give(child: &mut Child, input: &mut &[u8], then: Then) -> io::Result<bool> {
    let Some(pipe) = &mut child.input else { return Ok(true) };
    while !input.is_empty() {
        match pipe.write(input) {
            Ok(bytes) => *input = &input[bytes..],
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => return Ok(false),
                ErrorKind::Interrupted => {}
                // It does not want to read any more.
                ErrorKind::BrokenPipe => {
                    *input = &[];
                    child.input = None;
                    return Ok(true);
                }
                _ => return Err(error),
            },
        }
    }
    if then == Then::Close {
        child.input = None;
    }
    Ok(true)
}

/// Reads what is there; `None` if nothing is.
fn read(mut from: impl Read, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match from.read(buffer) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
