//! What happens in a simulation, line by line, with its virtual time: what the actors log, and what the world
//! does to them.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::turns;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceLine {
    /// When, since the simulation began.
    pub at: Duration,
    /// In which process; `None` for the world itself.
    pub process: Option<u32>,
    /// What.
    pub text: String,
}

impl fmt::Display for TraceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.6} ", self.at.as_secs_f64())?;
        match self.process {
            Some(process) => write!(f, "[{process}] {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// All that has happened so far. Clones write to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    began: Instant,
    lines: Arc<Mutex<Vec<TraceLine>>>,
}

impl Trace {
    /// Begins now.
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), lines: Arc::default() }
    }

    /// Something happens.
    pub(crate) fn say(&self, text: impl Into<String>) {
        let at = self.began.elapsed();
        let process = turns::current_process().map(|process| process.0);
        self.lines().push(TraceLine { at, process, text: text.into() });
    }

    /// What has happened so far.
    pub(crate) fn all(&self) -> Vec<TraceLine> {
        self.lines().clone()
    }

    fn lines(&self) -> MutexGuard<'_, Vec<TraceLine>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what the actors log into the trace.
pub(super) struct TraceLayer(pub Trace);

impl<S: Subscriber> Layer<S> for TraceLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::DEBUG {
            return;
        }
        let mut text = EventText(level.to_string().to_lowercase() + ":");
        event.record(&mut text);
        self.0.say(text.0);
    }
}

/// An event in words.
struct EventText(String);

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A text takes all that it is given.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
