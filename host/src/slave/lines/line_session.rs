//! One client that sends lines, from its first line to its last. When its first record comes, it waits for
//! its turn, and then has the slave to itself, as a master has.
//!
//! **Invariant:** nothing is ever said to the client.

use tokio::sync::{MutexGuard, mpsc, watch};

use super::line_client::{LineClient, LineEvent};
use super::line_service::{BLOCKS_AHEAD_MAX, LineRun, LineRunEnd, LineService};
use crate::record::Input;
use crate::registry::Reservation;
use crate::slave::admin_command;
use crate::slave::door::{Door, EndOrder, LINE_CLIENTS_MAX, Occupied};
use crate::slave::registration::RowEvent;
use crate::wire::{LineCommand, LineScheduler};

/// Commands that may come before the first record: they are kept in memory until then.
const COMMANDS_MAX: usize = 64;

/// A client.
struct LineSession<'a> {
    /// What the log calls it: `lines from 127.0.0.1:40000`.
    name: String,
    door: &'a Door,
    lines: &'a LineService,
    draining: watch::Receiver<bool>,
    scheduler: LineScheduler,
    /// Commands that came before the first record.
    commands: Vec<(String, String)>,
    /// Whether the slave is to end when the client has gone.
    is_done: bool,
}

/// The slave is the client's, until this is dropped.
struct Turn<'a> {
    _turn: MutexGuard<'a, ()>,
    _guard: Occupied<'a>,
}

/// How a client begins, after its commands.
enum First {
    /// With a record.
    Record(Input),
    /// With a long line, of which only the beginning was read. No command is that long.
    LongLine,
    /// It has gone without any, or the slave is about to end.
    Nothing,
}

/// Why the feeding of a run has ended.
enum Fed {
    /// The client has sent everything.
    All,
    /// Lines for another scheduler follow.
    OtherScheduler(LineScheduler),
    /// The slave is about to end.
    CutOff,
    /// The run takes no more.
    RunIsOver,
}

/// Serves a client until it has gone and its lines are done, or the slave ends.
pub(crate) async fn serve(mut client: LineClient, peer: &str, door: &Door, lines: &LineService) {
    let Some(_place) = lines.queue.enter() else {
        if door.log.sessions.allows_one() {
            tracing::warn!(
                peer,
                "{LINE_CLIENTS_MAX} clients with lines are connected already; one more is turned away"
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
                admin_command::note(&name, &value, &self.door.log.sessions);
            }
            // A client that only gives commands need not wait until a master of ours is done: that one is
            // told that the slave drains. But what other clients have sent before comes first.
            if self.is_done
                && let Some(_turn) = self.turn().await
            {
                self.end_slave();
            }
            return;
        }
        let Some(turn) = self.take_slave().await else {
            tracing::warn!("{} are lost: the slave ended before their turn came", self.name);
            return;
        };
        // If the row's task is gone, the slave is ending.
        let _ = self.door.row.send(RowEvent::Occupied).await;
        self.log(|name| tracing::info!("serving {name}"));
        self.run_all(first, client).await;
        let _ = self.door.row.send(RowEvent::Free(Reservation::from_text(self.name.clone()))).await;
        drop(turn);
        if self.is_done {
            self.end_slave();
        }
    }

    /// Takes commands until the first record comes.
    async fn first_record(&mut self, client: &mut LineClient) -> First {
        loop {
            let event = tokio::select! {
                biased;
                _ = self.draining.wait_for(|draining| *draining) => return First::Nothing,
                event = client.next() => event,
            };
            match event {
                LineEvent::Command(LineCommand::Other { name, value }) => {
                    self.commands.push((name, value));
                    if self.commands.len() > COMMANDS_MAX {
                        self.log(|name| {
                            tracing::warn!(
                                "{name} send command after command and no record; they are cut off"
                            )
                        });
                        return First::Nothing;
                    }
                }
                LineEvent::Command(LineCommand::Scheduler(scheduler)) => self.scheduler = scheduler,
                LineEvent::Command(command) => self.on_command(command),
                LineEvent::Records(records) => {
                    return First::Record(Input::Records { records, remaining_bytes: None, keys: None });
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

    /// Runs the lines, with a new run whenever the client changes the scheduler.
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
                welcome: self.door.welcome(),
                shutdown: self.lines.shutdown.clone(),
            };
            let running = self.lines.runner.run(run);
            let (end, fed) = tokio::join!(running, self.feed(first, client, feed));
            self.log_end(&end, &fed);
            match (end, fed) {
                (LineRunEnd::OutputGone(message), _) => {
                    self.door.order_end(EndOrder::CannotGoOn(message));
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
                    next = Some(Input::Records { records, remaining_bytes: None, keys: None });
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
        // A run that is over does not need to be told.
        let _ = feed.send(Input::End).await;
        fed
    }

    fn on_command(&mut self, command: LineCommand) {
        match command {
            LineCommand::Done(is_done) => self.is_done = is_done,
            // That scheduler is already in force.
            LineCommand::Scheduler(_) => {}
            LineCommand::NoSuchScheduler { text } => self.log(|name| {
                tracing::warn!(
                    "{name} ask for «{text:.100}», which is unknown; the scheduler stays as it is"
                );
            }),
            LineCommand::Other { name, value } => admin_command::note(&name, &value, &self.door.log.sessions),
        }
    }

    fn on_broken(&self, error: &std::io::Error, in_mid_line: bool) {
        let half = if in_mid_line { "; half a line is dropped" } else { "" };
        self.log(|name| tracing::warn!("{name} broke off: {error}{half}"));
    }

    /// Waits for the turn among clients; `None` if the slave ends first.
    async fn turn(&self) -> Option<MutexGuard<'a, ()>> {
        let (lines, mut draining) = (self.lines, self.draining.clone());
        tokio::select! {
            biased;
            turn = lines.queue.turn() => Some(turn),
            _ = draining.wait_for(|draining| *draining) => None,
        }
    }

    /// Waits for the turn, and until no master has the slave.
    async fn take_slave(&self) -> Option<Turn<'a>> {
        let turn = self.turn().await?;
        let (door, mut draining) = (self.door, self.draining.clone());
        tokio::select! {
            biased;
            guard = door.occupancy.occupy_when_free(&self.name) => Some(Turn { _turn: turn, _guard: guard }),
            _ = draining.wait_for(|draining| *draining) => None,
        }
    }

    fn end_slave(&self) {
        self.log(|name| tracing::info!("{name} ask this slave to end"));
        self.door.order_end(EndOrder::Asked);
    }

    fn log_end(&self, end: &LineRunEnd, fed: &Fed) {
        self.log(|name| match (end, fed) {
            (LineRunEnd::Finished(summary), Fed::CutOff) => {
                tracing::warn!("{name} are cut off because the slave is ending: {summary}");
            }
            (LineRunEnd::Finished(summary), _) => tracing::info!("{name} are done: {summary}"),
            (LineRunEnd::Broken(reason) | LineRunEnd::OutputGone(reason), _) => {
                tracing::error!("{name} could not all be run, and the rest is lost: {reason}");
            }
        });
    }

    fn log(&self, say: impl FnOnce(&str)) {
        if self.door.log.sessions.allows_one() {
            say(&self.name);
        }
    }
}
