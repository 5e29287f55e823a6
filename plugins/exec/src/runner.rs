//! Runs commands to their end, one after the other.

use std::time::Duration;

use simplegrid_child_process::{
    Child, Conversation, Environment, Heard, Household, LastWords, Launcher, Listener, Patience, Streams,
    Then,
};
use simplegrid_network::Timeout;
use simplegrid_plugin_api::Result;

use crate::Args;
use crate::command::Command;
use crate::template::Call;
use crate::verdict::Ending;

/// What a worker needs for its commands.
#[derive(Debug)]
pub(crate) struct Runner {
    launcher: Launcher,
    pub(crate) household: Household,
    conversation: Conversation,
    pub(crate) timeout: Option<Duration>,
}

impl Runner {
    /// With what the user said about the command's surroundings.
    ///
    /// # Errors
    /// If that makes no sense, and those of the system.
    pub(crate) fn new(args: &Args) -> Result<Self> {
        Ok(Self {
            launcher: Launcher::new(&Environment::with(args.env.as_deref())?, args.cwd.as_deref())?,
            household: Household::new()?,
            conversation: Conversation::default(),
            timeout: args.timeout.map(Timeout::get),
        })
    }

    /// Starts a command, which reads something or nothing.
    ///
    /// # Errors
    /// What it means that it cannot be started.
    pub(crate) fn start(&self, command: &Command, call: &Call<'_>, with_input: bool) -> Result<Child> {
        let streams = Streams::open(with_input)?;
        let started = self.household.start(&self.launcher, call.program, &call.words, streams);
        started.map_err(|error| command.not_started(&error))
    }

    /// Runs a command that reads `input`, from its start to its end.
    ///
    /// # Errors
    /// Those of starting it, of the system, and of the listener.
    pub(crate) fn run(
        &mut self,
        command: &Command,
        call: &Call<'_>,
        input: Option<&[u8]>,
        patience: Patience,
        listener: &mut impl Listener,
    ) -> Result<Ending> {
        let mut child = self.start(command, call, input.is_some())?;
        let input = input.unwrap_or_default();
        let talk = self.talk(&mut child, input, Then::Close, patience, listener);
        let end = self.household.end(child)?;
        Ok(Ending { heard: talk?, end })
    }

    /// Talks to a command that was started before: see [`Conversation::talk`].
    ///
    /// # Errors
    /// Those of the system, and of the listener.
    pub(crate) fn talk(
        &mut self,
        child: &mut Child,
        input: &[u8],
        then: Then,
        patience: Patience,
        listener: &mut impl Listener,
    ) -> Result<Heard> {
        self.conversation.talk(child, &self.household, input, then, patience, listener)
    }

    /// What the last command has said on its standard error.
    pub(crate) fn last_words(&self) -> &LastWords {
        self.conversation.last_words()
    }

    /// How long one record alone may take.
    pub(crate) fn patience(&self) -> Patience {
        self.timeout.map_or(Patience::Endless, Patience::Total)
    }

    /// How long records that run together may take: that long without any of them getting on.
    pub(crate) fn patience_together(&self) -> Patience {
        self.timeout.map_or(Patience::Endless, Patience::Silence)
    }
}
