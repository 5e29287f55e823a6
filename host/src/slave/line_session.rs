//! One client that sends lines, from its first line to its last. With its first record it waits for its turn,
//! and then has the slave to itself, as a master has.
//!
//! **Invariant:** nothing is ever said to the client.

use tokio::sync::{MutexGuard, mpsc, watch};

use super::line_client::{LineClient, LineEvent};
use super::line_door::{BLOCKS_AHEAD_MAX, LINE_CLIENTS_MAX, LineDoor, LineRun, LineRunEnd};
use super::master_listener::{Door, EndOrder, Occupied};
use super::master_session::on_command;
use super::registration::RowEvent;
use crate::record::Input;
use crate::registry::Reservation;
use crate::wire::{LineCommand, LineScheduler};

/// Commands that may come before the first record: they are kept until then.
const COMMANDS_MAX: usize = 64;

/// A client.
struct LineSession<'a> {
    /// What it is called: `lines from 127.0.0.1:40000`.
    name: String,
    door: &'a Door,
    lines: &'a LineDoor,
    draining: watch::Receiver<bool>,
    scheduler: LineScheduler,
    /// Commands that came before the first record.
    commands: Vec<(String, String)>,
    /// Whether the slave is to end when the client has gone.
    is_done: bool,
}

/// The slave is the client's.
struct Turn<'a> {
    _turn: MutexGuard<'a, ()>,
    _guard: Occupied<'a>,
}

/// How a client begins, after its commands.
enum First {
    /// With a record.
    Record(Input),
    /// With a long line, of which only the beginning was read. It is no command.
    LongLine,
    /// It has gone without any, or the slave is about to end.
    Nothing,
}

/// Why the feeding of a run has ended.
enum Fed {
    /// The client has said all.
    All,
    /// Lines for another scheduler follow.
    OtherScheduler(LineScheduler),
    /// The slave is about to end.
    CutOff,
    /// The run did not want more.
    RunIsOver,
}

/// Serves a client until it has gone and its lines are done, or the slave ends.
pub(super) async fn serve(mut client: LineClient, peer: &str, door: &Door, lines: &LineDoor) {
    let Ok(_place) = lines.places.try_acquire() else {
        if door.log.sessions.allows_one() {
            tracing::warn!(
                peer,
                "{LINE_CLIENTS_MAX} clients with lines are here already; one more is turned away"
            );
        }
        return;
    };
    let session = LineSession {
        name: format!("lines from {peer}"),
        door,
        lines,
        draining: door.draining.clone(),
        scheduler: LineScheduler::default(),
        commands: Vec::new(),
        is_done: false,
    };
    session.serve(&mut client).await;
}

impl<'a> LineSession<'a> {
    async fn serve(mut self, client: &mut LineClient) {
        let first = self.first_record(client).await;
        if matches!(first, First::Nothing) {
            for (name, value) in std::mem::take(&mut self.commands) {
                on_command(&name, &value, &self.door.log.sessions);
            }
            // Whoever only gives commands need not wait for a master of ours, which is told; but what other
            // clients have sent before comes first.
            if self.is_done
                && let Some(_turn) = self.turn().await
            {
                self.end_slave();
            }
            return;
        }
        let Some(turn) = self.take_slave().await else {
            tracing::warn!("{} are lost: the slave ends before their turn has come", self.name);
            return;
        };
        // A row task that is gone means that the slave ends.
        let _ = self.door.row.send(RowEvent::Occupied).await;
        self.log(|name| tracing::info!("serving {name}"));
        self.run_all(first, client).await;
        let _ = self.door.row.send(RowEvent::Free(Reservation::from_text(self.name.clone()))).await;
        drop(turn);
        if self.is_done {
            self.end_slave();
        }
    }

    /// Takes commands until a record comes.
    async fn first_record(&mut self, client: &mut LineClient) -> First {
        loop {
            let event = tokio::select! {
                event = client.next() => event,
                _ = self.draining.wait_for(|draining| *draining) => return First::Nothing,
            };
            match event {
                LineEvent::Command(LineCommand::Other { name, value }) => {
                    self.commands.push((name, value));
                    if self.commands.len() > COMMANDS_MAX {
                        self.log(|name| tracing::warn!("{name} give command upon command; they are cut off"));
                        return First::Nothing;
                    }
                }
                LineEvent::Command(LineCommand::Scheduler(scheduler)) => self.scheduler = scheduler,
                LineEvent::Command(command) => self.on_command(command),
                LineEvent::Records(records) => {
                    return First::Record(Input::Records { records, remaining_bytes: None });
                }
                LineEvent::TooLong { record, bytes } => {
                    return First::Record(Input::TooLong { record, bytes });
                }
                LineEvent::LongLine => return First::LongLine,
                LineEvent::End => return First::Nothing,
                LineEvent::Broken { error, in_mid_line } => {
                    self.on_broken(&error, in_mid_line);
                    return First::Nothing;
                }
            }
        }
    }

    /// One run after the other: each has one scheduler.
    async fn run_all(&mut self, first: First, client: &mut LineClient) {
        let mut next = first;
        loop {
            let first = match next {
                First::Record(input) => Some(input),
                First::LongLine => None,
                First::Nothing => return,
            };
            let (feed, lines) = mpsc::channel(BLOCKS_AHEAD_MAX);
            let run = LineRun {
                lines,
                scheduler: self.scheduler,
                commands: std::mem::take(&mut self.commands),
                pool: self.door.pool.clone(),
                welcome: self.door.welcome.clone(),
                shutdown: self.lines.shutdown.clone(),
            };
            let running = self.lines.runner.run(run);
            let (end, fed) = tokio::join!(running, self.feed(first, client, feed));
            self.log_end(&end, &fed);
            match (end, fed) {
                (LineRunEnd::OutputGone(message), _) => {
                    // Asked twice, it ends once.
                    let _ = self.door.end.try_send(EndOrder::CannotGoOn(message));
                    return;
                }
                (LineRunEnd::Finished(_), Fed::OtherScheduler(scheduler)) => {
                    self.scheduler = scheduler;
                    next = self.first_record(client).await;
                }
                _ => return,
            }
        }
    }

    /// Hands lines to a run, no faster than it takes them.
    async fn feed(
        &mut self,
        first: Option<Input>,
        client: &mut LineClient,
        feed: mpsc::Sender<Input>,
    ) -> Fed {
        let mut next = first;
        let fed = loop {
            if let Some(input) = next.take()
                && feed.send(input).await.is_err()
            {
                return Fed::RunIsOver;
            }
            let event = tokio::select! {
                biased;
                _ = self.draining.wait_for(|draining| *draining) => break Fed::CutOff,
                () = feed.closed() => return Fed::RunIsOver,
                event = client.next() => event,
            };
            match event {
                LineEvent::Records(records) => {
                    next = Some(Input::Records { records, remaining_bytes: None });
                }
                LineEvent::TooLong { record, bytes } => next = Some(Input::TooLong { record, bytes }),
                LineEvent::Command(LineCommand::Scheduler(scheduler)) if scheduler != self.scheduler => {
                    break Fed::OtherScheduler(scheduler);
                }
                LineEvent::Command(command) => self.on_command(command),
                LineEvent::LongLine => {}
                LineEvent::End => break Fed::All,
                LineEvent::Broken { error, in_mid_line } => {
                    self.on_broken(&error, in_mid_line);
                    break Fed::All;
                }
            }
        };
        // A run that is over needs no end.
        let _ = feed.send(Input::End).await;
        fed
    }

    fn on_command(&mut self, command: LineCommand) {
        match command {
            LineCommand::Done(is_done) => self.is_done = is_done,
            // It is the one that is in force.
            LineCommand::Scheduler(_) => {}
            LineCommand::NoSuchScheduler { text } => self.log(|name| {
                tracing::warn!(
                    "{name} ask for «{text:.100}», which there is not; the scheduler stays as it is"
                );
            }),
            LineCommand::Other { name, value } => on_command(&name, &value, &self.door.log.sessions),
        }
    }

    fn on_broken(&self, error: &std::io::Error, in_mid_line: bool) {
        let half = if in_mid_line { "; half a line is dropped" } else { "" };
        self.log(|name| tracing::warn!("{name} break off: {error}{half}"));
    }

    /// Waits for the turn among clients; `None` if the slave ends first.
    async fn turn(&self) -> Option<MutexGuard<'a, ()>> {
        let (lines, mut draining) = (self.lines, self.draining.clone());
        tokio::select! {
            turn = lines.turn.lock() => Some(turn),
            _ = draining.wait_for(|draining| *draining) => None,
        }
    }

    /// Waits for the turn, and until no master has the slave.
    async fn take_slave(&self) -> Option<Turn<'a>> {
        let turn = self.turn().await?;
        let (door, mut draining) = (self.door, self.draining.clone());
        tokio::select! {
            guard = door.occupy_when_free(&self.name) => Some(Turn { _turn: turn, _guard: guard }),
            _ = draining.wait_for(|draining| *draining) => None,
        }
    }

    fn end_slave(&self) {
        self.log(|name| tracing::info!("{name} ask this slave to end"));
        // Asked twice, it ends once.
        let _ = self.door.end.try_send(EndOrder::Asked);
    }

    fn log_end(&self, end: &LineRunEnd, fed: &Fed) {
        self.log(|name| match (end, fed) {
            (LineRunEnd::Finished(summary), Fed::CutOff) => {
                tracing::warn!("{name} are cut off, because the slave ends: {summary}");
            }
            (LineRunEnd::Finished(summary), _) => tracing::info!("{name} are done: {summary}"),
            (LineRunEnd::Broken(reason) | LineRunEnd::OutputGone(reason), _) => {
                tracing::error!("{name} could not all be run, and what was not is lost: {reason}");
            }
        });
    }

    fn log(&self, say: impl FnOnce(&str)) {
        if self.door.log.sessions.allows_one() {
            say(&self.name);
        }
    }
}
